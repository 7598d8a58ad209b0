//! Movies that the model takes to be alike.

use mmdlrm_kernels::{add_scaled, dot};
use mmdlrm_model::top_k;
use mmdlrm_train::check_numbers;
use rayon::prelude::*;

use super::{Recommender, Similar};
use crate::{Error, Result};

/// A vector of length 1 a movie: what the model knows of it, the mean of all taken off. Of a movie
/// that it knows nothing of zeros, which have no part in the mean.
pub(super) struct Directions {
    width: usize,
    values: Vec<f32>,
    /// Rows of the movies that it knows nothing of.
    unknown: Vec<u32>,
}

impl Directions {
    /// Of `[movies, width]`.
    pub fn new(mut values: Vec<f32>, movies: usize) -> Self {
        let width = values.len().checked_div(movies).unwrap_or(0).max(1);
        let is_known = |row: &[f32]| row.iter().any(|&x| x != 0.0);
        let rows = (0..).zip(values.chunks_exact(width));
        let unknown = rows.filter(|(_, row)| !is_known(row));
        let unknown: Vec<u32> = unknown.map(|(row, _)| row).collect();
        let known = movies - unknown.len();
        let mut mean = vec![0.0; width];
        for row in values.chunks_exact(width) {
            add_scaled(&mut mean, row, 1.0 / known as f32);
        }
        let rows = values.par_chunks_exact_mut(width);
        rows.filter(|row| is_known(row)).for_each(|row| {
            add_scaled(row, &mean, -1.0);
            let length = dot(row, row).sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x /= length);
            }
        });
        Self {
            width,
            values,
            unknown,
        }
    }

    fn row(&self, movie: u32) -> &[f32] {
        let start = movie as usize * self.width;
        self.values.get(start..start + self.width).unwrap_or(&[])
    }

    /// How alike two movies are, by dense rows: 1 is the same.
    pub fn cosine(&self, movie: u32, other: u32) -> f32 {
        dot(self.row(movie), self.row(other))
    }
}

impl Recommender {
    /// The movies that are most like another, as far as the model knows: by ratings,
    /// genres, posters and plots, whichever it looks at.
    ///
    /// # Errors
    /// A movie that there is not; [`Error::CannotTell`] of a model without vectors, or that
    /// knows nothing of the movie.
    pub fn similar(&self, movie_id: u32, count: usize) -> Result<Vec<Similar>> {
        let movie = self.catalogue().row(movie_id)?;
        let directions = self.directions()?;
        if directions.unknown.contains(&movie) {
            return Err(Error::CannotTell(
                "what is like a movie that it does not know",
            ));
        }
        let own = directions.row(movie);
        let rows = directions.values.par_chunks_exact(directions.width);
        let cosines: Vec<f32> = rows.map(|row| dot(own, row)).collect();
        let passed_over = [directions.unknown.as_slice(), &[movie]].concat();
        let nearest = top_k(&cosines, count, &passed_over).into_iter();
        let similar = nearest.map(|(row, cosine)| Similar {
            movie_id: self.catalogue().ids()[row as usize],
            cosine,
        });
        Ok(similar.collect())
    }

    /// Those of the model; of one that has none by what people see of movies.
    pub(super) fn directions_of_any(&self) -> Result<&Directions> {
        match self.directions() {
            Err(Error::CannotTell(_)) => Ok(self.loaded.looks.get_or_init(|| {
                let movies = self.catalogue().ids().len();
                Directions::new(self.catalogue().vectors(), movies)
            })),
            known => known,
        }
    }

    pub(super) fn directions(&self) -> Result<&Directions> {
        if let Some(directions) = self.loaded.directions.get() {
            return Ok(directions);
        }
        let vectors = self.loaded.model.item_vectors()?;
        let vectors = vectors.ok_or(Error::CannotTell("which movies are alike"))?;
        let movies = self.catalogue().ids().len();
        if movies == 0 || !vectors.len().is_multiple_of(movies) {
            let problem = format!(
                "the model has {} numbers for {movies} movies",
                vectors.len()
            );
            return Err(mmdlrm_train::Error::Mismatch(problem).into());
        }
        check_numbers("vectors of movies", &vectors, vectors.len())?;
        let directions = Directions::new(vectors, movies);
        Ok(self.loaded.directions.get_or_init(|| directions))
    }
}
