use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use mmdlrm_data::{
    Batches, DataFingerprint, Error, Modality, RandomSplit, Rated, RatedBags, Result, SplitPart,
    StreamedMovieLens, StreamedSplit,
};

use crate::purpose::Purpose;
use crate::{Features, TrainingData, UserRows};

/// Ratings on disk with a random split, and the [`Features`] of its training
/// rows.
///
/// Gives the same batches as a [`Dataset`](crate::Dataset) of the same ratings
/// with [`Split::random`](mmdlrm_data::Split::random) and, where rows are validated on,
/// [`Split::with_validation`](mmdlrm_data::Split::with_validation), and holds none of them: each
/// epoch sends the training rows to a scratch file in random buckets, 16 bytes
/// a rating, and reads these back one by one. Memory is that of the users, the
/// movies and at most 200 MiB, whatever the number of ratings and of threads.
pub struct StreamedDataset {
    features: Arc<Features>,
    split: StreamedSplit,
}

impl fmt::Debug for StreamedDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedDataset")
            .field("features", &self.features)
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}

impl StreamedDataset {
    /// Draws what is held out and fits the statistics on the training rows. Scratch
    /// files, which have no name, are made in the folder `scratch`.
    ///
    /// # Errors
    /// A share that leaves a side empty, or ratings that can no longer be read.
    pub fn new(
        movielens: StreamedMovieLens,
        split: RandomSplit,
        modalities: Vec<Modality>,
        scratch: &Path,
    ) -> Result<Self> {
        let StreamedMovieLens {
            movies, ratings, ..
        } = movielens;
        let split = StreamedSplit::new(ratings, split, scratch)?;
        let users = split.ratings().users().clone();
        let features = Features::fit(users, &movies, modalities, |take| {
            split.for_each_of(SplitPart::Train, |rated| {
                take(rated);
                Ok(())
            })
        })?;
        Ok(Self {
            features: Arc::new(features),
            split,
        })
    }

    fn held_batches(&self, size: usize, part: SplitPart) -> Batches {
        let split = self.split.clone();
        Purpose::Held.batches(&self.features, split.rows(part), move |take| {
            split.in_order(part, size, &mut |rows| take(rows.into()))
        })
    }
}

impl TrainingData for StreamedDataset {
    fn features(&self) -> &Features {
        &self.features
    }

    fn training_rows(&self) -> usize {
        self.split.rows(SplitPart::Train)
    }

    fn validation_rows(&self) -> usize {
        self.split.rows(SplitPart::Validation)
    }

    fn test_rows(&self) -> usize {
        self.split.rows(SplitPart::Test)
    }

    fn fingerprint(&self) -> DataFingerprint {
        let ratings = self.split.ratings().part().clone();
        let ratings: DataFingerprint = [ratings].into_iter().collect();
        let split = self.split.fingerprint();
        ratings.with(self.features.fingerprint()).with(split)
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        let rows = self.training_rows();
        let passed = first.saturating_mul(size.max(1)).min(rows);
        let split = self.split.clone();
        let purpose = Purpose::Train { seed, first };
        purpose.batches(&self.features, rows - passed, move |take| {
            split.shuffled(SplitPart::Train, size, seed, first, &mut |rows| {
                take(rows.into())
            })
        })
    }

    fn validation_batches(&self, size: usize) -> Batches {
        self.held_batches(size, SplitPart::Validation)
    }

    fn test_batches(&self, size: usize) -> Batches {
        self.held_batches(size, SplitPart::Test)
    }

    fn users(&self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> Result<()> {
        let mut current = OneUser::default();
        let passed = self.split.for_each::<Stop>(|part, rated| {
            if rated.user != current.user {
                current.hand_out(take)?;
                if rated.user < current.user {
                    return Err(Stop::Failed(Error::Setting {
                        setting: "order of the ratings",
                        value: "not that of the users".to_owned(),
                        rule: "users' ratings on disk must stand together to be ranked; \
                               sort the file by user, or load it whole",
                    }));
                }
                current.user = rated.user;
            }
            current.rows_of(part).push(*rated);
            Ok(())
        });
        match passed.and_then(|()| current.hand_out(take)) {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::BrokenOff) | Ok(()) => Ok(()),
        }
    }
}

/// Why users are no longer handed out.
enum Stop {
    /// Nobody wants more.
    BrokenOff,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The ratings of a user, while they pass by.
#[derive(Default)]
struct OneUser {
    user: u32,
    trained: Vec<Rated>,
    validated: Vec<Rated>,
    held_out: Vec<Rated>,
}

impl OneUser {
    fn rows_of(&mut self, part: SplitPart) -> &mut Vec<Rated> {
        match part {
            SplitPart::Train => &mut self.trained,
            SplitPart::Validation => &mut self.validated,
            SplitPart::Test => &mut self.held_out,
        }
    }

    /// Hands out the user, if there are any ratings, and forgets it.
    fn hand_out(&mut self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> Result<(), Stop> {
        let bag = |rows: &mut Vec<Rated>| {
            let rows = std::mem::take(rows).into_iter();
            RatedBags::of_users(1, rows.map(|rated| Rated { user: 0, ..rated }))
        };
        let bags = [&mut self.trained, &mut self.validated, &mut self.held_out].map(bag);
        if bags.iter().all(|bag| bag.ratings() == 0) {
            return Ok(());
        }
        let [trained, validated, held_out] = bags.each_ref().map(|bag| bag.row(0));
        let rows = UserRows {
            user: self.user,
            trained,
            validated,
            held_out,
        };
        match take(rows) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::BrokenOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::generate::{self, GeneratorConfig};
    use mmdlrm_data::{Batch, MovieLens, OpenOptions, Split};

    use super::*;
    use crate::Dataset;

    #[test]
    fn streamed_batches_are_those_of_memory() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let config = GeneratorConfig {
            contents: false,
            ..GeneratorConfig::default()
        };
        generate::write(&dir, &config, |_| {}).unwrap();
        let movielens = MovieLens::open(&dir).unwrap();
        let split = Split::random(movielens.ratings.len(), 0.2, 5).unwrap();
        let split = split.with_validation(0.1, &movielens.ratings).unwrap();
        let memory = Dataset::new(&movielens, split, Vec::new()).unwrap();
        let streamed = OpenOptions::default().open_streamed(&dir).unwrap();
        let split = RandomSplit {
            test_share: 0.2,
            validation_share: Some(0.1),
            seed: 5,
        };
        let streamed = StreamedDataset::new(streamed, split, Vec::new(), folder.path()).unwrap();
        assert_eq!(streamed.training_rows(), memory.training_rows());
        let all = |batches: Batches| -> Vec<Batch> { batches.map(Result::unwrap).collect() };
        assert_eq!(
            all(streamed.training_batches(1000, 9)),
            all(memory.training_batches(1000, 9))
        );
        let (later, whole) = (
            all(streamed.training_batches_from(1000, 9, 3)),
            all(memory.training_batches(1000, 9)),
        );
        assert_eq!(later, whole[3..]);
        assert_eq!(later, all(memory.training_batches_from(1000, 9, 3)));
        assert_eq!(
            all(streamed.validation_batches(999)),
            all(memory.validation_batches(999))
        );
        assert_eq!(
            all(streamed.test_batches(999)),
            all(memory.test_batches(999))
        );
        assert_eq!(users_of(&streamed), users_of(&memory));
    }

    fn users_of(data: &dyn TrainingData) -> Vec<String> {
        let mut users = Vec::new();
        let take = |rows: UserRows| {
            users.push(format!("{rows:?}"));
            Ok::<_, Error>(())
        };
        data.for_each_user(take).unwrap();
        users
    }
}
