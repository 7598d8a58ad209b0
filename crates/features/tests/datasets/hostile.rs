//! New movies of which nonsense is said.

use mmdlrm_data::{MovieLens, Split};
use mmdlrm_features::{Dataset, NewMovie, TrainingData};

use crate::Folder;

const MOVIES: &str = "movieId,title,genres\n1,Heat (1995),Crime\n2,Big (1988),Comedy\n5,Up,\n";
const RATINGS: &str = "userId,movieId,rating,timestamp\n1,1,4.0,100\n1,2,3.5,200\n7,5,0.5,300\n";

#[test]
fn a_new_movie_of_a_year_that_is_none_is_refused() {
    let folder = Folder::new(&[
        ("movies.csv", MOVIES.as_bytes()),
        ("ratings.csv", RATINGS.as_bytes()),
    ]);
    let movielens = MovieLens::open(folder.path()).unwrap();
    let split = Split::random(movielens.ratings.len(), 0.5, 1).unwrap();
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let of_year = |year| {
        let movie = NewMovie {
            year: Some(year),
            ..NewMovie::default()
        };
        dataset.features().with_new_movie(&movie)
    };
    assert!(of_year(1995).is_ok());
    for year in [-1, 10_000, 2_000_000_000, i32::MIN] {
        let message = of_year(year).err().unwrap().to_string();
        assert!(message.contains(&year.to_string()), "{message}");
        assert!(message.contains("four digits"), "{message}");
    }
}
