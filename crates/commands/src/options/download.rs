//! `--download`: a release from GroupLens, with a progress bar.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use mmdlrm::data::Result;
use mmdlrm::data::download::{DownloadEvent, Downloader, NOTICE, Release};

/// For `#[command(flatten)]`.
#[derive(Debug, clap::Args)]
pub struct Download {
    /// Fetch a release from GroupLens, unless it is there: ml-100k, ml-1m,
    /// ml-10m, ml-20m, ml-25m, ml-32m, ml-latest or ml-latest-small
    #[arg(long = "download", value_name = "RELEASE", group = "ratings")]
    pub release: Option<String>,
    /// Folder that holds downloaded releases
    #[arg(long, value_name = "DIR", default_value = "data", requires = "release")]
    download_dir: PathBuf,
    /// Where to fetch from, instead of GroupLens
    #[arg(long, value_name = "URL", requires = "release")]
    mirror: Option<String>,
}

impl Download {
    /// The folder of the release, fetched if need be; `None` where none was
    /// asked for.
    pub fn folder(&self) -> Result<Option<PathBuf>> {
        let Some(name) = &self.release else {
            return Ok(None);
        };
        let release: Release = name.parse()?;
        let mut downloader = Downloader::default();
        if let Some(url) = &self.mirror {
            downloader.base_url = url.clone();
        }
        if !self.download_dir.join(release.name()).is_dir() {
            eprintln!("{NOTICE}");
        }
        // indicatif draws to standard error, and only where it is a terminal.
        let bar = ProgressBar::hidden();
        let folder = downloader.download(release, &self.download_dir, |event| {
            show(&bar, name, event);
        })?;
        bar.finish_and_clear();
        Ok(Some(folder))
    }
}

fn show(bar: &ProgressBar, name: &str, event: DownloadEvent) {
    match event {
        DownloadEvent::Begin { done, total } => {
            bar.set_message(name.to_owned());
            let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(done);
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        DownloadEvent::Advance(bytes) => bar.inc(bytes),
        DownloadEvent::Retry { problem } => {
            bar.suspend(|| eprintln!("note: {problem}; trying again"));
        }
        DownloadEvent::Unpack => bar.set_message(format!("{name}, unpacking")),
        _ => {}
    }
}
