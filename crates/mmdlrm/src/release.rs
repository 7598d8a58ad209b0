//! What is learned from: ratings in memory or on disk, and which of them are held out.

use std::path::Path;
use std::sync::Arc;

use mmdlrm_data::{
    Candidates, DataFingerprint, DiskSplit, Genome, IdMap, InteractionFiles, Interactions,
    Modality, MovieLens, Movies, OpenOptions, Poster, RandomSplit, Split, StreamedInteractions,
    Summary, Target, TemporalSplit, Unmatched,
};
use mmdlrm_features::{Dataset, NegativeSampling, StreamedDataset, TrainingData};
use mmdlrm_train::NextItemData;

use crate::report::LeftOutRatings;
use crate::sources::beside;
use crate::{Error, ExperimentConfig, Preset, Result, SplitConfig, Task};

/// What was read, its ratings in memory or on disk.
pub(crate) enum Ratings {
    Whole(Interactions, Option<Genome>),
    Streamed(StreamedInteractions, Option<Genome>, DiskSplit),
}

/// What there is of items beside: pictures, texts and vectors.
type Contents = (Vec<Poster>, Vec<Summary>, Vec<Modality>);

impl Ratings {
    /// Of a MovieLens folder.
    pub fn of_folder(dir: &Path, config: &ExperimentConfig) -> Result<Self> {
        let mut options = OpenOptions {
            unknown_movies: config.unknown_movies,
            duplicates: config.duplicates,
            genome: config.genome,
            ..OpenOptions::default()
        };
        if let Some(split) = on_disk(config)? {
            let caches = beside(&config.out).join("ratings-cache");
            options.cache = Some(OpenOptions::cache_under(&caches, dir)?);
            let mut movielens = options.open_streamed(dir)?;
            let genome = movielens.genome.take();
            return Ok(Self::Streamed(movielens.into(), genome, split));
        }
        let movielens: MovieLens = options.open(dir)?;
        let interactions = Interactions::from(&movielens);
        Ok(Self::Whole(interactions, movielens.genome))
    }

    /// Of anybody's tables.
    pub fn of_tables(files: &InteractionFiles, config: &ExperimentConfig) -> Result<Self> {
        Ok(match on_disk(config)? {
            None => Self::Whole(files.open()?, None),
            Some(split) => {
                let interactions = files.open_streamed(&beside(&config.out))?;
                Self::Streamed(interactions, None, split)
            }
        })
    }

    /// Who and what of tables has no counterpart in another.
    pub fn unmatched(&self) -> Unmatched {
        match self {
            Self::Whole(interactions, _) => interactions.unmatched,
            Self::Streamed(interactions, ..) => interactions.unmatched,
        }
    }

    /// What comes with the items of tables, which have it no longer.
    pub fn take_contents(&mut self) -> Contents {
        let (images, texts, vectors) = match self {
            Self::Whole(it, _) => (&mut it.images, &mut it.texts, &mut it.vectors),
            Self::Streamed(it, ..) => (&mut it.images, &mut it.texts, &mut it.vectors),
        };
        (
            Arc::unwrap_or_clone(std::mem::take(images)),
            Arc::unwrap_or_clone(std::mem::take(texts)),
            Arc::unwrap_or_clone(std::mem::take(vectors)),
        )
    }

    fn target(&self) -> Target {
        match self {
            Self::Whole(interactions, _) => interactions.ratings.target(),
            Self::Streamed(interactions, ..) => interactions.ratings.target(),
        }
    }

    /// Whether it is known when interactions were.
    pub fn has_times(&self) -> bool {
        match self {
            Self::Whole(interactions, _) => interactions.has_times,
            Self::Streamed(interactions, ..) => interactions.has_times,
        }
    }

    /// Refuses what the target of the data, or what they lack, does not allow.
    pub fn check(&self, config: &ExperimentConfig) -> Result<()> {
        let refused = |setting, value, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        let target = self.target();
        let draws = target == Target::Implicit && config.preset != Preset::Rank;
        if config.negatives != NegativeSampling::default() && !draws {
            let rule = "they are drawn beside interactions without a target, and the preset rank \
                        scores all items in their place; leave them out";
            let value = config.negatives.per_interaction.to_string();
            return refused("negatives", value, rule);
        }
        let needs_times = match &config.split {
            SplitConfig::Temporal { .. } => Some("temporal"),
            SplitConfig::LeaveLastOut { .. } => Some("leave-last-out"),
            _ => None,
        };
        if !self.has_times() {
            if let Some(split) = needs_times {
                let rule = "the interactions have no time: add its column (timestamp in \
                            ratings.csv) or name it (--time, of other tables), or hold them out \
                            at random (--split random)";
                return refused("split", split.to_owned(), rule);
            }
            if let Some((setting, value, rule)) = looks_at_times(config, target) {
                return refused(setting, value.to_owned(), rule);
            }
        }
        if config.preset == Preset::Best && target.is_probability() {
            let value = format!("best, of data whose target is {target}");
            let rule = "it predicts ratings of a scale; choose mmdlrm or rank";
            return refused("preset", value, rule);
        }
        Ok(())
    }

    /// Of the users and movies of the configuration's candidates alone, where it has any.
    pub fn part(self, config: &ExperimentConfig) -> Result<Self> {
        match (self, &config.split) {
            (Self::Whole(interactions, _), SplitConfig::Candidates(path)) => {
                let candidates = Candidates::read(path, &interactions)?;
                let users = candidates.rows().iter().map(|row| row.user_id);
                let part = interactions.part(&IdMap::from_ids(users), candidates.movies())?;
                Ok(Self::Whole(part, None))
            }
            (whole, _) => Ok(whole),
        }
    }

    pub fn movies(&self) -> &Movies {
        match self {
            Self::Whole(interactions, _) => &interactions.items,
            Self::Streamed(interactions, ..) => &interactions.items,
        }
    }

    pub fn fingerprint(&self) -> DataFingerprint {
        match self {
            Self::Whole(interactions, genome) => {
                let genome = genome.iter().map(Genome::part).collect();
                interactions.fingerprint().with(genome)
            }
            Self::Streamed(interactions, genome, _) => {
                let genome = genome.iter().map(Genome::part).collect();
                interactions.fingerprint().with(genome)
            }
        }
    }

    /// Holds out what the configuration says, and says what that is.
    pub fn hold_out(self, config: &ExperimentConfig) -> Result<(Release, DataFingerprint)> {
        let (interactions, genome) = match self {
            Self::Whole(interactions, genome) => (interactions, genome),
            Self::Streamed(interactions, genome, split) => {
                let rows = split.fingerprint(&interactions.ratings)?;
                let release = Release::Streamed {
                    interactions: Box::new(interactions),
                    genome,
                    split,
                };
                return Ok((release, rows));
            }
        };
        let candidates = match &config.split {
            SplitConfig::Candidates(path) => Some(Candidates::read(path, &interactions)?),
            _ => None,
        };
        let mut split = match &candidates {
            Some(candidates) => candidates.split(&interactions)?,
            None => split_of(&interactions, &config.split)?,
        };
        if let Some(share) = config.validation {
            split = split.with_validation(share, &interactions.ratings)?;
        }
        let mut rows = split.fingerprint();
        if let Some(candidates) = &candidates {
            rows = rows.with(candidates.fingerprint());
        }
        let release = Release::Whole {
            interactions: Box::new(interactions),
            genome,
            split,
            candidates,
        };
        Ok((release, rows))
    }
}

/// What of a configuration looks at the times of ratings, and what to do where there are none.
fn looks_at_times(
    config: &ExperimentConfig,
    target: Target,
) -> Option<(&'static str, &'static str, &'static str)> {
    let rates = !target.is_probability();
    match (config.task, config.preset) {
        (Task::Rank, _) => Some((
            "task",
            "rank",
            "it learns what each user rates next, and the ratings have no times: add their column \
             (timestamp in ratings.csv) or name it (--time, of other tables), or learn ratings \
             (--task rate)",
        )),
        (_, Preset::Best) if config.context.timestamps && rates => Some((
            "preset",
            "best",
            "it looks at the times of ratings, and these have none: leave times out \
             (--no-timestamps)",
        )),
        (_, Preset::Rank) if config.rater && rates => Some((
            "preset",
            "rank",
            "the model beside it that tells how many stars a user would give looks at the times of \
             ratings, and these have none: leave it out (--no-rater)",
        )),
        _ => None,
    }
}

/// What was read and which of its ratings are held out.
pub(crate) enum Release {
    Whole {
        interactions: Box<Interactions>,
        genome: Option<Genome>,
        split: Split,
        /// Where it is they who are held out.
        candidates: Option<Candidates>,
    },
    Streamed {
        interactions: Box<StreamedInteractions>,
        genome: Option<Genome>,
        split: DiskSplit,
    },
}

impl Release {
    /// Whether a model of the configuration's size can be made, and, where it is to rank,
    /// whether there is something to learn from.
    pub fn check_task(&self, config: &ExperimentConfig) -> Result<()> {
        if config.task == Task::Rate {
            return config.check_size(self.movies().len());
        }
        match self {
            Self::Whole {
                interactions,
                split,
                candidates: Some(candidates),
                ..
            } => Ok(NextItemData::check(&**interactions, split, candidates)?),
            _ => Err(config.needs_candidates()),
        }
    }

    pub fn movies(&self) -> &Movies {
        match self {
            Self::Whole { interactions, .. } => &interactions.items,
            Self::Streamed { interactions, .. } => &interactions.items,
        }
    }

    pub fn left_out(&self) -> LeftOutRatings {
        let (left_out, by_split) = match self {
            Self::Whole {
                interactions,
                split,
                ..
            } => {
                let dropped = split.dropped().iter().map(|dropped| dropped.rows.len());
                (&interactions.left_out, dropped.sum())
            }
            Self::Streamed { interactions, .. } => (interactions.ratings.left_out(), 0),
        };
        LeftOutRatings {
            by_split,
            ..LeftOutRatings::of(left_out)
        }
    }

    /// The column of a table that is the target, if there is one.
    pub fn target_column(&self) -> Option<&str> {
        match self {
            Self::Whole { interactions, .. } => interactions.target_column.as_deref(),
            Self::Streamed { interactions, .. } => interactions.target_column.as_deref(),
        }
    }

    /// What the ratings say.
    pub fn target(&self) -> Target {
        match self {
            Self::Whole { interactions, .. } => interactions.ratings.target(),
            Self::Streamed { interactions, .. } => interactions.ratings.target(),
        }
    }

    pub fn genome(&self) -> Option<&Genome> {
        match self {
            Self::Whole { genome, .. } | Self::Streamed { genome, .. } => genome.as_ref(),
        }
    }
}

/// Ratings in memory as the configuration's preset wants them. The tables go: they are
/// half a gigabyte for 25 million ratings.
pub(crate) fn dataset(
    config: &ExperimentConfig,
    interactions: Interactions,
    split: Split,
    modalities: Vec<Modality>,
) -> Result<Dataset> {
    let mut data = Dataset::new(interactions, split, modalities)?;
    if draws(config, &data) {
        data = data.with_negatives(config.negatives)?;
    }
    match config.has_context() {
        true => Ok(data.with_context(config.context.of_batches())?),
        false => Ok(data),
    }
}

/// The same of ratings on disk; scratch files are made in `scratch`.
pub(crate) fn on_disk_dataset(
    config: &ExperimentConfig,
    interactions: StreamedInteractions,
    split: DiskSplit,
    modalities: Vec<Modality>,
    scratch: &Path,
) -> Result<StreamedDataset> {
    let data = StreamedDataset::new(interactions, split, modalities, scratch)?;
    match draws(config, &data) {
        true => Ok(data.with_negatives(config.negatives)?),
        false => Ok(data),
    }
}

/// Whether items are drawn beside interactions; lists draw what they need themselves.
fn draws(config: &ExperimentConfig, data: &dyn TrainingData) -> bool {
    data.features().target() == Target::Implicit && config.preset != Preset::Rank
}

/// How ratings that stay on disk are split, where they do.
fn on_disk(config: &ExperimentConfig) -> Result<Option<DiskSplit>> {
    let validation_share = config.validation;
    Ok(match (config.stream, &config.split) {
        (false, _) => None,
        (true, &SplitConfig::Random { test_share, seed }) => Some(
            RandomSplit {
                test_share,
                validation_share,
                seed,
            }
            .into(),
        ),
        (true, &SplitConfig::Temporal { test_share }) => Some(
            TemporalSplit {
                test_share,
                validation_share,
            }
            .into(),
        ),
        (true, _) => return Err(config.cannot_stream()),
    })
}

/// What is held out.
pub(crate) fn split_of(interactions: &Interactions, config: &SplitConfig) -> Result<Split> {
    let ratings = &interactions.ratings;
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
        SplitConfig::TestRows(path) => Split::from_test_rows(path, interactions),
        SplitConfig::Candidates(path) => {
            Candidates::read(path, interactions).and_then(|it| it.split(interactions))
        }
    };
    Ok(split?)
}
