use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::{Error, Result};

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
    row_of_movie: Vec<u32>,
    standard: Standard,
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

    /// Gathers `(dense movie row, vector)` pairs for a catalogue of `movies`
    /// movies, and standardises the vectors: the mean vector is subtracted and
    /// all is divided by the one number that makes the mean squared length 1.
    ///
    /// Encoders put most of a vector's length into a direction that all
    /// pictures share; a tower learns faster from what differs. Vectors of unit
    /// length leave the first steps to the embeddings, so that a modality that
    /// says little does little harm. The statistics are of contents, never of
    /// ratings, so nothing leaks.
    ///
    /// Vectors whose length is not `width`, and movies outside the catalogue,
    /// are left out.
    pub fn standardised<'a>(
        name: &str,
        width: usize,
        movies: usize,
        vectors: impl IntoIterator<Item = (u32, &'a [f32])>,
    ) -> Self {
        let mut row_of_movie = vec![Self::MISSING; movies];
        let mut values = Vec::new();
        let mut rows = 0;
        for (movie, vector) in vectors {
            let Some(row) = row_of_movie.get_mut(movie as usize) else {
                continue;
            };
            if vector.len() == width && *row == Self::MISSING {
                *row = rows;
                rows += 1;
                values.extend_from_slice(vector);
            }
        }
        let standard = Standard::fit(&values, width);
        Self {
            name: name.to_owned(),
            width,
            values: standard.apply(values),
            row_of_movie,
            standard,
        }
    }

    /// The vector of a movie behind the last, standardised as the others, which are left
    /// out.
    pub(crate) fn of_new_movie(&self, vector: Option<&[f32]>) -> Result<Self> {
        let mut row_of_movie = vec![Self::MISSING; self.row_of_movie.len() + 1];
        if let (Some(vector), Some(row)) = (vector, row_of_movie.last_mut()) {
            if vector.len() != self.width {
                let rule = "it must have the width of the modality's others";
                return Err(Error::setting("numbers of a vector", vector.len(), rule));
            }
            *row = 0;
        }
        Ok(Self {
            name: self.name.clone(),
            width: self.width,
            values: self.standard.apply(vector.unwrap_or_default().to_vec()),
            row_of_movie,
            standard: self.standard.clone(),
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

impl Standard {
    /// Of `[rows, width]`.
    fn fit(values: &[f32], width: usize) -> Self {
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
        Self {
            mean,
            length: if length > 0.0 { length } else { 1.0 },
        }
    }

    fn apply(&self, mut values: Vec<f32>) -> Vec<f16> {
        for row in values.chunks_exact_mut(self.mean.len().max(1)) {
            row.iter_mut()
                .zip(&self.mean)
                .for_each(|(x, mean)| *x = (*x - mean) / self.length);
        }
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        halves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_get_mean_zero_and_unit_length_and_the_missing_are_marked() {
        let (a, b) = ([10.0, 12.0], [14.0, 12.0]);
        let modality = Modality::standardised("image", 2, 4, [(2, &a[..]), (0, &b[..])]);
        assert_eq!(
            modality.row_of_movie(),
            &[1, Modality::MISSING, 0, Modality::MISSING]
        );
        assert_eq!(modality.present(), 2);
        assert_eq!(modality.values(), [-1.0, 0.0, 1.0, 0.0].map(f16::from_f32));
        let new = modality.of_new_movie(Some(&[14.0, 14.0])).unwrap();
        assert_eq!(new.values(), [1.0, 1.0].map(f16::from_f32));
        assert_eq!(
            new.row_of_movie(),
            [[Modality::MISSING; 4].as_slice(), &[0]].concat()
        );
        assert_eq!(modality.of_new_movie(None).unwrap().present(), 0);
        assert!(modality.of_new_movie(Some(&[1.0])).is_err());
    }
}
