//! A part of a release.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use super::{MovieLens, Movies, Ratings};
use crate::{Error, IdMap, Result};

impl MovieLens {
    /// The ratings and tags of `users` and `movies` alone, and what is known of these movies; users
    /// and movies of the release that no rating is left of stay in their tables. The tag genome is
    /// left out.
    ///
    /// ```
    /// use mmdlrm_data::{IdMap, MovieLens, generate};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path().join("sample");
    /// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
    /// let movielens = MovieLens::open(&folder)?;
    /// let users = IdMap::from_ids(movielens.ratings.user_ids().iter().copied());
    /// let movies = IdMap::from_ids(movielens.movies.ids()[..10].iter().copied());
    /// let part = movielens.part(&users, &movies)?;
    /// assert_eq!(part.movies.ids(), &movielens.movies.ids()[..10]);
    /// assert!(part.ratings.len() < movielens.ratings.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No rating is left.
    pub fn part(&self, users: &IdMap, movies: &IdMap) -> Result<Self> {
        let (ratings, table) = part_of(&self.ratings, &self.movies, users, movies)?;
        let both = [("userId", users), ("movieId", movies)];
        let of_movies = [("movieId", movies)];
        let part = |table: &Option<RecordBatch>, columns: &[(&str, &IdMap)]| {
            let part = table.as_ref().map(|table| rows_of(table, columns));
            part.transpose()
        };
        Ok(Self {
            dir: self.dir.clone(),
            format: self.format,
            movies: table,
            ratings,
            users: part(&self.users, &[("userId", users)])?,
            links: part(&self.links, &of_movies)?,
            tags: part(&self.tags, &both)?,
            genome: None,
            from_cache: self.from_cache,
            left_out: self.left_out.clone(),
        })
    }
}

/// Ratings of `users` and `movies` alone, and these movies.
///
/// # Errors
/// No rating is left.
pub(crate) fn part_of(
    ratings: &Ratings,
    table: &Movies,
    users: &IdMap,
    movies: &IdMap,
) -> Result<(Ratings, Movies)> {
    let both = [("userId", users), ("movieId", movies)];
    let rows = rows_of(ratings.table(), &both)?;
    if rows.num_rows() == 0 {
        let rule = "the users rated none of the movies";
        return Err(Error::setting("number of ratings", 0, rule));
    }
    let ratings = Ratings::from_table(rows)
        .with_target(ratings.target())
        .with_times(ratings.has_times());
    let of_movies = [("movieId", movies)];
    let table = rows_of(table.table(), &of_movies)?;
    Ok((ratings, Movies::from_table(table)?))
}

/// The rows whose ids are all among some.
fn rows_of(table: &RecordBatch, columns: &[(&str, &IdMap)]) -> Result<RecordBatch> {
    let mut wanted = vec![true; table.num_rows()];
    for (name, ids) in columns {
        let Some(column) = table.column_by_name(name) else {
            continue;
        };
        let column = column.as_primitive::<UInt32Type>().values();
        for (wanted, &id) in wanted.iter_mut().zip(column) {
            *wanted &= ids.row(id).is_some();
        }
    }
    let filtered = filter_record_batch(table, &BooleanArray::from(wanted));
    filtered.map_err(|error| Error::External(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    #[test]
    fn a_part_has_the_rows_of_its_users_and_movies_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("sample");
        let config = generate::GeneratorConfig {
            contents: false,
            ..generate::GeneratorConfig::tiny()
        };
        generate::write(&dir, &config, |_| {}).unwrap();
        let whole = MovieLens::open(&dir).unwrap();
        let ratings = &whole.ratings;
        let users = IdMap::from_ids(ratings.user_ids()[..100].iter().copied());
        let movies = IdMap::from_ids(ratings.movie_ids()[..100].iter().copied());
        let part = whole.part(&users, &movies).unwrap();
        let is_wanted = |row: &usize| {
            let known = users.row(ratings.user_ids()[*row]).is_some();
            known && movies.row(ratings.movie_ids()[*row]).is_some()
        };
        let rows: Vec<usize> = (0..ratings.len()).filter(is_wanted).collect();
        assert!(rows.len() < ratings.len());
        let stars: Vec<f32> = rows.iter().map(|&row| ratings.stars()[row]).collect();
        let times: Vec<u32> = rows.iter().map(|&row| ratings.timestamps()[row]).collect();
        assert_eq!(part.ratings.stars(), stars);
        assert_eq!(part.ratings.timestamps(), times);
        assert_eq!(part.movies.len(), movies.len());
        let nobody = IdMap::from_ids([u32::MAX]);
        let error = whole.part(&nobody, &movies).unwrap_err().to_string();
        assert!(
            error.contains("the users rated none of the movies"),
            "{error}"
        );
    }
}
