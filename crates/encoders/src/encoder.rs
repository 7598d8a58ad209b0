//! What encoders have in common.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use mmdlrm_kernels::InstructionSet;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Cause;
use crate::weights::{ModelHash, WeightsFile};
use crate::{Error, Result, VectorProblem};

/// Rows of sequences that go through a transformer together on one thread:
/// enough for the weights to be used many times a reading, few enough that
/// what lies between two layers stays in the caches.
pub(crate) const ROWS_AT_A_TIME: usize = 300;

/// What embeddings depend on besides the pictures or texts: two encoders of
/// equal identity give the same vectors.
///
/// An [`EmbeddingStore`](crate::EmbeddingStore) keeps it, and refuses vectors
/// of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The model's folder or its name on the hub.
    pub model: String,
    /// The hub's commit, for a model from there.
    pub revision: Option<String>,
    /// How one vector comes of many: `projected class token`, `mean of tokens`.
    pub pooling: String,
    /// What happens to a picture or text before the model sees it.
    pub preprocessing: String,
    /// The numbers that it computes with: `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// Of configuration, weights, tokenizer and preprocessing.
    pub hash: String,
}

impl Identity {
    /// Of an encoder of one's own, that computes in `f32`. `hash` is to be another
    /// whenever a vector would be: a version, or a hash of weights and settings.
    ///
    /// ```
    /// let identity = mmdlrm_encoders::Identity::new("letters", "a to z, version 1");
    /// assert_eq!(identity.dtype, "f32");
    /// ```
    pub fn new(model: &str, hash: &str) -> Self {
        Self {
            model: model.to_owned(),
            revision: None,
            pooling: String::new(),
            preprocessing: String::new(),
            dtype: "f32".to_owned(),
            hash: hash.to_owned(),
        }
    }

    /// Whether vectors of both can stand side by side: all is equal but the
    /// name, which may be another folder's.
    pub fn same_vectors(&self, other: &Self) -> bool {
        let Self {
            pooling,
            preprocessing,
            dtype,
            hash,
            ..
        } = self;
        (pooling, preprocessing, dtype, hash)
            == (
                &other.pooling,
                &other.preprocessing,
                &other.dtype,
                &other.hash,
            )
    }
}

/// Pictures to vectors.
pub trait ImageEncoder: Send + Sync {
    /// What the vectors depend on.
    fn image_identity(&self) -> &Identity;

    /// Length of a vector.
    fn image_width(&self) -> usize;

    /// Decodes and prepares a picture, the bytes of a JPEG or PNG file:
    /// `[3, height, width]`, normalized.
    ///
    /// # Errors
    /// [`Error::Picture`] for what is not a whole picture of a sane size.
    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>>;

    /// Embeds prepared pictures: `[pictures][width]`.
    ///
    /// # Errors
    /// A picture of another size, or a device that fails.
    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>>;
}

/// Texts to vectors.
pub trait TextEncoder: Send + Sync {
    /// What the vectors depend on.
    fn text_identity(&self) -> &Identity;

    /// Length of a vector.
    fn text_width(&self) -> usize;

    /// Embeds texts: `[texts][width]`.
    ///
    /// # Errors
    /// A tokenizer that refuses a text, or a device that fails.
    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

/// What becomes of a text with more tokens than the model takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongTexts {
    /// It is cut; the end token stays.
    #[default]
    Truncate,
    /// It is cut into windows of whole sentences where they fit, and its
    /// vector is the mean of theirs, each of length one.
    Chunk,
}

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

/// Where and how a model is loaded.
///
/// ```
/// use mmdlrm_encoders::{LoadOptions, LongTexts};
///
/// let options = LoadOptions::default().with_long_texts(LongTexts::Chunk);
/// assert!(options.device.is_cpu());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Where it computes; [`Device::Cpu`] by default.
    pub device: Device,
    /// What it computes with, whatever the weights are stored as: `F32` by
    /// default, `F16` or `BF16`.
    pub dtype: DType,
    /// What becomes of texts that are too long; cut by default.
    pub long_texts: LongTexts,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            long_texts: LongTexts::default(),
        }
    }
}

impl LoadOptions {
    /// With another [`Self::device`].
    pub fn with_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// With another [`Self::dtype`].
    pub fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// With another [`Self::long_texts`].
    pub fn with_long_texts(self, long_texts: LongTexts) -> Self {
        Self { long_texts, ..self }
    }

    /// Opens a safetensors file, of which `build` makes the model, and hashes it after
    /// what `hash` has: what does not fit is found before all of it is read.
    pub(crate) fn weights<T>(
        &self,
        model: &str,
        path: &Path,
        hash: &mut ModelHash,
        build: impl FnOnce(VarBuilder) -> candle_core::Result<T>,
    ) -> Result<T> {
        InstructionSet::in_use()?;
        if !matches!(self.dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(Error::Compute(
                format!(
                    "{} is no type to compute with; choose f32, f16 or bf16",
                    self.dtype.as_str()
                )
                .into(),
            ));
        }
        let unusable = |problem: Cause| Error::Weights {
            model: model.to_owned(),
            problem,
        };
        let file = WeightsFile::open(path).map_err(|problem| unusable(problem.into()))?;
        let weights = VarBuilder::from_backend(Box::new(&file), self.dtype, self.device.clone());
        let built = build(weights).map_err(|problem| unusable(problem.into()))?;
        file.hash(hash)
            .map_err(|problem| unusable(problem.into()))?;
        Ok(built)
    }
}

/// Cuts a batch into groups of about `most` rows and gives each to a thread of a
/// CPU; a GPU takes the batch whole. `rows` says how many an item has.
pub(crate) fn side_by_side<T: Sync>(
    device: &Device,
    batch: &[T],
    most: usize,
    rows: impl Fn(&T) -> usize,
    encode: impl Fn(&[T]) -> candle_core::Result<Tensor> + Send + Sync,
) -> Result<Vec<Vec<f32>>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if !device.is_cpu() {
        return vectors(&encode(batch)?, 0);
    }
    let total: usize = batch.iter().map(&rows).sum();
    // As many groups for each thread, so that all end at about the same time.
    let count = total.div_ceil(most);
    let count = count.next_multiple_of(rayon::current_num_threads());
    let groups = groups(batch, rows, total, count);
    let firsts = groups.iter().scan(0, |next, group| {
        let first = *next;
        *next += group.len();
        Some(first)
    });
    let firsts: Vec<usize> = firsts.collect();
    let encoded: Vec<Result<_>> = groups
        .into_par_iter()
        .zip(firsts)
        .map(|(group, first)| vectors(&encode(group)?, first))
        .collect();
    // Of several errors the first, whichever thread was quicker.
    let encoded = encoded.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(encoded.into_iter().flatten().collect())
}

/// Cuts a batch of `total` rows into at most `count` groups of about as many.
fn groups<T>(batch: &[T], rows: impl Fn(&T) -> usize, total: usize, count: usize) -> Vec<&[T]> {
    let (mut groups, mut start, mut seen) = (Vec::new(), 0, 0);
    for (number, item) in batch.iter().enumerate() {
        seen += rows(item);
        if seen * count >= (groups.len() + 1) * total {
            groups.push(&batch[start..=number]);
            start = number + 1;
        }
    }
    groups.push(&batch[start..]);
    groups.retain(|group| !group.is_empty());
    groups
}

/// The rows of `[batch, width]`, all of them numbers; the first has the number `first`
/// among all that are encoded together.
fn vectors(embeddings: &Tensor, first: usize) -> Result<Vec<Vec<f32>>> {
    let vectors: Vec<Vec<f32>> = embeddings.to_dtype(DType::F32)?.to_vec2()?;
    for (row, vector) in (first..).zip(&vectors) {
        if let Some(problem) = VectorProblem::of(vector, vector.len()) {
            return Err(Error::Embedding { row, problem });
        }
    }
    Ok(vectors)
}

/// Refuses a prepared picture of another size, `[3, side, side]`: side by side two wrong
/// ones can look right.
pub(crate) fn check_pictures(pictures: &[Vec<f32>], side: u32) -> Result<()> {
    let expected = 3 * side as usize * side as usize;
    let wrong = pictures
        .iter()
        .position(|picture| picture.len() != expected);
    match wrong {
        None => Ok(()),
        Some(row) => Err(Error::PictureSize {
            row,
            found: pictures[row].len(),
            expected,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_as_many_as_asked_for_and_alike() {
        let sizes = |batch: &[usize], count| -> Vec<usize> {
            let groups = groups(batch, |rows| *rows, batch.iter().sum(), count);
            groups.iter().map(|group| group.iter().sum()).collect()
        };
        assert_eq!(sizes(&[50; 64], 12).len(), 12);
        assert!(
            sizes(&[50; 64], 12)
                .iter()
                .all(|rows| (250..=300).contains(rows))
        );
        assert_eq!(sizes(&[1, 1, 1], 12), [1, 1, 1]);
        assert_eq!(sizes(&[100, 1, 1, 1, 1], 2), [100, 4]);
    }

    #[test]
    fn groups_hold_every_item_once_and_in_order() {
        let encode = |group: &[f32]| Tensor::from_slice(group, (group.len(), 1), &Device::Cpu);
        for count in [0, 1, 5, 1000] {
            let batch: Vec<f32> = (0..count).map(|i| i as f32).collect();
            let encoded =
                side_by_side(&Device::Cpu, &batch, 300, |x| *x as usize % 90, encode).unwrap();
            assert_eq!(encoded.concat(), batch);
        }
    }

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
    fn what_is_not_a_number_is_an_error_with_its_place() {
        let encode = |group: &[f32]| Tensor::from_slice(group, (group.len(), 1), &Device::Cpu);
        for (batch, place) in [
            (vec![1.0, 2.0, 3.0, f32::NAN], 3),
            (vec![f32::INFINITY; 5], 0),
        ] {
            let error = side_by_side(&Device::Cpu, &batch, 1, |_| 1, encode).unwrap_err();
            assert!(
                matches!(error, Error::Embedding { row, .. } if row == place),
                "{error}"
            );
        }
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

    #[test]
    fn pictures_of_wrong_sizes_do_not_make_up_for_each_other() {
        let pictures = [vec![0.0; 11], vec![0.0; 13]];
        let error = check_pictures(&pictures, 2).unwrap_err();
        assert!(
            matches!(
                error,
                Error::PictureSize {
                    row: 0,
                    found: 11,
                    expected: 12
                }
            ),
            "{error}"
        );
        assert!(check_pictures(&[vec![0.0; 12]], 2).is_ok());
    }
}
