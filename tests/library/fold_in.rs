//! Somebody new, learned by a trained model.

use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{MovieLens, Rated, Split};
use mmdlrm::features::{Dataset, TrainingData};
use mmdlrm::model::{Dlrm, DlrmConfig, TableConfig};
use mmdlrm::train::{Scorer, USER_TABLE, shapes};

fn dataset() -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sample");
    generate::write(&folder, &GeneratorConfig::tiny(), |_| {}).unwrap();
    let movielens = MovieLens::open(&folder).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.2, 42).unwrap();
    Dataset::new(&movielens, split, Vec::new()).unwrap()
}

/// What somebody with some ratings is told of all movies, by an untrained model.
fn told(data: &Dataset, change: impl FnOnce(&mut DlrmConfig)) -> Vec<f32> {
    let features = data.features();
    let mut config = shapes::dlrm(features, 8);
    // Behind the others, whose stored tables may be more.
    let is_of_others = |table: &TableConfig| table.name != USER_TABLE;
    config.tables.sort_by_key(|table| !is_of_others(table));
    change(&mut config);
    let scorer = Scorer::new(Dlrm::new(config, 7).unwrap(), features.clone()).unwrap();
    let rated = |movie: u32| Rated {
        user: 0,
        movie,
        stars: 1.0 + (movie % 5) as f32,
        timestamp: features.latest(),
    };
    let ratings: Vec<Rated> = (0..20).map(rated).collect();
    let new = scorer.fold_in(&ratings, None).unwrap();
    let mut scores = Vec::new();
    scorer.score_for(&new, &mut scores).unwrap();
    assert_eq!(scores.len(), features.movies().len());
    scores
}

#[test]
fn dropout_and_penalties_of_training_do_not_change_who_somebody_new_is() {
    let data = dataset();
    let plain = told(&data, |_| {});
    let regularized = told(&data, |config| {
        config.dropout = 0.5;
        config.l2 = 1.0;
        config.embedding_norm = 1.0;
        config.table_l2 = 1.0;
    });
    assert!(plain == regularized);
}

#[test]
fn tables_that_are_stored_as_several_do_not_change_who_somebody_new_is() {
    let data = dataset();
    let plain = told(&data, |_| {});
    // Learned weights of ids are 1 as long as nobody trains them, and a table of their own.
    let weighted = told(&data, |config| config.tables[0].learned_weights = true);
    assert!(plain == weighted);
}

#[test]
fn somebody_new_is_learned_where_ids_of_users_share_rows() {
    use mmdlrm::model::{Combine, Compression};
    let data = dataset();
    for compression in [
        Compression::Hashed { buckets: 3 },
        Compression::QuotientRemainder {
            collisions: 4,
            combine: Combine::Product,
        },
    ] {
        let of_users = |config: &mut DlrmConfig| {
            let table = config.tables.iter_mut().find(|it| it.name == USER_TABLE);
            table.unwrap().compression = compression;
        };
        assert!(told(&data, of_users).iter().all(|score| score.is_finite()));
    }
}
