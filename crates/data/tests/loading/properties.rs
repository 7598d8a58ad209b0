//! Whatever the bytes, the parsers agree with one another and with a plain
//! program, or refuse with one line.

use mmdlrm_data::{Duplicates, MovieLens, OpenOptions};
use proptest::prelude::*;

use crate::Folder;

const HEADER: &str = "userId,movieId,rating,timestamp\n";

fn open(ratings: &[u8]) -> mmdlrm_data::Result<MovieLens> {
    let movies: String = (0..100).map(|id| format!("{id},x,\n")).collect();
    let folder = Folder::new(&[
        (
            "movies.csv",
            format!("movieId,title,genres\n{movies}").as_bytes(),
        ),
        ("ratings.csv", ratings),
    ]);
    let options = OpenOptions {
        duplicates: Duplicates::KeepAll,
        ..OpenOptions::default()
    };
    options.open(folder.path())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn good_rows_come_back_as_they_were_written(
        rows in prop::collection::vec((any::<u32>(), 0u32..100, 1u8..=10, any::<u32>()), 1..50),
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = HEADER.replace('\n', end);
        for (user, movie, half_stars, time) in &rows {
            let stars = f32::from(*half_stars) / 2.0;
            text += &format!("{user},{movie},{stars},{time}{end}");
        }
        let movielens = open(text.as_bytes()).unwrap();
        let ratings = &movielens.ratings;
        for (row, &(user, movie, half_stars, time)) in rows.iter().enumerate() {
            prop_assert_eq!(ratings.user_ids()[row], user);
            prop_assert_eq!(ratings.movie_ids()[row], movie);
            prop_assert_eq!(ratings.stars()[row], f32::from(half_stars) / 2.0);
            prop_assert_eq!(ratings.timestamps()[row], time);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (name, other) in [("ratings.csv", None), ("u.data", Some("u.item")), ("ratings.dat", Some("movies.dat"))] {
            let folder = Folder::new(&[(name, &bytes[..])]);
            folder.write("movies.csv", "movieId,title,genres\n1,x,\n");
            folder.write("u.genre", "x|0\n");
            if let Some(other) = other {
                folder.write(other, &bytes);
            }
            if let Err(error) = MovieLens::open(folder.path()) {
                prop_assert_eq!(error.to_string().lines().count(), 1);
            }
            let text = [HEADER.as_bytes(), &bytes].concat();
            if let Err(error) = open(&text) {
                prop_assert_eq!(error.to_string().lines().count(), 1);
            }
        }
    }
}
