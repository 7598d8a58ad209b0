//! Texts of several windows.

use crate::{Error, LongTexts, Result};

impl LongTexts {
    /// In words, for an [`Identity`].
    pub(crate) fn describe(self, longest: usize) -> String {
        match self {
            Self::Truncate => format!("cut to {longest} tokens"),
            Self::Chunk => {
                // As stores have it: in another spelling it would be another model.
                format!("windows of {longest} tokens, mean of their normalised vectors")
            }
        }
    }

    /// Embeds texts, each of some windows of token ids, by what embeds windows.
    pub(crate) fn pool(
        self,
        texts: Vec<Vec<Vec<u32>>>,
        encode: impl FnOnce(&[Vec<u32>]) -> Result<Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<f32>>> {
        let counts: Vec<usize> = texts.iter().map(Vec::len).collect();
        let vectors = encode(&texts.concat()).map_err(|error| of_text(error, &counts))?;
        if self == Self::Truncate {
            return Ok(vectors);
        }
        let mut rest = vectors.as_slice();
        let means = counts.iter().map(|&count| {
            let (windows, others) = rest.split_at_checked(count)?;
            rest = others;
            Some(mean_of_normalized(windows))
        });
        let means: Option<Vec<_>> = means.collect();
        means.filter(|_| rest.is_empty()).ok_or_else(|| {
            let windows: usize = counts.iter().sum();
            let came = vectors.len();
            Error::Compute(format!("{came} vectors came of {windows} windows of texts").into())
        })
    }
}

/// The text of a window that could not be embedded, given how many windows texts have.
fn of_text(error: Error, counts: &[usize]) -> Error {
    match error {
        Error::Embedding { row, problem } => {
            let mut end = 0;
            let ends = counts.iter().map(|count| {
                end += count;
                end
            });
            let row = ends.take_while(|&end| end <= row).count();
            Error::Embedding { row, problem }
        }
        other => other,
    }
}

fn mean_of_normalized(vectors: &[Vec<f32>]) -> Vec<f32> {
    let width = vectors.first().map_or(0, Vec::len);
    let mut mean = vec![0.0; width];
    for vector in vectors {
        let scale = 1.0 / (length(vector) * vectors.len() as f32);
        mean.iter_mut()
            .zip(vector)
            .for_each(|(m, x)| *m += scale * x);
    }
    mean
}

/// Euclidean length, one for zeros.
pub(crate) fn length(vector: &[f32]) -> f32 {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 { length } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VectorProblem;

    #[test]
    fn a_long_text_is_the_mean_of_its_windows_at_length_one() {
        let texts = vec![vec![vec![3], vec![4]], vec![vec![5]]];
        let encode = |windows: &[Vec<u32>]| {
            let axis = |window: &Vec<u32>| match window[0] {
                3 => vec![2.0, 0.0],
                4 => vec![0.0, 8.0],
                _ => vec![3.0, 4.0],
            };
            Ok(windows.iter().map(axis).collect())
        };
        let pooled = LongTexts::Chunk.pool(texts, encode).unwrap();
        assert_eq!(pooled, [[0.5, 0.5], [0.6, 0.8]]);
    }

    #[test]
    fn a_window_that_is_not_a_number_is_of_its_text() {
        let texts = vec![vec![vec![3], vec![4]], vec![vec![5]]];
        for (window, text) in [(0, 0), (1, 0), (2, 1)] {
            let problem = VectorProblem::Width {
                found: 1,
                expected: 2,
            };
            let encode = |_: &[Vec<u32>]| {
                Err(Error::Embedding {
                    row: window,
                    problem,
                })
            };
            let error = LongTexts::Chunk.pool(texts.clone(), encode).unwrap_err();
            assert!(
                matches!(error, Error::Embedding { row, .. } if row == text),
                "{error}"
            );
        }
    }

    #[test]
    fn windows_without_a_vector_are_not_passed_over() {
        let texts = vec![vec![vec![3], vec![4]], vec![vec![5]]];
        for vectors in [2, 4] {
            let encode = |_: &[Vec<u32>]| Ok(vec![vec![1.0]; vectors]);
            let error = LongTexts::Chunk.pool(texts.clone(), encode).unwrap_err();
            assert!(error.to_string().contains("3 windows"), "{error}");
        }
    }
}
