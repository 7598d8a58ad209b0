use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use mmdlrm_kernels::{prefetch, vectorize, widen_halves};

use crate::config::{Pooling, Side, TableConfig};
use crate::{DlrmConfig, Error, Result, SharedBags};

/// Samples for a model: borrowed columns, nothing copied.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Dense features, `[batch, dense_features]`; all finite.
    pub dense: &'a [f32],
    /// One a table, in the order of the configuration.
    pub tables: &'a [TableInput<'a>],
    /// One a modality, in the order of the configuration.
    pub modalities: &'a [ModalityInput<'a>],
}

/// The bags of one table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TableInput<'a> {
    /// Exactly one id a sample, `[batch]`.
    Single(&'a [u32]),
    /// Compressed sparse rows: sample `s` has `ids[offsets[s]..offsets[s + 1]]`.
    Lists {
        /// `[batch + 1]`, from 0 to the number of ids.
        offsets: &'a [u32],
        /// Ids of all bags.
        ids: &'a [u32],
    },
    /// The same with a weight for each id, which its vector is multiplied by.
    Weighted {
        /// `[batch + 1]`, from 0 to the number of ids.
        offsets: &'a [u32],
        /// Ids of all bags.
        ids: &'a [u32],
        /// One for each id.
        weights: &'a [f32],
    },
    /// Bags that samples share, each sample's less an id of its own.
    Shared(SharedBags<'a>),
    /// No ids: what interacts is given, for those whom the table does not know. Pooling,
    /// compression and projection are passed over.
    Given {
        /// `[vectors, dim]`, as long as the model's
        /// [`dim`](crate::DlrmConfig::dim); all finite.
        vectors: &'a [f32],
        /// Which of them each sample has, `[batch]`.
        rows: &'a [u32],
    },
}

/// The vectors of one modality and which of them each sample has.
#[derive(Debug, Clone, Copy)]
pub struct ModalityInput<'a> {
    /// All vectors, `[rows, width]`.
    pub vectors: Vectors<'a>,
    /// Row of each sample, `[batch]`; [`ModalityInput::MISSING`] where the
    /// sample has none.
    pub rows: &'a [u32],
}

impl ModalityInput<'_> {
    /// The row number that stands for a missing vector.
    pub const MISSING: u32 = u32::MAX;
}

/// Vectors one after another, in single or in half precision; the latter take
/// half the memory, and half the time to fetch. Computations are in `f32`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Vectors<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    F16(&'a [f16]),
}

impl<'a> From<&'a [f32]> for Vectors<'a> {
    fn from(vectors: &'a [f32]) -> Self {
        Self::F32(vectors)
    }
}

impl<'a> From<&'a [f16]> for Vectors<'a> {
    fn from(vectors: &'a [f16]) -> Self {
        Self::F16(vectors)
    }
}

impl Vectors<'_> {
    /// Numbers in all.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(vectors) => vectors.len(),
            Self::F16(vectors) => vectors.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for numbers that will be read soon.
    #[inline(always)]
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        match self {
            Self::F32(vectors) => prefetch(&vectors[range]),
            Self::F16(vectors) => prefetch(&vectors[range]),
        }
    }

    /// Copies the numbers from `start` on.
    #[inline(always)]
    pub(crate) fn read(&self, start: usize, out: &mut [f32]) {
        match self {
            Self::F32(vectors) => out.copy_from_slice(&vectors[start..start + out.len()]),
            Self::F16(vectors) => {
                widen_halves(vectors[start..start + out.len()].reinterpret_cast(), out);
            }
        }
    }
}

impl<'a> TableInput<'a> {
    /// Number of bags.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(ids) => ids.len(),
            Self::Lists { offsets, .. } | Self::Weighted { offsets, .. } => {
                offsets.len().saturating_sub(1)
            }
            Self::Shared(bags) => bags.bag_of.len(),
            Self::Given { rows, .. } => rows.len(),
        }
    }

    /// Whether there is no bag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the ids of sample `sample` stand.
    #[inline]
    pub(crate) fn span(&self, sample: usize) -> Range<usize> {
        match self {
            Self::Single(_) => sample..sample + 1,
            Self::Lists { offsets, .. } | Self::Weighted { offsets, .. } => {
                offsets[sample] as usize..offsets[sample + 1] as usize
            }
            Self::Shared(bags) => bags.span_of(bags.bag_of[sample] as usize),
            Self::Given { .. } => 0..0,
        }
    }

    pub(crate) fn ids(&self) -> &'a [u32] {
        match self {
            Self::Single(ids) | Self::Lists { ids, .. } | Self::Weighted { ids, .. } => ids,
            Self::Shared(bags) => bags.ids,
            Self::Given { .. } => &[],
        }
    }

    /// Writes the sample of each id.
    pub(crate) fn write_samples(&self, samples: &mut Vec<u32>) {
        samples.clear();
        for sample in 0..self.len() {
            samples.resize(self.span(sample).end, sample as u32);
        }
    }

    /// The sample of each id.
    #[cfg(feature = "candle")]
    pub(crate) fn samples(&self) -> Vec<u32> {
        let mut samples = Vec::new();
        self.write_samples(&mut samples);
        samples
    }

    pub(crate) fn weights(&self) -> Option<&'a [f32]> {
        match self {
            Self::Weighted { weights, .. } => Some(weights),
            Self::Shared(bags) => bags.weights,
            Self::Single(_) | Self::Lists { .. } | Self::Given { .. } => None,
        }
    }

    /// Checks the bags of `samples` samples, of a model whose vectors are `dim` long.
    pub(crate) fn check(&self, table: &TableConfig, dim: usize, samples: usize) -> Result<()> {
        let name = &table.name;
        same(&format!("bags of table {name}"), self.len(), samples)?;
        match self {
            Self::Single(_) => {}
            Self::Lists { offsets, ids } | Self::Weighted { offsets, ids, .. } => {
                check_offsets(table, offsets, ids.len())?;
            }
            Self::Shared(bags) => bags.check(table, samples)?,
            Self::Given { vectors, rows } => {
                let what = format!("vectors given for table {name}");
                let count = vectors.len() / dim;
                same(&what, vectors.len(), count * dim)?;
                finite(&what, vectors, dim)?;
                return check_range(&what, rows, count, None);
            }
        }
        if let Some(weights) = self.weights() {
            if table.pooling == Pooling::Mean {
                return Err(Error::WeightedMean {
                    table: name.clone(),
                });
            }
            same(
                &format!("weights of table {name}"),
                weights.len(),
                self.ids().len(),
            )?;
            finite(&format!("weights of table {name}"), weights, 1)?;
        }
        check_range(&format!("table {name}"), self.ids(), table.rows, None)
    }
}

impl Inputs<'_> {
    /// Checks everything that the kernels rely on and returns the number of
    /// samples.
    pub(crate) fn check(&self, config: &DlrmConfig) -> Result<usize> {
        self.check_sides(config, |_| true)
    }

    /// Checks the inputs of some sides.
    pub(crate) fn check_sides(
        &self,
        config: &DlrmConfig,
        wanted: impl Fn(Side) -> bool,
    ) -> Result<usize> {
        let columns = config.dense_features();
        let samples = self.dense.len() / columns;
        same("dense", self.dense.len(), samples * columns)?;
        finite("dense features", self.dense, columns)?;
        same("the list of bags", self.tables.len(), config.tables.len())?;
        for (bags, table) in self.tables.iter().zip(&config.tables) {
            if wanted(table.side) {
                bags.check(table, config.dim, samples)?;
            }
        }
        let modalities = config.modalities.len();
        same("the list of modalities", self.modalities.len(), modalities)?;
        for (input, modality) in self.modalities.iter().zip(&config.modalities) {
            if !wanted(modality.side) {
                continue;
            }
            let (name, length) = (&modality.name, input.vectors.len());
            let rows = length / modality.width;
            same(&format!("vectors of {name}"), length, rows * modality.width)?;
            same(&format!("rows of {name}"), input.rows.len(), samples)?;
            let missing = Some(ModalityInput::MISSING);
            check_range(&format!("modality {name}"), input.rows, rows, missing)?;
        }
        Ok(samples)
    }
}

/// Offsets must rise from 0 to the number of ids.
pub(crate) fn check_offsets(table: &TableConfig, offsets: &[u32], ids: usize) -> Result<()> {
    let broken_at = |position| Error::Offsets {
        table: table.name.clone(),
        position,
    };
    if offsets.first() != Some(&0) {
        return Err(broken_at(0));
    }
    if let Some(fall) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
        return Err(broken_at(fall + 1));
    }
    if offsets.last().map(|&last| last as usize) != Some(ids) {
        return Err(broken_at(offsets.len() - 1));
    }
    Ok(())
}

/// Every value must be below `rows`, or `missing`.
pub(crate) fn check_range(
    what: &str,
    values: &[u32],
    rows: usize,
    missing: Option<u32>,
) -> Result<()> {
    let outside = |&value: &u32| value as usize >= rows && Some(value) != missing;
    // Nearly always there is nothing to find, so all is looked at: without an
    // early end it is vectorised.
    let found = vectorize(
        #[inline(always)]
        || {
            values
                .iter()
                .fold(false, |found, value| found | outside(value))
        },
    );
    if !found {
        return Ok(());
    }
    match values.iter().position(outside) {
        None => Ok(()),
        Some(position) => Err(Error::OutOfRange {
            table: what.to_owned(),
            value: values[position],
            position,
            rows,
        }),
    }
}

/// No value may be infinite or NaN.
pub(crate) fn finite(what: &str, values: &[f32], columns: usize) -> Result<()> {
    let all = vectorize(
        #[inline(always)]
        || {
            values
                .iter()
                .fold(true, |all, value| all & value.is_finite())
        },
    );
    if all {
        return Ok(());
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(Error::NotFinite {
            what: what.to_owned(),
            value: values[position],
            sample: position / columns,
            column: position % columns,
        }),
    }
}

pub(crate) fn same(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what: what.to_owned(),
        found,
        expected,
    })
}
