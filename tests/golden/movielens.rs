//! The numbers that GroupLens publishes of its release.

use mmdlrm::data::{IdMap, MovieLens};

use crate::support::shared;

#[test]
fn golden_the_real_release_has_its_published_numbers() {
    let Some(shared) = shared() else { return };
    let movielens = MovieLens::open(shared.join("data/ml-latest-small")).unwrap();
    assert_eq!(movielens.ratings.len(), 100_836);
    assert_eq!(movielens.movies.len(), 9742);
    let users = IdMap::from_ids(movielens.ratings.user_ids().iter().copied());
    assert_eq!(users.len(), 610);
    assert_eq!(movielens.tags.unwrap().num_rows(), 3683);
    assert_eq!(movielens.links.unwrap().num_rows(), 9742);
    let sum: f64 = movielens
        .ratings
        .stars()
        .iter()
        .map(|&it| f64::from(it))
        .sum();
    assert_eq!(sum, 353_083.0);
}
