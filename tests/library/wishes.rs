//! What people wish of recommendations: less popular ones, variety, rows of them, reasons that are
//! worth reading; and movies by their titles.

use std::collections::{BTreeMap, HashSet};

use mmdlrm::data::Split;
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{
    Error, Experiment, ExperimentConfig, Movie, Preset, Query, Recommender, Shelf, Silent, Source,
    SplitConfig,
};

use crate::recommend::{RANDOM, ratings_of, trained};

#[test]
fn less_popular_movies_are_those_outside_the_half_of_the_ratings() {
    let (recommender, config) = trained(Preset::Rank, RANDOM, true);
    let query = Query {
        count: 1000,
        less_popular: true,
        unseen_only: false,
        ..Query::default()
    };
    let found = recommender.recommend(recommender.user_ids()[0], &query);
    let found: Vec<u32> = found.unwrap().iter().map(|it| it.movie_id).collect();
    let ratings = ratings_of(&config).ratings;
    let split = Split::random(ratings.len(), 0.2, 1).unwrap();
    let mut counts = BTreeMap::new();
    for &row in split.train() {
        *counts.entry(ratings.movie_ids()[row as usize]).or_insert(0) += 1;
    }
    let of_found: usize = found.iter().filter_map(|id| counts.get(id)).sum();
    assert!(2 * of_found <= split.train().len());
    let least_left_out = counts.iter().filter(|(id, _)| !found.contains(id));
    let least_left_out = *least_left_out.map(|(_, count)| count).min().unwrap();
    assert!(
        found
            .iter()
            .all(|id| counts.get(id).is_none_or(|it| *it <= least_left_out))
    );
    assert!(2 * (of_found + least_left_out) >= split.train().len());
}

#[test]
fn variety_brings_movies_that_are_less_alike_and_the_best_first() {
    for preset in [Preset::Rank, Preset::MmdlrmFactored] {
        let (recommender, _) = trained(preset, RANDOM, true);
        let ask = |variety: f32| {
            let query = Query {
                count: 8,
                variety,
                ..Query::default()
            };
            let found = recommender
                .recommend(recommender.user_ids()[5], &query)
                .unwrap();
            found.iter().map(|it| it.movie_id).collect::<Vec<_>>()
        };
        let likeness = |movies: &[u32]| -> f32 {
            let of_movie = |id: &u32| {
                let similar = recommender.similar(*id, 1000).unwrap().into_iter();
                let others = similar.filter(|it| movies.contains(&it.movie_id));
                others.map(|it| it.cosine).sum::<f32>()
            };
            movies.iter().map(of_movie).sum()
        };
        let (none, some) = (ask(0.0), ask(0.7));
        assert_eq!(none[0], some[0], "{preset:?}");
        assert!(likeness(&some) < likeness(&none), "{preset:?}");
    }
}

#[test]
fn variety_goes_by_genres_and_years_where_the_model_has_no_vectors() {
    let (recommender, _) = trained(Preset::Rank, RANDOM, true);
    let without = without_rater();
    let user = without.user_ids()[5];
    assert!(without.similar(without.catalogue().ids()[0], 1).is_err());
    assert_eq!(recommender.user_ids(), without.user_ids());
    let ask = |variety: f32| {
        let query = Query {
            variety,
            ..Query::default()
        };
        let found = without.recommend(user, &query).unwrap().into_iter();
        let movies = found.map(|it| {
            without
                .catalogue()
                .movie(it.movie_id)
                .unwrap()
                .genres
                .clone()
        });
        movies.collect::<Vec<_>>()
    };
    let different = |genres: Vec<Vec<String>>| {
        let mut genres = genres.concat();
        genres.sort_unstable();
        genres.dedup();
        genres.len()
    };
    assert!(different(ask(0.8)) >= different(ask(0.0)));
    assert_ne!(ask(0.8), ask(0.0));
}

/// What ranks and predicts no stars.
fn without_rater() -> Recommender {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ExperimentConfig {
        source: Source::Sample(GeneratorConfig {
            users: 80,
            movies: 120,
            ratings: 4000,
            seed: 5,
            contents: false,
        }),
        out: folder.path().join("run"),
        rater: false,
        ..ExperimentConfig::of(Preset::Rank)
    };
    config.train.epochs = 2;
    Experiment::new(config.clone())
        .unwrap()
        .run(&mut Silent)
        .unwrap();
    Recommender::load(&config.out, &mut Silent).unwrap()
}

/// Raw ids of the movies on some shelves, which must be on one each.
#[track_caller]
fn movies_of(shelves: &[Shelf]) -> Vec<u32> {
    let movies = shelves.iter().flat_map(|shelf| &shelf.movies);
    let movies: Vec<u32> = movies.map(|it| it.movie_id).collect();
    let different: HashSet<&u32> = movies.iter().collect();
    assert_eq!(different.len(), movies.len());
    movies
}

#[test]
fn shelves_are_for_the_user_and_because_of_what_they_liked() {
    // By what adds to scores, and by likeness.
    for preset in [Preset::Rank, Preset::MmdlrmFactored] {
        let (recommender, _) = trained(preset, RANDOM, true);
        let user = recommender.example_user().unwrap();
        let query = Query {
            count: 6,
            ..Query::default()
        };
        let shelves = recommender.shelves(user, &query).unwrap();
        assert!((2..=5).contains(&shelves.len()), "{preset:?} {shelves:?}");
        assert_eq!(
            (shelves[0].title.as_str(), shelves[0].because),
            ("For you", None)
        );
        assert_eq!(shelves[0].movies.len(), 6);
        let rated = recommender.rated_by(user).unwrap();
        let best = recommender.recommend(user, &query).unwrap();
        let first: Vec<u32> = best.iter().map(|it| it.movie_id).collect();
        let movies = movies_of(&shelves);
        assert_eq!(movies[..6], first);
        assert!(rated.iter().all(|(id, _)| !movies.contains(id)));
        let mut reasons = HashSet::new();
        for shelf in &shelves[1..] {
            let id = shelf.because.unwrap();
            assert!(reasons.insert(id), "{preset:?}");
            assert!(rated.contains(&(id, 4.0)) || rated.iter().any(|it| it.0 == id && it.1 > 4.0));
            let name = recommender.catalogue().movie(id).unwrap().name();
            if preset == Preset::Rank {
                let reason = &shelf.movies[0].reasons[0].words;
                assert!(reason.contains(&name), "{reason}");
            }
            assert_eq!(shelf.title, format!("Because you watched {name}"));
            assert!((4..=6).contains(&shelf.movies.len()));
        }
        // Somebody new with the same taste has shelves too, and filters hold for all of them.
        let genre = recommender.catalogue().genres()[0].clone();
        let narrow = Query {
            genres: vec![genre.clone()],
            ..query
        };
        let of_visitor = recommender.shelves_for_visitor(&rated, &narrow).unwrap();
        for id in movies_of(&of_visitor) {
            assert!(
                recommender
                    .catalogue()
                    .movie(id)
                    .unwrap()
                    .genres
                    .contains(&genre)
            );
        }
    }
}

#[test]
fn somebody_without_ratings_is_told_what_is_most_watched() {
    let (recommender, _) = trained(Preset::Rank, RANDOM, true);
    let query = Query {
        count: 5,
        less_popular: true,
        ..Query::default()
    };
    let shelves = recommender.shelves_for_visitor(&[], &query).unwrap();
    assert_eq!(shelves.len(), 1);
    assert_eq!(
        (shelves[0].title.as_str(), shelves[0].because),
        ("Most watched", None)
    );
    let scores: Vec<f32> = shelves[0].movies.iter().map(|it| it.score).collect();
    assert!(scores.len() == 5 && scores.is_sorted_by(|a, b| a >= b));
    let none = Query {
        years: Some(1000..=1001),
        ..query
    };
    assert_eq!(recommender.shelves_for_visitor(&[], &none).unwrap(), []);
    let user = recommender.user_ids()[0];
    assert_eq!(recommender.shelves(user, &none).unwrap(), []);
    assert_eq!(recommender.recommend(user, &none).unwrap(), []);
}

#[test]
fn a_user_of_whom_the_model_knows_no_rating_is_told_what_is_most_watched() {
    let split = SplitConfig::ColdUsers {
        test_share: 0.2,
        seed: 3,
    };
    let (recommender, _) = trained(Preset::Dlrm, split, true);
    let users = recommender.user_ids().iter();
    let mut cold = users.filter(|&&user| recommender.trained_on(user).unwrap() == 0);
    let user = *cold.next().unwrap();
    let shelves = recommender.shelves(user, &Query::default()).unwrap();
    assert_eq!(shelves.len(), 1);
    assert_eq!(shelves[0].title, "Most watched");
    let rated = recommender.rated_by(user).unwrap();
    let movies = movies_of(&shelves);
    assert!(rated.iter().all(|(id, _)| !movies.contains(id)));
    assert_ne!(recommender.example_user(), Some(user));
}

#[test]
fn no_reason_is_said_twice_or_names_the_movie_itself() {
    let (recommender, _) = trained(Preset::Rank, RANDOM, true);
    let query = Query {
        count: 100,
        unseen_only: false,
        ..Query::default()
    };
    let movies = recommender.catalogue().movies();
    let visitor: Vec<(u32, f32)> = movies.iter().take(3).map(|it| (it.id, 5.0)).collect();
    for found in [
        recommender
            .recommend(recommender.user_ids()[9], &query)
            .unwrap(),
        recommender.recommend_to_visitor(&visitor, &query).unwrap(),
    ] {
        let mut said = HashSet::new();
        for movie in &found {
            let name = recommender
                .catalogue()
                .movie(movie.movie_id)
                .unwrap()
                .name();
            for reason in &movie.reasons {
                assert!(said.insert(reason.words.clone()), "{}", reason.words);
                let named = reason.words.split_once("you liked ");
                let named = named.or(reason.words.split_once("you rated ")).unwrap().1;
                assert!(
                    named.split(" and ").all(|it| it != name),
                    "{} of {name}",
                    reason.words
                );
            }
        }
        assert!(said.len() > 3);
    }
}

#[test]
fn movies_are_found_by_what_people_call_them() {
    let (recommender, _) = trained(Preset::Mmdlrm, RANDOM, true);
    let catalogue = recommender.catalogue();
    for movie in catalogue.movies() {
        let alike = |it: &&Movie| it.name() == movie.name() && it.year == movie.year;
        if catalogue.movies().iter().filter(alike).count() > 1 {
            continue;
        }
        let with_year = format!("{} ({})", movie.name().to_uppercase(), movie.year.unwrap());
        assert_eq!(catalogue.by_title(&with_year).unwrap().id, movie.id);
        let with_others = format!("{} ({})", movie.full_name(), movie.year.unwrap());
        assert_eq!(catalogue.by_title(&with_others).unwrap().id, movie.id);
        let found = catalogue.find(&movie.full_name(), usize::MAX);
        assert!(found.contains(&movie));
    }
    let error = catalogue.by_title("e").unwrap_err();
    assert!(
        matches!(&error, Error::AmbiguousTitle { meant, .. } if meant.len() == 5),
        "{error}"
    );
    let title = &catalogue.movies()[7].title;
    let misspelled = title.replacen('e', "ee", 1);
    let error = catalogue.by_title(&misspelled).unwrap_err().to_string();
    assert!(error.contains(title.as_str()), "{error}");
    let error = catalogue.by_title("§§§ (1999)").unwrap_err();
    assert!(
        matches!(&error, Error::UnknownTitle { like, .. } if like.is_empty()),
        "{error}"
    );
}
