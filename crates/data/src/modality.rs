use half::f16;
use half::slice::HalfFloatSliceExt;

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
        standardise(&mut values, width);
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        Self {
            name: name.to_owned(),
            width,
            values: halves,
            row_of_movie,
        }
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

fn standardise(values: &mut [f32], width: usize) {
    let Some(rows) = values.len().checked_div(width).filter(|&rows| rows > 0) else {
        return;
    };
    let mut mean = vec![0f64; width];
    for row in values.chunks_exact(width) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(sum, &x)| *sum += f64::from(x));
    }
    mean.iter_mut().for_each(|sum| *sum /= rows as f64);
    let mut squares = 0f64;
    for row in values.chunks_exact_mut(width) {
        for (x, mean) in row.iter_mut().zip(&mean) {
            *x -= *mean as f32;
            squares += f64::from(*x).powi(2);
        }
    }
    let length = (squares / rows as f64).sqrt() as f32;
    if length > 0.0 {
        values.iter_mut().for_each(|x| *x /= length);
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
    }
}
