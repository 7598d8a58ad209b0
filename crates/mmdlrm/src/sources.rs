//! What an experiment reads: ratings, posters, plots and what encodes them, other vectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmdlrm_data::{
    Credits, DataFingerprint, IdMap, InteractionFiles, Modality, Poster, Summary, Unmatched,
    generate,
};

use crate::device::device;
use crate::load;
use crate::made_from::{MadeFrom, Opened};
use crate::modalities::{Encoders, Modalities, ModalityEncoder};
use crate::release::{Ratings, Release};
use crate::vectors::note_left_out;
use crate::{Error, ExperimentConfig, Observer, Result, Source, Stage, VectorsFile};

/// Read, and not yet encoded.
pub(crate) struct Sources {
    pub release: Release,
    /// Where there is something to encode that the model looks at.
    pub encoder: Option<ModalityEncoder>,
    /// All of them, whether the model looks at them or not.
    pub posters: Vec<Poster>,
    /// Of files, a modality each: of credits, and those that were computed elsewhere.
    pub vectors: Vec<Modality>,
    /// Rows of posters and of plots that cannot be used.
    left_out: (usize, usize),
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
            left_out,
        } = Contents::read(config, observer)?;
        let ratings = part(ratings)?;
        ratings.check(config)?;
        if let (Source::Folder { data, .. }, false) = (&config.source, ratings.has_times()) {
            observer.note(&format!(
                "the ratings of {} have no column of times (timestamp): nothing is learned of when \
                 they were given",
                data.display()
            ));
        }
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
            let loaded = load::load(config, wanted, || match left_out.1 {
                0 => Ok(summaries.clone()),
                // Who loads the encoders again knows of no movies.
                _ => plots_of(config),
            })?;
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
            left_out,
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
        (modalities.left_out_posters, modalities.left_out_summaries) = self.left_out;
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
    load::load(config, wanted, || plots_of(config))
}

/// The plots of all movies, those that the release lacks too.
fn plots_of(config: &ExperimentConfig) -> Result<Vec<Summary>> {
    match (&config.source, places(config)) {
        (Source::Tables(files), _) => Ok(Arc::unwrap_or_clone(files.open()?.texts)),
        (_, Some((_, _, Some(summaries)))) => Ok(Summary::read_all(&summaries, None)?.rows),
        _ => Ok(Vec::new()),
    }
}

/// All that is read before anything is encoded.
struct Contents {
    ratings: Ratings,
    posters: Vec<Poster>,
    summaries: Vec<Summary>,
    /// Those that come with the items.
    vectors: Vec<Modality>,
    /// Rows of posters and of plots that cannot be used.
    left_out: (usize, usize),
}

impl Contents {
    fn read(config: &ExperimentConfig, observer: &mut dyn Observer) -> Result<Self> {
        if let Source::Tables(files) = &config.source {
            return Self::of_tables(files, config, observer);
        }
        let (dir, posters_csv, summaries_csv) = locate(config)?;
        let ratings = Ratings::of_folder(&dir, config)?;
        let movies = Some(ratings.movies());
        let posters = posters_csv.map(|path| Poster::read_all(&path, movies));
        let posters = posters.transpose()?.unwrap_or_default();
        let summaries = summaries_csv.map(|path| Summary::read_all(&path, movies));
        let summaries = summaries.transpose()?.unwrap_or_default();
        for note in posters.left_out.notes().chain(summaries.left_out.notes()) {
            observer.note(&note);
        }
        Ok(Self {
            left_out: (posters.left_out.rows(), summaries.left_out.rows()),
            ratings,
            posters: posters.rows,
            summaries: summaries.rows,
            vectors: Vec::new(),
        })
    }

    fn of_tables(
        files: &InteractionFiles,
        config: &ExperimentConfig,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let mut ratings = Ratings::of_tables(files, config)?;
        let Unmatched {
            items,
            idle_users,
            unknown_users,
            ..
        } = ratings.unmatched();
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
        let (posters, summaries, vectors) = ratings.take_contents();
        Ok(Self {
            ratings,
            posters,
            summaries,
            vectors,
            left_out: (0, 0),
        })
    }
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
pub(crate) fn beside(out: &Path) -> PathBuf {
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
