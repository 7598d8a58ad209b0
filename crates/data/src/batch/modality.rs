use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::{Error, IdMap, Result};

/// Vectors of one modality (posters, plots, …), one a movie that has it.
///
/// A movie's vector is found through [`row_of_movie`](Self::row_of_movie), so
/// that models can keep the vectors where they are and refer to them by
/// number; a movie without one refers to [`Modality::MISSING`]. They are kept in
/// half precision, whose error, at most one in 2,048, is less than what encoders
/// differ by from one machine to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Modality {
    name: String,
    width: usize,
    values: Vec<f16>,
    movies: IdMap,
    row_of_movie: Vec<u32>,
    left_out: usize,
    standard: Standard,
}

/// What a [`Modality`] is made of, for a file of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModalityParts {
    /// Name of the modality.
    pub name: String,
    /// How many vectors were of movies outside the catalogue.
    pub left_out: usize,
    /// The standardized vectors, `[rows, width]`.
    pub values: Vec<f16>,
    /// Row of each movie's vector, by dense movie row, or [`Modality::MISSING`].
    pub row_of_movie: Vec<u32>,
    /// What was subtracted from each vector, `[width]`.
    pub mean: Vec<f32>,
    /// What it was divided by then.
    pub length: f32,
}

/// What is subtracted from vectors, and what they are divided by then.
#[derive(Debug, Clone, PartialEq)]
struct Standard {
    mean: Vec<f32>,
    length: f32,
}

impl Modality {
    /// The row number that stands for a missing vector.
    pub const MISSING: u32 = u32::MAX;

    /// Gathers `(raw movie id, vector)` pairs of the catalogue `movies`, and
    /// standardizes the vectors: the mean vector is subtracted and
    /// all is divided by the one number that makes the mean squared length 1.
    ///
    /// Encoders put most of a vector's length into a direction that all
    /// pictures share; a tower learns faster from what differs. Vectors of unit
    /// length leave the first steps to the embeddings, so that a modality that
    /// says little does little harm. The statistics are of contents, never of
    /// ratings, so nothing leaks.
    ///
    /// Vectors of movies outside the catalogue, as a file about more movies than a
    /// release has them, are left out and [counted](Self::left_out).
    ///
    /// # Errors
    /// The first vector that is not of `width` numbers, holds one that is not finite, or
    /// is the movie's second, by the movie's id; numbers too large to be scaled.
    ///
    /// ```
    /// use mmdlrm_data::{IdMap, Modality};
    ///
    /// let movies = IdMap::from_ids([7, 9, 12]);
    /// let (seven, twelve) = ([1.0, 3.0], [1.0, 5.0]);
    /// let vectors = [(7, &seven[..]), (12, &twelve[..])];
    /// let modality = Modality::standardized("sound", 2, &movies, vectors)?;
    /// assert_eq!(modality.row_of_movie(), [0, Modality::MISSING, 1]);
    ///
    /// let twice = [(7, &seven[..]), (7, &twelve[..])];
    /// let error = Modality::standardized("sound", 2, &movies, twice).unwrap_err();
    /// assert!(error.to_string().contains("movie 7"));
    /// # Ok::<(), mmdlrm_data::Error>(())
    /// ```
    pub fn standardized<'a>(
        name: &str,
        width: usize,
        movies: &IdMap,
        vectors: impl IntoIterator<Item = (u32, &'a [f32])>,
    ) -> Result<Self> {
        if width == 0 {
            let rule = "a vector has one number or more";
            return Err(Error::setting("width of a modality", 0, rule));
        }
        let mut row_of_movie = vec![Self::MISSING; movies.len()];
        let (mut values, mut ids, mut left_out) = (Vec::new(), Vec::new(), 0);
        let mut rows = 0;
        for (id, vector) in vectors {
            let Some(movie) = movies.row(id) else {
                left_out += 1;
                continue;
            };
            check(name, width, Some(id), vector)?;
            let row = &mut row_of_movie[movie as usize];
            if *row != Self::MISSING {
                let problem = "it is the second one; keep one of them".to_owned();
                return Err(bad(name, Some(id), problem));
            }
            *row = rows;
            rows += 1;
            ids.push(id);
            values.extend_from_slice(vector);
        }
        let standard = Standard::fit(&values, width).ok_or_else(|| {
            let rule = "its vectors are too far from each other to be scaled; divide them all";
            Error::setting("modality", name, rule)
        })?;
        let values = standard.apply(values);
        let values = values.map_err(|place| beyond(name, ids.get(place / width).copied()))?;
        Ok(Self {
            name: name.to_owned(),
            width,
            values,
            movies: movies.clone(),
            row_of_movie,
            left_out,
            standard,
        })
    }

    /// What it is made of, beside the catalogue.
    pub fn parts(&self) -> ModalityParts {
        ModalityParts {
            name: self.name.clone(),
            left_out: self.left_out,
            values: self.values.clone(),
            row_of_movie: self.row_of_movie.clone(),
            mean: self.standard.mean.clone(),
            length: self.standard.length,
        }
    }

    /// The inverse of [`Self::parts`], for the same catalogue.
    ///
    /// # Errors
    /// Parts that do not fit each other, or another catalogue.
    pub fn from_parts(parts: ModalityParts, movies: &IdMap) -> Result<Self> {
        let width = parts.mean.len();
        let rows = parts.values.len().checked_div(width).unwrap_or(0);
        let is_a_row = |&row: &u32| row == Self::MISSING || (row as usize) < rows;
        let fits = rows * width == parts.values.len()
            && parts.row_of_movie.len() == movies.len()
            && parts.row_of_movie.iter().all(is_a_row)
            && parts.values.iter().all(|x| x.is_finite());
        if !fits {
            let rule = "its vectors must be those of the movies that it names";
            return Err(Error::setting("modality", parts.name, rule));
        }
        Ok(Self {
            name: parts.name,
            width,
            values: parts.values,
            movies: movies.clone(),
            row_of_movie: parts.row_of_movie,
            left_out: parts.left_out,
            standard: Standard {
                mean: parts.mean,
                length: parts.length,
            },
        })
    }

    /// The same vectors, as they are standardized, of the movies of a smaller catalogue alone.
    #[must_use]
    pub fn among(&self, movies: &IdMap) -> Self {
        let (mut values, mut rows) = (Vec::new(), 0);
        let vector_of = |id: &u32| {
            let Some(vector) = self.vector(*id) else {
                return Self::MISSING;
            };
            values.extend_from_slice(vector);
            rows += 1;
            rows - 1
        };
        Self {
            row_of_movie: movies.ids().iter().map(vector_of).collect(),
            values,
            movies: movies.clone(),
            ..self.clone()
        }
    }

    /// The vector of a movie behind the last, standardized as the others, which are left
    /// out.
    ///
    /// # Errors
    /// A vector of another length, that is not finite, or so long beside the others that half
    /// precision cannot hold it.
    pub fn of_new_movie(&self, vector: Option<&[f32]>) -> Result<Self> {
        let mut row_of_movie = vec![Self::MISSING; self.row_of_movie.len() + 1];
        if let (Some(vector), Some(row)) = (vector, row_of_movie.last_mut()) {
            check(&self.name, self.width, None, vector)?;
            *row = 0;
        }
        let values = self.standard.apply(vector.unwrap_or_default().to_vec());
        Ok(Self {
            values: values.map_err(|_| beyond(&self.name, None))?,
            row_of_movie,
            name: self.name.clone(),
            movies: self.movies.clone(),
            standard: self.standard.clone(),
            ..*self
        })
    }

    /// Name of the modality, `"image"` or `"text"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Numbers a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The catalogue, by dense row.
    pub fn movies(&self) -> &IdMap {
        &self.movies
    }

    /// How many vectors are of movies outside the catalogue.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The vector of a movie by raw id; `None` of one that has none.
    pub fn vector(&self, movie_id: u32) -> Option<&[f16]> {
        let movie = self.movies.row(movie_id)?;
        let row = *self.row_of_movie.get(movie as usize)?;
        let start = (row as usize).checked_mul(self.width)?;
        self.values.get(start..start.checked_add(self.width)?)
    }

    /// The vectors, `[rows, width]`, row by row.
    pub fn values(&self) -> &[f16] {
        &self.values
    }

    /// Row of each movie's vector, by dense movie row, or [`Self::MISSING`].
    pub fn row_of_movie(&self) -> &[u32] {
        &self.row_of_movie
    }

    /// Number of movies that have a vector.
    pub fn present(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }
}

/// Checks a movie's vector; that of a new movie, which has no id yet, too.
fn check(modality: &str, width: usize, movie_id: Option<u32>, vector: &[f32]) -> Result<()> {
    if vector.len() != width {
        let found = vector.len();
        let problem = format!(
            "it has {found} numbers where those of the modality have {width}; take all of them \
             from one encoder"
        );
        return Err(bad(modality, movie_id, problem));
    }
    match vector.iter().zip(0..).find(|(x, _)| !x.is_finite()) {
        None => Ok(()),
        Some((x, place)) => {
            let problem = format!("number {place} is {x}; make it anew, or leave it out");
            Err(bad(modality, movie_id, problem))
        }
    }
}

/// A vector that half precision cannot hold when it is standardized.
fn beyond(modality: &str, movie_id: Option<u32>) -> Error {
    let problem = "it is many thousand times as long as the others; is it of the same encoder?";
    bad(modality, movie_id, problem.to_owned())
}

fn bad(modality: &str, movie_id: Option<u32>, problem: String) -> Error {
    Error::Vector {
        modality: modality.to_owned(),
        movie_id,
        problem,
    }
}

impl Standard {
    /// Of `[rows, width]`; `None` where numbers of 32 bits do not reach.
    fn fit(values: &[f32], width: usize) -> Option<Self> {
        let rows = values.len().checked_div(width).unwrap_or(0);
        let mut mean = vec![0f64; width];
        for row in values.chunks_exact(width.max(1)) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let mean = mean.iter().map(|sum| (sum / rows.max(1) as f64) as f32);
        let mean: Vec<f32> = mean.collect();
        let mut squares = 0f64;
        for row in values.chunks_exact(width.max(1)) {
            let centred = row.iter().zip(&mean).map(|(x, mean)| f64::from(x - mean));
            squares += centred.map(|x| x * x).sum::<f64>();
        }
        let length = (squares / rows.max(1) as f64).sqrt() as f32;
        length.is_finite().then_some(Self {
            mean,
            length: if length > 0.0 { length } else { 1.0 },
        })
    }

    /// Standardizes `[rows, width]`, or tells the place of a number that half precision
    /// cannot hold then.
    fn apply(&self, mut values: Vec<f32>) -> Result<Vec<f16>, usize> {
        for row in values.chunks_exact_mut(self.mean.len().max(1)) {
            row.iter_mut()
                .zip(&self.mean)
                .for_each(|(x, mean)| *x = (*x - mean) / self.length);
        }
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        match halves.iter().position(|half| !half.is_finite()) {
            None => Ok(halves),
            Some(place) => Err(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movies() -> IdMap {
        IdMap::from_ids([11, 12, 13, 14])
    }

    fn of(vectors: &[(u32, &[f32])]) -> Result<Modality> {
        Modality::standardized("image", 2, &movies(), vectors.iter().copied())
    }

    #[test]
    fn vectors_get_mean_zero_and_unit_length_and_the_missing_are_marked() {
        let modality = of(&[(13, &[10.0, 12.0]), (11, &[14.0, 12.0])]).unwrap();
        assert_eq!(
            modality.row_of_movie(),
            &[1, Modality::MISSING, 0, Modality::MISSING]
        );
        assert_eq!(modality.present(), 2);
        assert_eq!(modality.values(), [-1.0, 0.0, 1.0, 0.0].map(f16::from_f32));
        let one = [1.0, 0.0].map(f16::from_f32);
        assert_eq!(modality.vector(11), Some(&one[..]));
        assert_eq!((modality.vector(12), modality.vector(99)), (None, None));
        let new = modality.of_new_movie(Some(&[14.0, 14.0])).unwrap();
        assert_eq!(new.values(), [1.0, 1.0].map(f16::from_f32));
        assert_eq!(
            new.row_of_movie(),
            [[Modality::MISSING; 4].as_slice(), &[0]].concat()
        );
        assert_eq!(modality.of_new_movie(None).unwrap().present(), 0);
        let part = modality.among(&IdMap::from_ids([11, 12]));
        assert_eq!((part.present(), part.vector(11)), (1, modality.vector(11)));
        assert_eq!((part.vector(12), part.vector(13)), (None, None));
    }

    #[test]
    fn vectors_that_cannot_be_used_are_refused_by_movie() {
        let good: (u32, &[f32]) = (11, &[1.0, 2.0]);
        let refused = |vectors: &[(u32, &[f32])], why: &str| {
            let error = of(vectors).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(
            &[good, (12, &[1.0])],
            "vector 'image' of movie 12: it has 1 numbers where",
        );
        refused(&[good, (12, &[])], "of movie 12: it has 0 numbers");
        refused(
            &[good, (14, &[0.5, f32::NAN])],
            "of movie 14: number 1 is NaN",
        );
        refused(
            &[good, (14, &[f32::INFINITY, 0.5])],
            "of movie 14: number 0 is inf",
        );
        refused(
            &[good, (12, &[1.0, 3.0]), good],
            "of movie 11: it is the second one",
        );
        refused(
            &[(11, &[-3e38, 3e38]), (12, &[3e38, -3e38])],
            "modality is image, but its vectors are too far",
        );
        let none: [(u32, &[f32]); 0] = [];
        assert!(Modality::standardized("image", 0, &movies(), none).is_err());
    }

    #[test]
    fn vectors_of_movies_outside_the_catalogue_are_counted() {
        let (wide, two): (&[f32], &[f32]) = (&[1.0; 3], &[1.0, 2.0]);
        let modality = of(&[(11, two), (7, two), (8, wide)]).unwrap();
        assert_eq!((modality.present(), modality.left_out()), (1, 2));
    }

    #[test]
    fn a_new_movies_vector_that_does_not_fit_the_others_is_refused() {
        let modality = of(&[(11, &[1.0, 1.0]), (12, &[1.0, 1.001])]).unwrap();
        for (vector, why) in [
            (&[1.0][..], "of the new movie: it has 1 numbers"),
            (&[1.0, f32::NAN], "of the new movie: number 1 is NaN"),
            (
                &[1.0, 60.0],
                "of the new movie: it is many thousand times as long",
            ),
        ] {
            let error = modality.of_new_movie(Some(vector)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(modality.of_new_movie(Some(&[1.0, 2.0])).is_ok());
    }
}
