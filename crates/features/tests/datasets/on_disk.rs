//! Anybody's rows on disk make the batches that they make in memory.

use mmdlrm_data::generate::PlantedShop;
use mmdlrm_data::{
    Batch, Batches, Duplicates, Error, InteractionFiles, RandomSplit, Split, TemporalSplit,
};
use mmdlrm_features::{
    Dataset, DrawnBy, NegativeSampling, StreamedDataset, TrainingData, UserRows,
};

fn all(batches: Batches) -> Vec<Batch> {
    batches.map(Result::unwrap).collect()
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

fn same(disk: &StreamedDataset, memory: &Dataset) {
    assert_eq!(disk.fingerprint(), memory.fingerprint());
    assert_eq!(disk.rows_of_epoch(), memory.rows_of_epoch());
    let whole = all(memory.training_batches(1000, 9));
    assert_eq!(all(disk.training_batches(1000, 9)), whole);
    for first in [1, 3, whole.len() - 1, whole.len() + 5] {
        let rest = whole.get(first..).unwrap_or_default();
        assert_eq!(all(disk.training_batches_from(1000, 9, first)), rest);
    }
    assert_eq!(
        all(disk.validation_batches(99)),
        all(memory.validation_batches(99))
    );
    assert_eq!(all(disk.test_batches(99)), all(memory.test_batches(99)));
    assert_eq!(users_of(disk), users_of(memory));
}

#[test]
fn batches_with_what_is_drawn_beside_them_are_those_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let shop = PlantedShop {
        customers: 60,
        products: 40,
        purchases: 3_000,
        ..PlantedShop::default()
    };
    shop.write(folder.path()).unwrap();
    let mut files = InteractionFiles {
        interactions: folder.path().join("purchases.parquet"),
        users: Some(folder.path().join("customers.csv")),
        items: Some(folder.path().join("products.parquet")),
        ..InteractionFiles::default()
    };
    files.options.duplicates = Some(Duplicates::KeepAll);
    let memory = files.open().unwrap();
    let disk = || files.open_streamed(folder.path()).unwrap();
    for by in [DrawnBy::Uniform, DrawnBy::Popularity] {
        let sampling = NegativeSampling {
            per_interaction: 3,
            by,
        };
        let split = Split::temporal(&memory.ratings, 0.2).unwrap();
        let split = split.with_validation(0.1, &memory.ratings).unwrap();
        let in_memory = Dataset::new(&memory, split, Vec::new()).unwrap();
        let in_memory = in_memory.with_negatives(sampling).unwrap();
        let split = TemporalSplit {
            test_share: 0.2,
            validation_share: Some(0.1),
        };
        let on_disk = StreamedDataset::new(disk(), split, Vec::new(), folder.path()).unwrap();
        same(&on_disk.with_negatives(sampling).unwrap(), &in_memory);
    }
}

#[test]
fn ratings_of_any_scale_are_learned_from_disk_as_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..900u32).map(|row| {
        let (user, item) = (row * 7 % 30, row * 11 % 50);
        format!(
            "{user},{item},{},{}\n",
            row * 13 % 101,
            1_600_000_000 + row % 200
        )
    });
    let text = "user,item,rating,time\n".to_owned() + &rows.collect::<String>();
    let path = folder.path().join("reviews.csv");
    std::fs::write(&path, text).unwrap();
    let mut files = InteractionFiles {
        interactions: path,
        ..InteractionFiles::default()
    };
    files.options.duplicates = Some(Duplicates::KeepLatest);
    let memory = files.open().unwrap();
    let split = Split::random(memory.ratings.len(), 0.2, 4).unwrap();
    let split = split.with_validation(0.2, &memory.ratings).unwrap();
    let memory = Dataset::new(&memory, split, Vec::new()).unwrap();
    let split = RandomSplit {
        test_share: 0.2,
        validation_share: Some(0.2),
        seed: 4,
    };
    let disk = files.open_streamed(folder.path()).unwrap();
    let disk = StreamedDataset::new(disk, split, Vec::new(), folder.path()).unwrap();
    same(&disk, &memory);
    let error = disk.with_negatives(NegativeSampling::default());
    assert!(error.unwrap_err().to_string().contains("no target"));
}
