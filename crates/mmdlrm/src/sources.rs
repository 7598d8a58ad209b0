//! What an experiment reads: ratings, posters, plots, and what encodes them.

use std::path::{Path, PathBuf};

use mmdlrm_data::{
    Candidates, Dataset, Genome, Modality, MovieLens, Movies, OpenOptions, Poster, RandomSplit,
    Split, StreamedMovieLens, generate, read_posters, read_summaries,
};
use mmdlrm_encoders::LoadOptions;
use mmdlrm_train::Preset;

use crate::modalities::{Modalities, ModalityEncoder};
use crate::report::LeftOutRatings;
use crate::{ExperimentConfig, Observer, Result, Source, SplitConfig, Stage};

/// Read, and not yet encoded.
pub(crate) struct Sources {
    pub release: Release,
    /// Where there is something to encode that the model looks at.
    pub encoder: Option<ModalityEncoder>,
    /// All of them, whether the model looks at them or not.
    pub posters: Vec<Poster>,
}

impl Sources {
    /// Reads everything that the configuration names.
    pub fn open(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        let options = LoadOptions::default()
            .with_device(mmdlrm_encoders::device(&config.device)?)
            .with_long_texts(config.long_texts);
        observer.begin(Stage::ReadData, 0);
        let (data, posters_csv, summaries_csv) = locate(config)?;
        let release = Release::open(&data, config)?;
        let (mut posters, mut summaries) = (Vec::new(), Vec::new());
        if let Some(path) = posters_csv {
            posters = read_posters(&path, Some(release.movies()))?;
        }
        if let Some(path) = summaries_csv {
            summaries = read_summaries(&path, Some(release.movies()))?;
        }
        observer.end();
        let looks = config.preset.uses_modalities();
        let mut encoder = None;
        if looks && !(posters.is_empty() && summaries.is_empty()) {
            observer.begin(Stage::LoadEncoders, 0);
            let folder = beside(&config.out);
            let encoders = &config.encoders;
            let posters = posters.clone();
            let opened = ModalityEncoder::open(encoders, &options, posters, summaries, &folder)?;
            encoder = Some(opened);
            observer.end();
        }
        Ok(Self {
            release,
            encoder,
            posters,
        })
    }

    /// Encodes what the store lacks; the genome, where it is used, is a modality more.
    pub fn encode(&mut self, observer: &mut dyn Observer) -> Result<Modalities> {
        let movies = self.release.movies().index();
        let mut modalities = match &mut self.encoder {
            None => Modalities::default(),
            Some(encoder) => encoder.encode(&movies, observer)?,
        };
        if let Some(genome) = self.release.genome() {
            let genome = genome.modality(&movies)?;
            if genome.left_out() > 0 {
                let left_out = genome.left_out();
                observer.note(&format!(
                    "{left_out} movies of the tag genome are not in the table of movies and are left out"
                ));
            }
            modalities.list.push(genome);
        }
        Ok(modalities)
    }
}

/// A release, its ratings in memory or on disk.
pub(crate) enum Release {
    Whole(MovieLens, Split),
    Streamed {
        movielens: StreamedMovieLens,
        split: RandomSplit,
    },
}

impl Release {
    pub fn open(dir: &Path, config: &ExperimentConfig) -> Result<Self> {
        let mut options = OpenOptions {
            unknown_movies: config.unknown_movies,
            duplicates: config.duplicates,
            genome: config.genome,
            ..OpenOptions::default()
        };
        if let (true, SplitConfig::Random { test_share, seed }) = (config.stream, &config.split) {
            let caches = beside(&config.out).join("ratings-cache");
            options.cache = Some(OpenOptions::cache_under(&caches, dir)?);
            return Ok(Self::Streamed {
                movielens: options.open_streamed(dir)?,
                split: RandomSplit {
                    test_share: *test_share,
                    validation_share: config.validation,
                    seed: *seed,
                },
            });
        }
        let movielens = options.open(dir)?;
        let mut split = split_of(&movielens, &config.split)?;
        if let Some(share) = config.validation {
            split = split.with_validation(share, &movielens.ratings)?;
        }
        Ok(Self::Whole(movielens, split))
    }

    pub fn movies(&self) -> &Movies {
        match self {
            Self::Whole(movielens, _) => &movielens.movies,
            Self::Streamed { movielens, .. } => &movielens.movies,
        }
    }

    pub fn left_out(&self) -> LeftOutRatings {
        let (left_out, by_split) = match self {
            Self::Whole(movielens, split) => {
                let dropped = split.dropped().iter().map(|dropped| dropped.rows.len());
                (&movielens.left_out, dropped.sum())
            }
            Self::Streamed { movielens, .. } => (movielens.ratings.left_out(), 0),
        };
        LeftOutRatings {
            by_split,
            ..LeftOutRatings::of(left_out)
        }
    }

    pub fn genome(&self) -> Option<&Genome> {
        match self {
            Self::Whole(movielens, _) => movielens.genome.as_ref(),
            Self::Streamed { movielens, .. } => movielens.genome.as_ref(),
        }
    }
}

/// Ratings in memory as the configuration's preset wants them. The tables go: they are
/// half a gigabyte for 25 million ratings.
pub(crate) fn dataset(
    config: &ExperimentConfig,
    movielens: MovieLens,
    split: Split,
    modalities: Vec<Modality>,
) -> Result<Dataset> {
    let data = Dataset::new(&movielens, split, modalities)?;
    drop(movielens);
    match config.preset {
        Preset::Best => Ok(data.with_context(config.context)?),
        _ => Ok(data),
    }
}

/// What is held out.
pub(crate) fn split_of(movielens: &MovieLens, config: &SplitConfig) -> Result<Split> {
    let ratings = &movielens.ratings;
    let split = match config {
        SplitConfig::Random { test_share, seed } => {
            Split::random(ratings.len(), *test_share, *seed)
        }
        SplitConfig::Temporal { test_share } => Split::temporal(ratings, *test_share),
        SplitConfig::LeaveLastOut { count } => Split::leave_last_out(ratings, *count),
        SplitConfig::ColdUsers { test_share, seed } => {
            Split::cold_users(ratings, *test_share, *seed)
        }
        SplitConfig::ColdMovies { test_share, seed } => {
            Split::cold_movies(ratings, *test_share, *seed)
        }
        SplitConfig::TestRows(path) => Split::from_test_rows(path, ratings),
        SplitConfig::Candidates(path) => {
            Candidates::read(path, movielens).and_then(|it| it.split(movielens))
        }
    };
    Ok(split?)
}

/// Paths of the MovieLens folder, the posters and the plots; the sample is
/// written where it is not there yet.
fn locate(config: &ExperimentConfig) -> Result<(PathBuf, Option<PathBuf>, Option<PathBuf>)> {
    match &config.source {
        Source::Folder {
            data,
            posters,
            summaries,
        } => Ok((data.clone(), posters.clone(), summaries.clone())),
        Source::Sample(sample) => {
            let dir = beside(&config.out).join("sample-data");
            generate::write(&dir, sample, |_| {})?;
            let posters = dir.join("posters.csv");
            let summaries = dir.join("summaries.csv");
            Ok((dir, Some(posters), Some(summaries)))
        }
    }
}

/// The folder that the run's folder is in.
fn beside(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
