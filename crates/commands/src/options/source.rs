//! What a model is trained on: ratings, posters, plots and what encodes these, other vectors.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{ExperimentConfig, Source, VectorsFile};

use super::{Download, Idle, LongTexts, Models, Policies};
use crate::Result;

/// For `#[command(flatten)]`.
#[derive(Debug, Args)]
pub struct SourceOptions {
    /// MovieLens folder with ratings.csv and movies.csv [default: a made-up sample]
    #[arg(long, value_name = "DIR", group = "ratings")]
    data: Option<PathBuf>,
    #[command(flatten)]
    download: Download,
    /// CSV of movieId,poster_path; paths relative to the file [default: no posters]
    #[arg(long, value_name = "FILE", requires = "ratings")]
    posters: Option<PathBuf>,
    /// CSV of movieId,summary [default: no summaries]
    #[arg(long, value_name = "FILE", requires = "ratings")]
    summaries: Option<PathBuf>,
    #[command(flatten)]
    models: Models,
    #[command(flatten)]
    long_texts: LongTexts,
    #[command(flatten)]
    policies: Policies,
    /// Use the tag genome, where the release has one, as one more modality
    #[arg(long)]
    genome: bool,
    /// CSV of movieId,role,name, who took part in which movie: one more modality [default: none]
    #[arg(long, value_name = "FILE", requires = "ratings")]
    credits: Option<PathBuf>,
    /// Use vectors that were computed elsewhere as one more modality of this name: Parquet
    /// with movieId and one column of lists of floats. May be given again, for others
    #[arg(long, value_name = "NAME=FILE")]
    vectors: Vec<VectorsFile>,
}

/// What data are called: by the name of their folder, which `.` has once it is resolved.
pub(super) fn name_of(data: Option<&Path>) -> OsString {
    let Some(data) = data else {
        return "sample".into();
    };
    if let Some(name) = data.file_name() {
        return name.to_owned();
    }
    let whole = data.canonicalize().unwrap_or_default();
    whole.file_name().unwrap_or("run".as_ref()).to_owned()
}

impl SourceOptions {
    /// Which of them do nothing beside each other.
    pub fn idle(&self) -> [Idle<'static>; 4] {
        let has_own_data = self.data.is_some() || self.download.release.is_some();
        let (plots, posters) = (self.summaries.is_some(), self.posters.is_some());
        [
            Idle {
                options: &["text", "long_texts"],
                holds: has_own_data && !plots,
                circumstances: "without --summaries",
            },
            Idle {
                options: &["image"],
                holds: has_own_data && !posters,
                circumstances: "without --posters",
            },
            Idle {
                options: &["clip"],
                holds: has_own_data && !plots && !posters,
                circumstances: "without --posters or --summaries",
            },
            // What `requires` says clap passes over where --data is there instead.
            Idle {
                options: &["download_dir", "mirror"],
                holds: self.download.release.is_none(),
                circumstances: "without --download",
            },
        ]
    }

    /// Downloads the release that is asked for, if any, which is the data from then on.
    pub fn fetch(&mut self) -> Result<()> {
        if let Some(folder) = self.download.folder()? {
            self.data = Some(folder);
        }
        Ok(())
    }

    /// Whether no data are named.
    pub fn is_sample(&self) -> bool {
        self.data.is_none()
    }

    /// The folder of a run on these data where none is named: `runs/NAME`.
    pub fn usual_out(&self) -> PathBuf {
        PathBuf::from("runs").join(name_of(self.data.as_deref()))
    }

    /// Writes down what is named; `seed` is that of a sample and of an untrained encoder.
    pub fn apply(self, seed: u64, config: &mut ExperimentConfig) {
        config.encoders = self.models.encoders(self.data.is_none(), seed);
        config.source = match self.data {
            None => Source::Sample(GeneratorConfig {
                seed,
                ..GeneratorConfig::default()
            }),
            Some(data) => Source::Folder {
                data,
                posters: self.posters,
                summaries: self.summaries,
            },
        };
        config.long_texts = self.long_texts.choice();
        config.unknown_movies = self.policies.unknown_movies();
        config.duplicates = self.policies.duplicates();
        config.genome = self.genome;
        config.credits = self.credits;
        config.vectors = self.vectors;
    }
}
