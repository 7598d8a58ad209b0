//! What a model knows of the data is the same out of files.

use std::path::Path;

use mmdlrm_data::generate::{self, GeneratorConfig};
use mmdlrm_data::{
    Batch, ColumnView, IdMap, Modality, MovieLens, OpenOptions, RandomSplit, Rated, Split,
};
use mmdlrm_features::{
    ContextConfig, Dataset, Features, Histories, Known, NewMovie, Sequences, StreamedDataset,
    TrainingData,
};

const SPLIT: RandomSplit = RandomSplit {
    test_share: 0.2,
    validation_share: Some(0.1),
    seed: 3,
};

fn sample(folder: &Path) -> MovieLens {
    let config = GeneratorConfig {
        contents: false,
        ..GeneratorConfig::tiny()
    };
    generate::write(&folder.join("data"), &config, |_| {}).unwrap();
    MovieLens::open(folder.join("data")).unwrap()
}

/// With vectors of every other movie.
fn dataset(movielens: &MovieLens) -> Dataset {
    let movies = movielens.movies.index();
    let vectors: Vec<(u32, [f32; 2])> = movies
        .ids()
        .iter()
        .step_by(2)
        .map(|&id| (id, [id as f32, 1.0 / id as f32]))
        .collect();
    let vectors = vectors.iter().map(|(id, vector)| (*id, vector.as_slice()));
    let sound = Modality::standardized("sound", 2, &movies, vectors).unwrap();
    let split = Split::random(movielens.ratings.len(), SPLIT.test_share, SPLIT.seed).unwrap();
    let split = split.with_validation(0.1, &movielens.ratings).unwrap();
    Dataset::new(movielens, split, vec![sound]).unwrap()
}

/// Everything that a model that is asked looks at.
fn seen(features: &Features) -> Vec<Batch> {
    let of_new_user = [(0, 4.5), (3, 1.0)].map(|(movie, stars)| Rated {
        user: 0,
        movie,
        stars,
        timestamp: features.latest(),
    });
    let new_movie = features.with_new_movie(&NewMovie {
        year: Some(1999),
        genres: features.genre_names()[..1].to_vec(),
        vectors: vec![("sound".to_owned(), vec![7.0, 0.5])],
    });
    let movie = features.movies().len() as u32;
    let new_movie = new_movie.unwrap();
    vec![
        features.catalogue_batch(0),
        features.catalogue_batch(features.users().len() as u32 - 1),
        features.for_new_user(&of_new_user).catalogue_batch(0),
        new_movie.test_batch(&[new_movie.unrated(1, movie)]),
    ]
}

#[test]
fn features_of_a_file_give_the_same_batches() {
    let folder = tempfile::tempdir().unwrap();
    let movielens = sample(folder.path());
    let without_times = ContextConfig {
        timestamps: false,
        ..ContextConfig::default()
    };
    for context in [None, Some(ContextConfig::default()), Some(without_times)] {
        let mut data = dataset(&movielens);
        if let Some(context) = context {
            data = data.with_context(context).unwrap();
        }
        let file = data.features().to_safetensors().unwrap();
        let histories = Histories::of(&data).unwrap();
        let read = |file: &[u8]| Features::from_safetensors(file, &movielens.movies, &histories);
        let again = read(&file).unwrap();
        assert!(seen(&again) == seen(data.features()), "{context:?}");
        assert!(again.to_safetensors().unwrap() == file);
        // Whatever is not as it was written.
        for place in (0..file.len()).step_by(97) {
            let mut damaged = file.clone();
            damaged[place] ^= 1 << (place % 8);
            let changed = read(&damaged);
            // A name of no account: what another run is called, spaces behind the header.
            let same = |features: &Features| seen(features) == seen(data.features());
            assert!(
                changed.is_err() || changed.is_ok_and(|it| same(&it)),
                "{place}"
            );
        }
        for length in [0, 7, 100, file.len() / 2, file.len() - 1] {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn histories_of_a_file_are_those_of_memory_wherever_the_ratings_lay() {
    let folder = tempfile::tempdir().unwrap();
    let movielens = sample(folder.path());
    let split = Split::random(movielens.ratings.len(), SPLIT.test_share, SPLIT.seed).unwrap();
    let split = split.with_validation(0.1, &movielens.ratings).unwrap();
    let memory = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let streamed = OpenOptions::default().open_streamed(folder.path().join("data"));
    let streamed = StreamedDataset::new(streamed.unwrap(), SPLIT, vec![], folder.path()).unwrap();
    let [one, other] = ["memory", "streamed"].map(|name| folder.path().join(name));
    let write = |data: &dyn TrainingData, path: &Path| {
        let file = std::fs::File::create(path).unwrap();
        Histories::write(data, "a run", &file, path).unwrap();
    };
    write(&memory, &one);
    write(&streamed, &other);
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&other).unwrap());

    let movies = movielens.movies.len();
    let file = Histories::open(&one, "a run", movies).unwrap();
    let of_memory = Histories::of(&memory).unwrap();
    assert_eq!(file.ratings(), movielens.ratings.len());
    for user in 0..file.users() as u32 + 2 {
        let rated = file.user(user).unwrap();
        assert_eq!(rated, of_memory.user(user).unwrap());
        let rows = rated.rows();
        let parts = [rows.trained, rows.validated, rows.held_out];
        let all: usize = parts.iter().map(|part| part.len()).sum();
        assert_eq!(rated.all().len(), all);
    }
    assert_eq!(&file.trained().unwrap(), memory.user_histories());
    assert!(Histories::open(&one, "another", movies).is_err());
    let whole = std::fs::read(&one).unwrap();
    for place in (0..whole.len()).step_by(61) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&other, damaged).unwrap();
        let opened = Histories::open(&other, "a run", movies);
        let read = opened.and_then(|opened| {
            let users = 0..opened.users() as u32;
            users
                .map(|user| opened.user(user))
                .collect::<Result<Vec<_>, _>>()
        });
        assert!(read.is_err(), "{place}");
    }
    // A movie that the catalogue lacks is found when its user comes.
    let few = Histories::open(&one, "a run", 3).unwrap();
    let error = few.trained().unwrap_err().to_string();
    assert!(error.contains("a movie that there is not"), "{error}");
}

#[test]
fn a_part_of_a_training_batch_holds_the_ratings_that_the_whole_holds() {
    let folder = tempfile::tempdir().unwrap();
    let movielens = sample(folder.path());
    let half = ContextConfig {
        kept: 0.5,
        ..ContextConfig::default()
    };
    let data = dataset(&movielens).with_context(half).unwrap();
    let rows: Vec<Rated> = data
        .split()
        .train()
        .iter()
        .map(|&row| data.rating(row))
        .collect();
    let features = data.features();
    // The movies of each sample's history, without its own.
    let histories = |rows: &[Rated]| {
        let batch = features.training_batch(rows, 7);
        let Some(ColumnView::Shared(bags)) = batch.column(Features::HISTORY) else {
            panic!("no histories");
        };
        let of = |sample: usize| {
            let bag = bags.bag_of[sample] as usize;
            let span = bags.offsets[bag]..bags.offsets[bag + 1];
            let others = span.filter(|&at| at != bags.left_out[sample]);
            others.map(|at| bags.ids[at as usize]).collect::<Vec<_>>()
        };
        (0..rows.len()).map(of).collect::<Vec<_>>()
    };
    let whole = histories(&rows);
    assert_eq!(histories(&rows[20..50]), whole[20..50]);
}

/// Of a part of the movies; so many ratings have one time that order within it shows.
#[test]
fn sequences_out_of_files_are_those_of_the_ratings() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let path = folder.path().join("data/ratings.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().enumerate().map(|(number, line)| {
        let (rest, time) = line.rsplit_once(',').unwrap();
        match time.parse::<u32>() {
            Ok(_) => format!("{rest},{}", 1_000_000 + number % 3),
            Err(_) => line.to_owned(),
        }
    });
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let movielens = MovieLens::open(folder.path().join("data")).unwrap();
    let data = dataset(&movielens);
    let catalogue = IdMap::from_ids(movielens.movies.ids().iter().copied().step_by(10));
    let expected = Sequences::new(&movielens, data.split(), &catalogue).unwrap();
    // Somebody has rated none of it, and somebody several.
    let (users, all) = (expected.users().len(), data.features().users().len());
    assert!(users < all && users < expected.len(), "{users} of {all}");

    let path = folder.path().join("histories.safetensors");
    Histories::write(&data, "a", &std::fs::File::create(&path).unwrap(), &path).unwrap();
    let histories = Histories::open(&path, "a", movielens.movies.len()).unwrap();
    let of_file = Known::new(data.features().clone(), histories);
    for known in [Known::of(&data).unwrap(), of_file] {
        assert_eq!(Sequences::of_known(&known, &catalogue).unwrap(), expected);
    }
}
