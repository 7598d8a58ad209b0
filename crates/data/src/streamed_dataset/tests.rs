use super::*;
use crate::generate::{self, GeneratorConfig};
use crate::{Batch, Dataset, MovieLens, OpenOptions, Split};

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
    assert_eq!(test_users(&streamed), test_users(&memory));
}

fn test_users(data: &impl TrainingData) -> Vec<String> {
    let mut users = Vec::new();
    let take = |it: TestUser| {
        let trained = it.trained.iter().zip(it.trained_stars);
        let mut trained: Vec<String> = trained.map(|rated| format!("{rated:?}")).collect();
        trained.sort_unstable();
        let (user, held_out, validated) = (it.user, it.held_out, it.validated);
        users.push(format!("{user} {trained:?} {validated:?} {held_out:?}"));
        Ok::<_, Error>(())
    };
    data.for_each_test_user(take).unwrap();
    users
}

#[test]
fn ratings_beyond_32_bits_come_back_from_the_scratch_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut scattered = Scattered::new(Shuffle::new(3, 1), folder.path()).unwrap();
    // As if so many had been written before; the file has a hole there.
    scattered.rows = u64::from(u32::MAX) + 7;
    let start = SeekFrom::Start(scattered.rows * RATED_BYTES as u64);
    scattered.file.seek(start).unwrap();
    let sent = [1, 2, 3].map(|user| crate::rated::rated(user, 7, 3.5, 9));
    scattered.send(&sent).unwrap();
    let mut found = Vec::new();
    let take = &mut |rows: Vec<Rated>| {
        found.extend(rows);
        true
    };
    scattered.hand_out(2, take).unwrap();
    found.sort_unstable_by_key(|rated| rated.user);
    assert_eq!(found, sent);
}

#[test]
fn ratings_survive_the_scratch_file() {
    let rated = Rated {
        user: u32::MAX,
        movie: 7,
        stars: 3.5,
        timestamp: 1 << 31,
    };
    assert_eq!(from_bytes(&to_bytes(&rated)), rated);
}
