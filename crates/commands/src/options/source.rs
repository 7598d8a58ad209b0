//! What a model is trained on: ratings, posters, plots and what encodes these, other vectors.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use mmdlrm::data::Role;
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{ExperimentConfig, Source, VectorsFile};

use super::{Download, Idle, LongTexts, Models, Negatives, Policies, Tables};
use crate::Result;

/// For `#[command(flatten)]`.
#[derive(Debug, Args)]
pub struct SourceOptions {
    /// MovieLens folder with ratings.csv and movies.csv, or the zip it comes in [default: a
    /// made-up sample]
    #[arg(long, value_name = "DIR", group = "ratings")]
    data: Option<PathBuf>,
    #[command(flatten)]
    tables: Tables,
    #[command(flatten)]
    negatives: Negatives,
    #[command(flatten)]
    download: Download,
    /// CSV of movieId,poster_path; paths absolute or relative to the file [default: no posters]
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

/// What data are called: by the name of their folder, which `.` has once it is resolved, or of
/// their archive, without what says that it is one.
pub(super) fn name_of(data: Option<&Path>) -> OsString {
    let Some(data) = data else {
        return "sample".into();
    };
    let is_zip = |data: &Path| {
        let end = data.extension().unwrap_or_default();
        end.eq_ignore_ascii_case("zip") && data.is_file()
    };
    if let Some(name) = data.file_stem().filter(|_| is_zip(data)) {
        return name.to_owned();
    }
    if let Some(name) = data.file_name() {
        return name.to_owned();
    }
    let whole = data.canonicalize().unwrap_or_default();
    whole.file_name().unwrap_or("run".as_ref()).to_owned()
}

/// What a table is called: by its file, without what says how it is written.
pub(super) fn table_name(table: &Path) -> OsString {
    let name = table.file_name().unwrap_or("run".as_ref());
    let name = name.to_string_lossy();
    let stem = name.split('.').next().unwrap_or(&name);
    match stem.is_empty() {
        true => "run".into(),
        false => stem.into(),
    }
}

impl SourceOptions {
    /// Which of them do nothing beside each other.
    pub fn idle(&self) -> [Idle<'static>; 5] {
        let has_tables = self.tables.interactions.is_some();
        let has_own_data = has_tables || self.data.is_some() || self.download.release.is_some();
        let plots = self.summaries.is_some() || self.tables.has(Role::Text);
        let posters = self.posters.is_some() || self.tables.has(Role::Image);
        let (texts, pictures, either) = match has_tables {
            true => (
                "without --text-column",
                "without --image-column",
                "without --image-column or --text-column",
            ),
            false => (
                "without --summaries",
                "without --posters",
                "without --posters or --summaries",
            ),
        };
        [
            Idle {
                options: &["posters", "summaries", "credits", "genome"],
                holds: has_tables,
                circumstances: "beside --interactions, whose items are described by --items",
            },
            Idle {
                options: &["text", "long_texts"],
                holds: has_own_data && !plots,
                circumstances: texts,
            },
            Idle {
                options: &["image"],
                holds: has_own_data && !posters,
                circumstances: pictures,
            },
            Idle {
                options: &["clip"],
                holds: has_own_data && !plots && !posters,
                circumstances: either,
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
        self.data.is_none() && self.tables.interactions.is_none()
    }

    /// The folder of a run on these data where none is named: `runs/NAME`.
    pub fn usual_out(&self) -> PathBuf {
        let name = match &self.tables.interactions {
            Some(table) => table_name(table),
            None => name_of(self.data.as_deref()),
        };
        PathBuf::from("runs").join(name)
    }

    /// Writes down what is named; `seed` is that of a sample and of an untrained encoder.
    pub fn apply(self, seed: u64, config: &mut ExperimentConfig) {
        config.encoders = self.models.clone().encoders(self.is_sample(), seed);
        config.negatives = self.negatives.sampling();
        let tables = self.tables.files(&self.policies);
        let are_movies = tables.is_none();
        config.source = match (tables, self.data) {
            (Some(files), _) => Source::Tables(files),
            (None, None) => Source::Sample(GeneratorConfig {
                seed,
                ..GeneratorConfig::default()
            }),
            (None, Some(data)) => Source::Folder {
                data,
                posters: self.posters,
                summaries: self.summaries,
            },
        };
        config.long_texts = self.long_texts.choice();
        if are_movies {
            config.unknown_movies = self.policies.unknown_movies();
            config.duplicates = self.policies.duplicates();
        }
        config.genome = self.genome;
        config.credits = self.credits;
        config.vectors = self.vectors;
    }
}
