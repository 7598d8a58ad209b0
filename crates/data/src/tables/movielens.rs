use crate::movielens::{Pairs, first_repeat};
use crate::{Error, LeftOut, MovieLens, Movies, Ratings, Result};

impl MovieLens {
    /// Of tables that are at hand, from no folder: [`Ratings`] and [`Movies`] are made of
    /// Arrow's record batches.
    ///
    /// # Errors
    /// A rating of a movie that the table of movies lacks, and a second rating of the same
    /// movie by the same user, by row, counted from 0.
    pub fn new(ratings: Ratings, movies: Movies) -> Result<Self> {
        let pairs = Pairs {
            users: ratings.user_ids(),
            movies: ratings.movie_ids(),
        };
        let refused = |row: usize, problem: String| {
            let movie = ratings.movie_ids()[row];
            Err(Error::Column {
                table: "ratings",
                column: "movieId".to_owned(),
                row: Some(row),
                problem: format!("'{movie}' {problem}"),
            })
        };
        let unknown = pairs.of_unknown_movies(&movies.index());
        if let Some(&first) = unknown.first() {
            let problem = format!(
                "is not a movie of the table of movies; {} ratings are of such movies: add the \
                 movies or remove the ratings",
                unknown.len()
            );
            return refused(first as usize, problem);
        }
        if let Some(second) = first_repeat(&pairs.rated_twice()) {
            let problem = "was rated by this user in an earlier row too; keep one of them";
            return refused(second, problem.to_owned());
        }
        Ok(Self {
            dir: None,
            format: None,
            ratings,
            movies,
            users: None,
            links: None,
            tags: None,
            genome: None,
            from_cache: false,
            left_out: LeftOut::default(),
        })
    }
}
