//! Releases from GroupLens: fetched, checked, unpacked.

mod fetch;
mod unpack;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

/// A release that GroupLens publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// 100 thousand ratings, 1998.
    Ml100k,
    /// 1 million ratings, 2003.
    Ml1m,
    /// 10 million ratings, 2009.
    Ml10m,
    /// 20 million ratings, 2015.
    Ml20m,
    /// 25 million ratings, 2019.
    Ml25m,
    /// 32 million ratings, 2024.
    Ml32m,
    /// The latest; changes over time.
    MlLatest,
    /// A small part of the latest, 100 thousand ratings.
    MlLatestSmall,
}

impl Release {
    /// All releases.
    pub const ALL: [Self; 8] = [
        Self::Ml100k,
        Self::Ml1m,
        Self::Ml10m,
        Self::Ml20m,
        Self::Ml25m,
        Self::Ml32m,
        Self::MlLatest,
        Self::MlLatestSmall,
    ];

    /// The name that GroupLens gives it: `ml-25m`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ml100k => "ml-100k",
            Self::Ml1m => "ml-1m",
            Self::Ml10m => "ml-10m",
            Self::Ml20m => "ml-20m",
            Self::Ml25m => "ml-25m",
            Self::Ml32m => "ml-32m",
            Self::MlLatest => "ml-latest",
            Self::MlLatestSmall => "ml-latest-small",
        }
    }
}

/// Its [name](Release::name), which [`FromStr`] takes back.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Release {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|release| release.name() == name).ok_or_else(|| {
            let rule = "it must be ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, ml-32m, ml-latest or \
                            ml-latest-small";
            Error::setting("release", format!("'{name}'"), rule)
        })
    }
}

/// What a person who fetches a release should know, before it is fetched.
pub const NOTICE: &str = "\
MovieLens data comes from GroupLens Research, University of Minnesota. It is free
for research; it may not be redistributed, or used commercially, without
permission. The README in the folder has the terms. In publications cite Harper
and Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015.";

/// What a download is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownloadEvent {
    /// Bytes come in, of `total` where the server says; `done` are there from
    /// an earlier attempt.
    Begin {
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// So many more bytes are there.
    Advance(u64),
    /// An attempt failed, and another follows.
    Retry {
        /// What went wrong.
        problem: String,
    },
    /// All bytes are there and are what they should be.
    Unpack,
}

/// Fetches releases. The default settings are for GroupLens.
///
/// ```no_run
/// use mmdlrm_data::download::{Downloader, NOTICE, Release};
///
/// println!("{NOTICE}");
/// let folder = Downloader::default().download(Release::Ml25m, "data".as_ref(), |_| {})?;
/// let movielens = mmdlrm_data::MovieLens::open(folder)?;
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloader {
    /// The folder of the zip files and their `.md5` files.
    pub base_url: String,
    /// How long a server may be silent.
    pub patience: Duration,
    /// Attempts in a row that bring nothing new, after which it gives up.
    pub attempts: u32,
    /// The pause before another attempt; doubled each time.
    pub pause: Duration,
}

impl Default for Downloader {
    fn default() -> Self {
        Self {
            base_url: "https://files.grouplens.org/datasets/movielens".to_owned(),
            patience: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_secs(1),
        }
    }
}

impl Downloader {
    /// Fetches `release` into the folder `into` and returns its folder there,
    /// `ml-25m`. What is already there is left as it is.
    ///
    /// A download that was broken off, even by a kill, is gone on with. The
    /// bytes are checked against the published MD5, unpacked beside, and
    /// renamed into place: the folder is whole or absent.
    ///
    /// # Errors
    /// A server that does not answer, or not with what it should; an archive
    /// that is not what was published, or that is not one of a release; a
    /// folder that cannot be written, or into which another process is
    /// downloading.
    pub fn download(
        &self,
        release: Release,
        into: &Path,
        mut on_event: impl FnMut(DownloadEvent),
    ) -> Result<PathBuf> {
        let name = release.name();
        let folder = into.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        std::fs::create_dir_all(into).map_err(Error::write(into))?;
        let archive = into.join(format!(".{name}.zip.partial"));
        let zip_url = format!("{}/{name}.zip", self.base_url.trim_end_matches('/'));
        // Held as long as the archive is worked on.
        let mut file = fetch::open_alone(&archive)?;
        fetch::fetch(self, &zip_url, &mut file, &archive, &mut on_event)?;
        on_event(DownloadEvent::Unpack);
        unpack::unpack(&file, &archive, &folder)?;
        std::fs::remove_file(&archive).map_err(Error::write(&archive))?;
        Ok(folder)
    }
}
