//! Ratings on disk give what ratings in memory give, and all of them.

use std::ops::ControlFlow;
use std::path::Path;

use mmdlrm::data::{
    Batch, Batches, DataFingerprint, OpenOptions, RandomSplit, Split, UnknownMovies, generate,
};
use mmdlrm::features::{Dataset, Features, StreamedDataset, TrainingData, UserRows};
use mmdlrm::model::Dlrm;
use mmdlrm::train::{
    Result, Session, TrainConfig, predict_test, predict_validation, rank_catalogue, train,
};
use mmdlrm::{Experiment, ExperimentConfig, Preset, Silent, Source};

const SEED: u64 = 9;
const SIZE: usize = 64;

/// A release with ratings of movies that its table lacks: some of most users, and all
/// of one in the midst of them.
fn write_release(dir: &Path) {
    let config = generate::GeneratorConfig {
        users: 60,
        movies: 80,
        ratings: 2000,
        seed: SEED,
        contents: false,
    };
    generate::write(dir, &config, |_| {}).unwrap();
    let path = dir.join("ratings.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let nobody = lines[lines.len() / 2].split(',').next().unwrap().to_owned();
    for (row, line) in lines.iter_mut().enumerate().skip(1) {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if row % 17 == 0 || fields[0] == nobody {
            fields[1] = format!("{}", 1_000_000 + row);
            *line = fields.join(",");
        }
    }
    std::fs::write(&path, lines.join("\n")).unwrap();
}

fn open(dir: &Path, scratch: &Path) -> (Dataset, StreamedDataset) {
    let options = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        ..OpenOptions::default()
    };
    let movielens = options.open(dir).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, SEED).unwrap();
    let split = split.with_validation(0.1, &movielens.ratings).unwrap();
    let memory = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let movielens = options.open_streamed(dir).unwrap();
    let split = RandomSplit {
        test_share: 0.2,
        validation_share: Some(0.1),
        seed: SEED,
    };
    let disk = StreamedDataset::new(movielens, split, Vec::new(), scratch).unwrap();
    (memory, disk)
}

fn batches(data: &dyn TrainingData) -> [Vec<Batch>; 4] {
    let all = |batches: Batches| batches.map(|batch| batch.unwrap()).collect();
    [
        all(data.training_batches(SIZE, 1)),
        all(data.training_batches_from(SIZE, 1, 3)),
        all(data.validation_batches(SIZE)),
        all(data.test_batches(SIZE)),
    ]
}

fn trained(data: &dyn TrainingData) -> Dlrm {
    let mut model = Dlrm::new(Preset::Dlrm.config(data.features(), 8), 42).unwrap();
    train_on(data, &mut model).unwrap();
    model
}

fn train_on(data: &dyn TrainingData, model: &mut Dlrm) -> Result<()> {
    let config = TrainConfig {
        epochs: 2,
        batch_size: SIZE,
        ..TrainConfig::default()
    };
    train(model, data, &config, Session::default())
}

#[test]
fn memory_and_disk_agree_to_the_bit_where_ratings_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    write_release(&dir);
    let (memory, disk) = open(&dir, folder.path());
    // Who rated no movie that there is does not count.
    assert_eq!(memory.features().users().len(), 59);
    let of = |features: &Features| {
        let (users, movies) = (features.users().clone(), features.movies().clone());
        (
            users,
            movies,
            features.user_counts(),
            features.movie_counts(),
        )
    };
    assert_eq!(of(disk.features()), of(memory.features()));
    let fingerprints = [disk.features(), memory.features()].map(Features::fingerprint);
    assert_eq!(fingerprints[0], fingerprints[1]);
    assert_eq!(batches(&disk), batches(&memory));
    let (on_disk, in_memory) = (trained(&disk), trained(&memory));
    assert_eq!(on_disk.parameters(), in_memory.parameters());
    let predictions = |model: &Dlrm, data: &dyn Fn(&Dlrm, &mut Vec<String>)| {
        let mut all = Vec::new();
        data(model, &mut all);
        all
    };
    let from_disk = predictions(&on_disk, &|model, all| predicted(model, &disk, all));
    let from_memory = predictions(&in_memory, &|model, all| predicted(model, &memory, all));
    assert_eq!(from_disk, from_memory);
}

/// Predictions of validation and test rows, and how well each user is ranked for.
fn predicted(model: &Dlrm, data: &dyn TrainingData, all: &mut Vec<String>) {
    let model = crate::scorer(model, data);
    predict_validation(&model, data, |rated| {
        all.extend(rated.iter().map(|rated| format!("{rated:?}")));
        Ok(())
    })
    .unwrap();
    predict_test(&model, data, |rated| {
        all.extend(rated.iter().map(|rated| format!("{rated:?}")));
        Ok(())
    })
    .unwrap();
    let ranked = |user, ndcg| {
        all.push(format!("{user} {ndcg}"));
        Ok(())
    };
    rank_catalogue(&model, data, 10, ranked).unwrap();
}

/// Data that say they have a row more than they hand out.
struct Short<'a>(&'a Dataset);

impl TrainingData for Short<'_> {
    fn features(&self) -> &Features {
        self.0.features()
    }

    fn training_rows(&self) -> usize {
        self.0.training_rows() + 1
    }

    fn validation_rows(&self) -> usize {
        self.0.validation_rows() + 1
    }

    fn test_rows(&self) -> usize {
        self.0.test_rows() + 1
    }

    fn fingerprint(&self) -> DataFingerprint {
        self.0.fingerprint()
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        self.0.training_batches_from(size, seed, first)
    }

    fn validation_batches(&self, size: usize) -> Batches {
        self.0.validation_batches(size)
    }

    fn test_batches(&self, size: usize) -> Batches {
        self.0.test_batches(size)
    }

    fn users(&self, take: &mut dyn FnMut(UserRows) -> ControlFlow<()>) -> mmdlrm::data::Result<()> {
        self.0.users(take)
    }
}

#[test]
fn figures_of_a_part_of_the_rows_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    write_release(&dir);
    let (data, _) = open(&dir, folder.path());
    let short = Short(&data);
    let mut model = Dlrm::new(Preset::Dlrm.config(data.features(), 8), 42).unwrap();
    let trained = train_on(&short, &mut model);
    let scorer = crate::scorer(&model, &short);
    let errors = [
        trained,
        predict_validation(&scorer, &short, |_| Ok(())),
        predict_test(&scorer, &short, |_| Ok(())),
        rank_catalogue(&scorer, &short, 10, |_, _| Ok(())).map(drop),
    ];
    let what = ["training", "validation", "held-out", "held-out"];
    for (error, what) in errors.into_iter().zip(what) {
        let message = error.unwrap_err().to_string();
        let is_told = message.contains(&format!(" {what} ratings came where there are "));
        assert!(is_told, "{message}");
    }
}

#[test]
fn streamed_runs_of_other_data_do_not_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let run = |name: &str, seed: u64| {
        let data = folder.path().join(name).join("data");
        let config = generate::GeneratorConfig {
            seed,
            contents: false,
            ..generate::GeneratorConfig::tiny()
        };
        generate::write(&data, &config, |_| {}).unwrap();
        let mut config = ExperimentConfig {
            source: Source::Folder {
                data: data.clone(),
                posters: None,
                summaries: None,
            },
            preset: Preset::Dlrm,
            stream: true,
            out: runs.join(name),
            ..ExperimentConfig::default()
        };
        config.train.epochs = 1;
        Experiment::new(config).unwrap().run(&mut Silent).unwrap();
        OpenOptions::cache_under(&runs.join("ratings-cache"), &data).unwrap()
    };
    let first = run("a", 1);
    let before = std::fs::read(first.join("ratings.parquet")).unwrap();
    let second = run("b", 2);
    assert_ne!(first, second);
    let after = std::fs::read(first.join("ratings.parquet")).unwrap();
    assert!(before == after, "another run wrote over the cache");
    let caches = std::fs::read_dir(runs.join("ratings-cache"))
        .unwrap()
        .count();
    assert_eq!(caches, 2);
}
