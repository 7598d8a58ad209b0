//! Batches in groups, one a thread.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::{Error, Result, VectorProblem};

/// Rows of sequences that go through a transformer together on one thread:
/// enough for the weights to be used many times a reading, few enough that
/// what lies between two layers stays in the caches.
pub(crate) const ROWS_AT_A_TIME: usize = 300;

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

/// The same for prepared pictures, `[3, side, side]`, each of which has `rows` rows: `encode`
/// gets the pixels of a group, `[group, 3, side, side]`, in f32.
pub(crate) fn pictures_side_by_side(
    device: &Device,
    pictures: &[Vec<f32>],
    side: u32,
    (most, rows): (usize, usize),
    encode: impl Fn(Tensor) -> candle_core::Result<Tensor> + Send + Sync,
) -> Result<Vec<Vec<f32>>> {
    check_pictures(pictures, side)?;
    let side = side as usize;
    let of_group = |pictures: &[Vec<f32>]| {
        let shape = (pictures.len(), 3, side, side);
        encode(Tensor::from_vec(pictures.concat(), shape, device)?)
    };
    side_by_side(device, pictures, most, |_| rows, of_group)
}

/// Refuses a prepared picture of another size, `[3, side, side]`: side by side two wrong
/// ones can look right.
fn check_pictures(pictures: &[Vec<f32>], side: u32) -> Result<()> {
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
