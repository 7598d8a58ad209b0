//! What an experiment reads: ratings, posters, plots and what encodes them, other vectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmdlrm_data::{
    Candidates, Credits, DataFingerprint, Genome, IdMap, InteractionFiles, Interactions, Modality,
    MovieLens, Movies, OpenOptions, Poster, RandomSplit, Split, StreamedMovieLens, Summary, Target,
    Unmatched, generate, read_posters, read_summaries,
};
use mmdlrm_features::{Dataset, NegativeSampling, TrainingData};
use mmdlrm_train::NextItemData;

use crate::device::device;
use crate::load;
use crate::made_from::{MadeFrom, Opened};
use crate::modalities::{Encoders, Modalities, ModalityEncoder};
use crate::report::LeftOutRatings;
use crate::vectors::note_left_out;
use crate::{
    Error, ExperimentConfig, Observer, Preset, Result, Source, SplitConfig, Stage, Task,
    VectorsFile,
};

/// Read, and not yet encoded.
pub(crate) struct Sources {
    pub release: Release,
    /// Where there is something to encode that the model looks at.
    pub encoder: Option<ModalityEncoder>,
    /// All of them, whether the model looks at them or not.
    pub posters: Vec<Poster>,
    /// Of files, a modality each: of credits, and those that were computed elsewhere.
    pub vectors: Vec<Modality>,
    pub made_from: MadeFrom,
}

impl Sources {
    /// Reads everything that the configuration names. Of a run that is `opened` it must be
    /// what that was made from, which is found out before anything is encoded.
    pub fn open(
        config: &ExperimentConfig,
        opened: Option<Opened>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        Self::of(config, Ok, opened, observer)
    }

    /// Reads the same for a new run, but, where the configuration names candidates, of their users
    /// and movies alone.
    pub fn open_part(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        Self::of(config, |ratings| ratings.part(config), None, observer)
    }

    /// `part` takes what is wanted of the ratings, once posters and plots are known to be of
    /// movies of the release.
    fn of(
        config: &ExperimentConfig,
        part: impl FnOnce(Ratings) -> Result<Ratings>,
        opened: Option<Opened>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        device(&config.device)?;
        observer.begin(Stage::ReadData, 0);
        let Contents {
            ratings,
            posters,
            summaries,
            mut vectors,
        } = Contents::read(config, observer)?;
        let ratings = part(ratings)?;
        check_target(config, &ratings)?;
        let movies = ratings.movies().index();
        for vectors in &mut vectors {
            if *vectors.movies() != movies {
                *vectors = vectors.among(&movies);
            }
        }
        vectors.extend(read_vectors(config, &movies)?);
        let looks = config.preset.uses_modalities();

        let mut data = ratings.fingerprint();
        if looks && !posters.is_empty() {
            data = data.with(DataFingerprint::of_posters(&posters));
        }
        if looks && !summaries.is_empty() {
            data = data.with(DataFingerprint::of_plots(&summaries));
        }
        data = data.with(vectors.iter().map(Modality::part).collect());
        if let Some(opened) = opened {
            opened.check_data(&data)?;
        }
        let (release, split) = ratings.hold_out(config)?;
        if let Some(opened) = opened {
            opened.check_split(&split)?;
        }
        release.check_task(config)?;
        observer.end();
        let mut encoders = None;
        if looks && !(posters.is_empty() && summaries.is_empty()) {
            observer.begin(Stage::LoadEncoders, 0);
            let wanted = (!posters.is_empty(), !summaries.is_empty());
            let loaded = load::load(config, wanted, || Ok(summaries.clone()))?;
            encoders = Some(loaded);
            observer.end();
        }
        let used = encoders.as_ref().map(Encoders::used).unwrap_or_default();
        let made_from = match opened {
            Some(opened) => {
                opened.check_encoders(&used)?;
                opened.made_from.clone()
            }
            None => MadeFrom::new(config, data, split, used)?,
        };
        let encoder = encoders.map(|encoders| {
            let folder = beside(&config.out);
            let posters = posters.clone();
            ModalityEncoder::with(encoders, config.long_texts, posters, summaries, &folder)
        });
        let encoder = encoder.transpose()?;
        Ok(Self {
            release,
            encoder,
            posters,
            vectors,
            made_from,
        })
    }

    /// Encodes what the store lacks; the genome, where it is used, is a modality more, and so
    /// are vectors of files.
    pub fn encode(&mut self, observer: &mut dyn Observer) -> Result<Modalities> {
        let movies = self.release.movies().index();
        let mut modalities = match &mut self.encoder {
            None => Modalities::default(),
            Some(encoder) => encoder.encode(&movies, observer)?,
        };
        if let Some(genome) = self.release.genome() {
            let genome = genome.modality(&movies)?;
            note_left_out("the tag genome", &genome, observer);
            modalities.list.push(genome);
        }
        for vectors in self.vectors.drain(..) {
            let what = format!("the vectors '{}'", vectors.name());
            note_left_out(&what, &vectors, observer);
            modalities.list.push(vectors);
        }
        Ok(modalities)
    }
}

/// Credits, and vectors that were computed elsewhere.
fn read_vectors(config: &ExperimentConfig, movies: &IdMap) -> Result<Vec<Modality>> {
    let credits = config.credits.iter().map(|path| {
        let credits = Credits::read(path)?.modality(movies)?;
        match credits.present() {
            0 => Err(Error::CreditsOfNone { path: path.clone() }),
            _ => Ok(credits),
        }
    });
    let mut modalities = credits.collect::<Result<Vec<_>>>()?;
    modalities.extend(VectorsFile::read_all(&config.vectors, movies)?);
    Ok(modalities)
}

/// Loads the encoders of a run once more: of posters and of plots, where they are wanted. Only
/// an untrained one needs the plots that it was made for.
pub(crate) fn load_again(config: &ExperimentConfig, wanted: (bool, bool)) -> Result<Encoders> {
    load::load(config, wanted, || match (&config.source, places(config)) {
        (Source::Tables(files), _) => Ok(Arc::unwrap_or_clone(files.open()?.texts)),
        (_, Some((_, _, Some(summaries)))) => Ok(read_summaries(&summaries, None)?),
        _ => Ok(Vec::new()),
    })
}

/// All that is read before anything is encoded.
struct Contents {
    ratings: Ratings,
    posters: Vec<Poster>,
    summaries: Vec<Summary>,
    /// Those that come with the items.
    vectors: Vec<Modality>,
}

impl Contents {
    fn read(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        if let Source::Tables(files) = &config.source {
            return Self::of_tables(files, observer);
        }
        let (dir, posters_csv, summaries_csv) = locate(config)?;
        let ratings = Ratings::read(&dir, config)?;
        let movies = Some(ratings.movies());
        let posters = posters_csv.map(|path| read_posters(&path, movies));
        let posters = posters.transpose()?.unwrap_or_default();
        let summaries = summaries_csv.map(|path| read_summaries(&path, movies));
        let summaries = summaries.transpose()?.unwrap_or_default();
        Ok(Self {
            ratings,
            posters,
            summaries,
            vectors: Vec::new(),
        })
    }

    fn of_tables(files: &InteractionFiles, observer: &mut dyn Observer) -> Result<Self> {
        let mut interactions = files.open()?;
        let Unmatched {
            items,
            idle_users,
            unknown_users,
            ..
        } = interactions.unmatched;
        for (count, what) in [
            (items, "items of the table of items have no interaction"),
            (
                idle_users,
                "users of the table of users have no interaction and are left out",
            ),
            (
                unknown_users,
                "users are not in the table of users: nothing else is known of them",
            ),
        ] {
            if count > 0 {
                observer.note(&format!("{count} {what}"));
            }
        }
        Ok(Self {
            posters: Arc::unwrap_or_clone(std::mem::take(&mut interactions.images)),
            summaries: Arc::unwrap_or_clone(std::mem::take(&mut interactions.texts)),
            vectors: Arc::unwrap_or_clone(std::mem::take(&mut interactions.vectors)),
            ratings: Ratings::Whole(interactions, None),
        })
    }
}

/// Refuses what the target of the data does not allow.
fn check_target(config: &ExperimentConfig, ratings: &Ratings) -> Result<()> {
    let target = match ratings {
        Ratings::Whole(interactions, _) => interactions.ratings.target(),
        Ratings::Streamed(..) => Target::STARS,
    };
    let draws = target == Target::Implicit && config.preset != Preset::Rank;
    if config.negatives != NegativeSampling::default() && !draws {
        return Err(Error::Setting {
            setting: "negatives",
            value: config.negatives.per_interaction.to_string(),
            rule: "they are drawn beside interactions without a target, and the preset rank scores \
                   all items in their place; leave them out",
        });
    }
    let Ratings::Whole(interactions, _) = ratings else {
        return Ok(());
    };
    let needs_times = match &config.split {
        SplitConfig::Temporal { .. } => Some("temporal"),
        SplitConfig::LeaveLastOut { .. } => Some("leave-last-out"),
        _ => None,
    };
    if let (Some(split), false) = (needs_times, interactions.has_times) {
        return Err(Error::Setting {
            setting: "split",
            value: split.to_owned(),
            rule: "the interactions have no time; name its column, or split them at random",
        });
    }
    if config.preset == Preset::Best && target.is_probability() {
        return Err(Error::Setting {
            setting: "preset",
            value: format!("best, of data whose target is {target}"),
            rule: "it predicts ratings of a scale; choose mmdlrm or rank",
        });
    }
    Ok(())
}

/// What was read, its ratings in memory or on disk.
enum Ratings {
    Whole(Interactions, Option<Genome>),
    Streamed(StreamedMovieLens, RandomSplit),
}

impl Ratings {
    fn read(dir: &Path, config: &ExperimentConfig) -> Result<Self> {
        let mut options = OpenOptions {
            unknown_movies: config.unknown_movies,
            duplicates: config.duplicates,
            genome: config.genome,
            ..OpenOptions::default()
        };
        if let (true, SplitConfig::Random { test_share, seed }) = (config.stream, &config.split) {
            let caches = beside(&config.out).join("ratings-cache");
            options.cache = Some(OpenOptions::cache_under(&caches, dir)?);
            let split = RandomSplit {
                test_share: *test_share,
                validation_share: config.validation,
                seed: *seed,
            };
            return Ok(Self::Streamed(options.open_streamed(dir)?, split));
        }
        let movielens: MovieLens = options.open(dir)?;
        let interactions = Interactions::from(&movielens);
        Ok(Self::Whole(interactions, movielens.genome))
    }

    /// Of the users and movies of the configuration's candidates alone, where it has any.
    fn part(self, config: &ExperimentConfig) -> Result<Self> {
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

    fn movies(&self) -> &Movies {
        match self {
            Self::Whole(interactions, _) => &interactions.items,
            Self::Streamed(movielens, _) => &movielens.movies,
        }
    }

    fn fingerprint(&self) -> DataFingerprint {
        match self {
            Self::Whole(interactions, genome) => {
                let genome = genome.iter().map(Genome::part).collect();
                interactions.fingerprint().with(genome)
            }
            Self::Streamed(movielens, _) => movielens.fingerprint(),
        }
    }

    /// Holds out what the configuration says, and says what that is.
    fn hold_out(self, config: &ExperimentConfig) -> Result<(Release, DataFingerprint)> {
        let (interactions, genome) = match self {
            Self::Whole(interactions, genome) => (interactions, genome),
            Self::Streamed(movielens, split) => {
                let rows = split.fingerprint(movielens.ratings.len())?;
                return Ok((Release::Streamed { movielens, split }, rows));
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
        movielens: StreamedMovieLens,
        split: RandomSplit,
    },
}

impl Release {
    /// Whether a model of the configuration's size can be made, and, where it is to rank,
    /// whether there is something to learn from.
    fn check_task(&self, config: &ExperimentConfig) -> Result<()> {
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
            Self::Streamed { movielens, .. } => &movielens.movies,
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
            Self::Streamed { movielens, .. } => (movielens.ratings.left_out(), 0),
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
            Self::Streamed { .. } => None,
        }
    }

    /// What the ratings say.
    pub fn target(&self) -> Target {
        match self {
            Self::Whole { interactions, .. } => interactions.ratings.target(),
            Self::Streamed { .. } => Target::STARS,
        }
    }

    pub fn genome(&self) -> Option<&Genome> {
        match self {
            Self::Whole { genome, .. } => genome.as_ref(),
            Self::Streamed { movielens, .. } => movielens.genome.as_ref(),
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
    // Lists draw what they need themselves.
    if data.features().target() == Target::Implicit && config.preset != Preset::Rank {
        data = data.with_negatives(config.negatives)?;
    }
    match config.has_context() {
        true => Ok(data.with_context(config.context.of_batches())?),
        false => Ok(data),
    }
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

/// Paths of the MovieLens folder, the posters and the plots, the sample's too. Each sample has
/// a folder of its own: another run may be reading it. Tables have none.
fn places(config: &ExperimentConfig) -> Option<(PathBuf, Option<PathBuf>, Option<PathBuf>)> {
    Some(match &config.source {
        Source::Tables(_) => return None,
        Source::Folder {
            data,
            posters,
            summaries,
        } => (data.clone(), posters.clone(), summaries.clone()),
        Source::Sample(sample) => {
            let dir = beside(&config.out).join(sample.folder_name());
            let contents = |name| sample.contents.then(|| dir.join(name));
            let (posters, summaries) = (contents("posters.csv"), contents("summaries.csv"));
            (dir, posters, summaries)
        }
    })
}

/// The same; the sample is written where it is not there yet.
fn locate(config: &ExperimentConfig) -> Result<(PathBuf, Option<PathBuf>, Option<PathBuf>)> {
    let places = places(config).ok_or(Error::Setting {
        setting: "source",
        value: "tables".to_owned(),
        rule: "they are in no folder",
    })?;
    if let Source::Sample(sample) = &config.source {
        generate::write(&places.0, sample, |_| {})?;
    }
    Ok(places)
}

/// The folder that the run's folder is in.
fn beside(out: &Path) -> PathBuf {
    match (out.file_name(), out.parent()) {
        (Some(_), Some(parent)) if parent != Path::new("") => parent.to_owned(),
        (Some(_), _) => PathBuf::from("."),
        // `.` and `..` do not name the folder that they are in.
        (None, _) => out.join(".."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_run_is_in_the_folder_above_it_however_that_is_named() {
        for (out, folder) in [
            ("runs/latest", "runs"),
            ("latest", "."),
            ("runs/", "."),
            (".", "./.."),
            ("runs/..", "runs/../.."),
            ("/", "/.."),
        ] {
            assert_eq!(beside(Path::new(out)), Path::new(folder), "{out}");
        }
    }
}
