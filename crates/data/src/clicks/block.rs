//! Rows as a model takes them.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::categories::ClickEncoder;
use super::rows::ClickRows;
use super::{CATEGORIES, NUMBERS, category_name, number_name};
use crate::{Batch, BatchSchema, Column, ColumnField, ColumnKind, Result};

/// Name of the column of dense features.
pub(super) const DENSE: &str = "dense";

/// Some rows, row by row: 160 bytes each.
#[derive(Debug, Default)]
pub(super) struct ClickBlock {
    labels: Vec<f32>,
    dense: Vec<[f32; NUMBERS]>,
    ids: Vec<[u32; CATEGORIES]>,
}

/// The columns of the batches.
pub(super) fn schema(encoder: &ClickEncoder) -> Result<BatchSchema> {
    let categories = encoder.table_rows().into_iter().enumerate();
    let categories =
        categories.map(|(at, ids)| ColumnField::new(category_name(at), ColumnKind::Ids { ids }));
    let dense = ColumnField::new(DENSE, ColumnKind::dense((0..NUMBERS).map(number_name)));
    BatchSchema::new(0, 0, categories.chain([dense]))
}

/// Logarithms of numbers below it are looked up.
const LOOKED_UP: usize = 4096;

/// `ln(1 + x)` of small numbers.
static LOGS: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..LOOKED_UP).map(|x| (x as f32).ln_1p()).collect());

/// `ln(1 + max(x, 0))`.
#[inline]
fn log(logs: &[f32], x: i32) -> f32 {
    // That there is none is the least of all numbers.
    let x = x.max(0);
    let looked_up = logs.get(x as usize).copied();
    looked_up.unwrap_or_else(|| (x as f32).ln_1p())
}

impl ClickBlock {
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            labels: Vec::with_capacity(rows),
            dense: Vec::with_capacity(rows),
            ids: Vec::with_capacity(rows),
        }
    }

    /// Of some of the rows.
    pub fn of(rows: &ClickRows, range: Range<usize>, encoder: &ClickEncoder) -> Self {
        let mut block = Self::with_capacity(range.len());
        for row in rows.iter().skip(range.start).take(range.len()) {
            let (numbers, values, missing) = row.raw();
            block.labels.push(f32::from(u8::from(row.label)));
            block.dense.push(numbers.map(|x| log(&LOGS, x)));
            block.ids.push(encoder.rows(values, missing));
        }
        block
    }

    pub fn add(&mut self, other: &Self, range: Range<usize>) {
        self.labels.extend_from_slice(&other.labels[range.clone()]);
        self.dense.extend_from_slice(&other.dense[range.clone()]);
        self.ids.extend_from_slice(&other.ids[range]);
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

/// The rows of a batch, wherever they lie.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pieces: Vec<(Arc<ClickBlock>, Vec<u32>)>,
    rows: usize,
}

impl Picked {
    pub fn add(&mut self, block: &Arc<ClickBlock>, rows: &[u32]) {
        self.rows += rows.len();
        self.pieces.push((Arc::clone(block), rows.to_vec()));
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn batch(self, schema: &BatchSchema) -> Batch {
        let mut labels = Vec::with_capacity(self.rows);
        let mut dense = Vec::with_capacity(self.rows * NUMBERS);
        let mut ids: [Vec<u32>; CATEGORIES] =
            std::array::from_fn(|_| Vec::with_capacity(self.rows));
        for (block, rows) in &self.pieces {
            for &row in rows {
                let row = row as usize;
                labels.push(block.labels[row]);
                dense.extend_from_slice(&block.dense[row]);
                for (column, id) in ids.iter_mut().zip(block.ids[row]) {
                    column.push(id);
                }
            }
        }
        let dense = Column::Dense {
            width: NUMBERS,
            values: dense,
        };
        let columns = ids.into_iter().map(Column::Ids).chain([dense]);
        Batch::of_targets(labels).with_columns(schema, columns.collect())
    }
}
