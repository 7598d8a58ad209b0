use std::collections::BTreeSet;
use std::path::Path;

use mmdlrm_data::generate::{self, GeneratorConfig};
use mmdlrm_data::{Candidates, Modality, MovieLens, Rated};
use mmdlrm_features::{Dataset, Features, Histories, Known, TrainingData};
use mmdlrm_model::NextItem;
use safetensors::tensor::{SafeTensors, TensorView};

use super::{NextItemData, NextItemRanker, NextItemTrainConfig, train_next_item};
use crate::{Persist, Ranker, Result, Session, Who, score_all, score_candidates};

/// Rated one movie, which is held out.
const UNKNOWN: u32 = 1000;

/// A trained model, and what it was trained on.
struct Trained {
    ranker: NextItemRanker,
    candidates: Candidates,
    movielens: MovieLens,
    dataset: Dataset,
    folder: tempfile::TempDir,
}

/// Writes a folder of 40 users with their last ratings held out; the others that compete are
/// few, so that the catalogue is a part of the movies.
fn write(dir: &Path) {
    let config = GeneratorConfig {
        users: 40,
        movies: 90,
        ratings: 1000,
        seed: 9,
        contents: false,
    };
    generate::write(dir, &config, |_| {}).unwrap();
    let path = dir.join("ratings.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let rows = text.lines().skip(1);
    let rows: Vec<Vec<&str>> = rows.map(|line| line.split(',').collect()).collect();
    let movies: BTreeSet<&str> = rows.iter().map(|row| row[1]).collect();
    let mut file = String::from("userId,heldOutMovieId,other,another\n");
    let mut line = |user: &str, movie: &str, seen: &BTreeSet<&str>| {
        let others: Vec<&str> = movies.difference(seen).copied().take(2).collect();
        file.push_str(&format!("{user},{movie},{}\n", others.join(",")));
    };
    for user in rows.chunk_by(|a, b| a[0] == b[0]) {
        let last = user.iter().max_by_key(|row| row[3].parse::<u32>().unwrap());
        let seen = user.iter().map(|row| row[1]).collect();
        line(user[0][0], last.unwrap()[1], &seen);
    }
    let (user, movie) = (UNKNOWN.to_string(), rows[0][1]);
    line(&user, movie, &BTreeSet::from([movie]));
    std::fs::write(dir.join("candidates.csv"), file).unwrap();
    let more = format!("{user},{movie},4.0,{}", rows[0][3]);
    std::fs::write(&path, format!("{}\n{more}\n", text.trim_end())).unwrap();
}

/// With vectors of every other movie.
fn trained() -> Trained {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    write(&dir);
    let movielens = MovieLens::open(&dir).unwrap();
    let candidates = Candidates::read(&dir.join("candidates.csv"), &movielens).unwrap();
    let split = candidates.split(&movielens).unwrap();
    let movies = movielens.movies.index();
    let vectors: Vec<(u32, [f32; 2])> = movies
        .ids()
        .iter()
        .step_by(2)
        .map(|&id| (id, [id as f32, 1.0 / id as f32]))
        .collect();
    let vectors = vectors.iter().map(|(id, vector)| (*id, vector.as_slice()));
    let sound = Modality::standardized("sound", 2, &movies, vectors).unwrap();
    let modalities = vec![sound];
    let data = NextItemData::new(&movielens, &split, &candidates, &modalities).unwrap();
    let dataset = Dataset::new(&movielens, split, modalities).unwrap();
    let model = data.model(8, 1).unwrap();
    let mut ranker = NextItemRanker::new(model, data, dataset.features()).unwrap();
    let config = NextItemTrainConfig {
        epochs: 2,
        batch_size: 100,
        ..NextItemTrainConfig::default()
    };
    train_next_item(&mut ranker, &config, Session::default()).unwrap();
    let items = ranker.data().sequences().catalogue().len();
    assert!(items > 20 && items < movies.len(), "{items}");
    Trained {
        ranker,
        candidates,
        movielens,
        dataset,
        folder,
    }
}

impl Trained {
    fn features(&self) -> &Features {
        self.dataset.features()
    }

    /// What a run's folder has, out of files.
    fn known(&self) -> Known {
        let path = self.folder.path().join("histories.safetensors");
        let file = std::fs::File::create(&path).unwrap();
        Histories::write(&self.dataset, "a", &file, &path).unwrap();
        let movies = &self.movielens.movies;
        let histories = Histories::open(&path, "a", movies.len()).unwrap();
        let features = self.features().to_safetensors().unwrap();
        let features = Features::from_safetensors(&features, movies, &histories).unwrap();
        Known::new(features, histories)
    }

    /// Scores of all movies for everybody, `[users, movies]`.
    fn scores(&self, ranker: &NextItemRanker) -> Vec<f32> {
        let users: Vec<u32> = (0..self.features().users().len() as u32).collect();
        self.scores_of(ranker, Who::Users(&users))
    }

    fn scores_of(&self, ranker: &NextItemRanker, who: Who) -> Vec<f32> {
        let mut scores = vec![1.0];
        score_all(ranker, who, self.features().movies().len(), &mut scores).unwrap();
        scores
    }

    /// The same for somebody new.
    fn scores_after(&self, ratings: &[Rated]) -> Vec<f32> {
        let visitor = self.ranker.meet(ratings, None).unwrap();
        self.scores_of(&self.ranker, Who::Visitor(&visitor))
    }
}

#[test]
fn a_loaded_model_scores_as_the_trained_one_to_the_bit() {
    let trained = trained();
    let file = trained.ranker.to_safetensors().unwrap();
    let loaded = NextItemRanker::load(&file, &trained.known()).unwrap();
    assert!(trained.scores(&loaded) == trained.scores(&trained.ranker));
    let vectors = |ranker: &NextItemRanker| ranker.item_vectors().unwrap();
    assert!(vectors(&loaded) == vectors(&trained.ranker));
    assert!(loaded.to_safetensors().unwrap() == file);
    assert_eq!(loaded.parameters(), trained.ranker.parameters());
    // Whoever wants the parameters alone reads them alone.
    assert_eq!(&NextItem::from_safetensors(&file).unwrap(), loaded.model());
}

#[test]
fn candidates_are_scored_as_all_movies_are() {
    let trained = trained();
    let (ranker, features) = (&trained.ranker, trained.features());
    let all = trained.scores(ranker);
    let mut compared = 0;
    score_candidates(ranker, features, &trained.candidates, |scored| {
        for scored in scored {
            let user = features.users().row(scored.user_id).unwrap() as usize;
            let movie = features.movies().row(scored.movie_id).unwrap() as usize;
            let found = all[user * features.movies().len() + movie];
            assert_eq!(f64::from(found).to_bits(), scored.score.to_bits());
            compared += 1;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(compared, 41 * 3);
}

#[test]
fn movies_outside_the_catalogue_come_after_all_others() {
    let trained = trained();
    let movies = trained.features().movies();
    let catalogue = trained.ranker.data().sequences().catalogue();
    for scores in trained.scores(&trained.ranker).chunks(movies.len()) {
        let scored = movies.ids().iter().zip(scores);
        let (inside, outside): (Vec<_>, Vec<_>) =
            scored.partition(|(id, _)| catalogue.row(**id).is_some());
        let lowest = inside.iter().map(|it| *it.1).fold(f32::INFINITY, f32::min);
        assert!(!outside.is_empty() && outside.iter().all(|it| *it.1 < lowest));
    }
    let vectors = trained.ranker.item_vectors().unwrap().unwrap();
    let rows = vectors.chunks(vectors.len() / movies.len());
    for (&id, row) in movies.ids().iter().zip(rows) {
        let is_known = row.iter().any(|&x| x != 0.0);
        assert_eq!(is_known, catalogue.row(id).is_some(), "{id}");
    }
}

#[test]
fn a_visitor_with_the_ratings_of_a_user_has_the_scores_of_that_user() {
    let trained = trained();
    let histories = Histories::of(&trained.dataset).unwrap();
    for user in [0, 7, 39] {
        let of_user = histories.user(user).unwrap();
        let mut ratings: Vec<Rated> = of_user.rows().trained.rows_of(5).collect();
        // In whatever order they come.
        ratings.reverse();
        let expected = trained.scores_of(&trained.ranker, Who::Users(&[user]));
        assert!(trained.scores_after(&ratings) == expected, "user {user}");
        ratings.truncate(3);
        assert!(trained.scores_after(&ratings) != expected, "user {user}");
    }
}

#[test]
fn whoever_rated_nothing_of_the_catalogue_is_told_popularity() {
    let trained = trained();
    let features = trained.features();
    let unknown = features.users().row(UNKNOWN).unwrap();
    let scores = trained.scores_of(&trained.ranker, Who::Users(&[unknown]));
    let sequences = trained.ranker.data().sequences();
    let counts = sequences.counts();
    let mut outside = None;
    for ((&id, score), movie) in features.movies().ids().iter().zip(&scores).zip(0..) {
        match sequences.catalogue().row(id) {
            Some(item) => assert_eq!(*score, counts[item as usize] as f32),
            None => outside = Some(movie),
        }
    }
    assert!(trained.scores_after(&[]) == scores);
    let rated = Rated {
        user: 0,
        movie: outside.unwrap(),
        stars: 5.0,
        timestamp: features.latest(),
    };
    assert!(trained.scores_after(&[rated]) == scores);
    // Not a neighbour's in the same call.
    let both = trained.scores_of(&trained.ranker, Who::Users(&[unknown, 3]));
    let third = trained.scores_of(&trained.ranker, Who::Users(&[3]));
    assert!(both == [scores, third].concat());
}

#[test]
fn rows_that_there_are_not_are_refused() {
    let trained = trained();
    let mut scores = Vec::new();
    let error = trained.ranker.score(Who::Users(&[0, 41]), &mut scores);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no user in row 41: there are 41"), "{error}");
    let rated = Rated {
        user: 0,
        movie: 90,
        stars: 5.0,
        timestamp: 0,
    };
    let error = trained.ranker.meet(&[rated], None).unwrap_err().to_string();
    assert!(
        error.contains("no movie in row 90: there are 90"),
        "{error}"
    );
}

/// The file with one tensor, of four bytes a number, changed.
fn changed(file: &[u8], name: &str, change: impl Fn(&mut Vec<[u8; 4]>)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(file).unwrap();
    let tensors = SafeTensors::deserialize(file).unwrap();
    let mut numbers = tensors.tensor(name).unwrap().data().as_chunks().0.to_vec();
    change(&mut numbers);
    let views = tensors.iter().map(|(other, view)| match other == name {
        true => {
            let length = vec![numbers.len()];
            (
                other,
                TensorView::new(view.dtype(), length, numbers.as_flattened()).unwrap(),
            )
        }
        false => (other, view),
    });
    safetensors::serialize(views, metadata.metadata().clone()).unwrap()
}

#[test]
fn a_file_that_does_not_fit_is_refused_with_what_is_wrong() {
    let trained = trained();
    let (file, known) = (trained.ranker.to_safetensors().unwrap(), trained.known());
    let load = |file: &[u8]| -> Result<NextItemRanker> { NextItemRanker::load(file, &known) };
    for length in [0, 7, 100, file.len() / 2, file.len() - 1] {
        assert!(load(&file[..length]).is_err(), "{length}");
    }
    let plain = trained.ranker.model().to_safetensors().unwrap();
    assert!(load(&plain).is_err());
    type Spoil = fn(&mut Vec<[u8; 4]>);
    let spoils: [(&str, Spoil, &str); 10] = [
        ("movies", |ids| ids.swap(0, 1), "is not in order"),
        ("movies", |ids| ids[1] = ids[0], "is not in order"),
        ("movies", |ids| ids.truncate(ids.len() - 1), "numbers where"),
        (
            "movies",
            |ids| *ids.last_mut().unwrap() = [255; 4],
            "that the data lack",
        ),
        (
            "offsets",
            |it| it.truncate(it.len() - 1),
            "does not go through",
        ),
        ("offsets", |it| _ = it.remove(1), "numbers where"),
        ("offsets", |it| it[1] = [255; 4], "does not go through"),
        ("features", |rows| rows[0] = [255; 4], "of a table of"),
        ("years", |years| years[0] = f32::NAN.to_le_bytes(), "NaN"),
        ("years", |years| years.clear(), "has 0 numbers"),
    ];
    for (name, spoil, why) in spoils {
        let name = format!("catalogue.{name}");
        let error = load(&changed(&file, &name, spoil)).unwrap_err().to_string();
        assert!(error.contains(why), "no '{why}' in: {error}");
    }
    // Other vectors than it was trained with: none.
    let split = trained.dataset.split().clone();
    let without = Dataset::new(&trained.movielens, split, Vec::new()).unwrap();
    let without = Known::of(&without).unwrap();
    let error = NextItemRanker::load(&file, &without)
        .unwrap_err()
        .to_string();
    assert!(error.contains("2 numbers of an item's contents"), "{error}");
}
