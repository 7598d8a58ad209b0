//! The very same data have one fingerprint, in memory and on disk, for every version.

use std::path::Path;

use mmdlrm_data::generate::{self, GeneratorConfig};
use mmdlrm_data::{DataFingerprint, MovieLens, OpenOptions, RandomSplit, Split, read_summaries};
use mmdlrm_features::{Dataset, StreamedDataset, TrainingData};

fn made_up(dir: &Path, config: &GeneratorConfig) {
    generate::write(dir, config, |_| {}).unwrap();
}

#[test]
fn training_data_have_one_fingerprint_in_memory_and_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    made_up(&dir, &GeneratorConfig::tiny());
    let movielens = MovieLens::open(&dir).unwrap();
    let split = Split::random(300, 0.2, 5).unwrap();
    let memory = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let streamed = OpenOptions::default().open_streamed(&dir).unwrap();
    assert_eq!(streamed.fingerprint(), movielens.fingerprint());
    let drawn = RandomSplit {
        seed: 5,
        ..RandomSplit::default()
    };
    let streamed = StreamedDataset::new(streamed, drawn, Vec::new(), folder.path()).unwrap();
    assert_eq!(streamed.fingerprint(), memory.fingerprint());

    let other = Split::random(300, 0.2, 6).unwrap();
    let other = Dataset::new(&movielens, other, Vec::new()).unwrap();
    let changes = memory.fingerprint().changes(&other.fingerprint());
    let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["statistics", "training rows", "test rows"]);
}

#[test]
fn fingerprints_are_the_same_on_every_machine_and_for_every_version() {
    // Written down once: with other values, no run that was saved before could be opened.
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    made_up(&dir, &GeneratorConfig::tiny());
    let movielens = MovieLens::open(&dir).unwrap();
    let plots = read_summaries(&dir.join("summaries.csv"), None).unwrap();
    let plots = DataFingerprint::of_plots(&plots);
    let split = Split::random(300, 0.2, 42).unwrap();
    let data = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let data = data.with_context(Default::default()).unwrap();
    let digests = [
        movielens.fingerprint(),
        plots,
        data.split().fingerprint(),
        data.features().fingerprint(),
    ];
    assert_eq!(digests.map(|it| it.digest()), DIGESTS);
}

const DIGESTS: [&str; 4] = [
    "51e7e39edca0fac1f46d369085cb4fab",
    "4a72921310055646bf4be0084d0aee7b",
    "caee56829476800562e65dab6734b550",
    "bb6956d48a8ea4c2abef784ef906b354",
];
