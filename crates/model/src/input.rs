use crate::{DlrmConfig, Error, Result};

/// Samples for a model: borrowed columns, nothing copied.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Dense features, `[batch, dense_features]`.
    pub dense: &'a [f32],
    /// One list of bags a table, in the order of the configuration.
    pub bags: &'a [Bags<'a>],
    /// One a modality, in the order of the configuration.
    pub modalities: &'a [ModalityInput<'a>],
}

/// The bags of one table.
#[derive(Debug, Clone, Copy)]
pub enum Bags<'a> {
    /// Exactly one id a sample, `[batch]`.
    Single(&'a [u32]),
    /// Compressed sparse rows: sample `s` has `ids[offsets[s]..offsets[s + 1]]`.
    Lists {
        /// `[batch + 1]`, from 0 to the number of ids.
        offsets: &'a [u32],
        /// Rows of the table.
        ids: &'a [u32],
    },
}

/// The vectors of one modality and which of them each sample has.
#[derive(Debug, Clone, Copy)]
pub struct ModalityInput<'a> {
    /// All vectors, `[rows, width]`.
    pub vectors: &'a [f32],
    /// Row of each sample, `[batch]`; [`ModalityInput::MISSING`] where the
    /// sample has none.
    pub rows: &'a [u32],
}

impl ModalityInput<'_> {
    /// The row number that stands for a missing vector.
    pub const MISSING: u32 = u32::MAX;
}

impl<'a> Bags<'a> {
    /// Number of bags.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(ids) => ids.len(),
            Self::Lists { offsets, .. } => offsets.len().saturating_sub(1),
        }
    }

    /// Whether there is no bag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of sample `sample`.
    #[inline]
    pub(crate) fn bag(&self, sample: usize) -> &'a [u32] {
        match self {
            Self::Single(ids) => std::slice::from_ref(&ids[sample]),
            Self::Lists { offsets, ids } => {
                &ids[offsets[sample] as usize..offsets[sample + 1] as usize]
            }
        }
    }

    fn ids(&self) -> &'a [u32] {
        match self {
            Self::Single(ids) | Self::Lists { ids, .. } => ids,
        }
    }

    fn check(&self, table: &str, rows: usize) -> Result<()> {
        let offsets_error = |position| Error::Offsets {
            table: table.to_owned(),
            position,
        };
        if let Self::Lists { offsets, ids } = self {
            if offsets.first() != Some(&0) {
                return Err(offsets_error(0));
            }
            if let Some(fall) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
                return Err(offsets_error(fall + 1));
            }
            if offsets.last().map(|&last| last as usize) != Some(ids.len()) {
                return Err(offsets_error(offsets.len() - 1));
            }
        }
        match self.ids().iter().position(|&id| id as usize >= rows) {
            None => Ok(()),
            Some(position) => Err(Error::OutOfRange {
                table: format!("table {table}"),
                value: self.ids()[position],
                position,
                rows,
            }),
        }
    }
}

impl Batch<'_> {
    /// Number of samples, once checked.
    pub(crate) fn len(&self, config: &DlrmConfig) -> usize {
        self.dense.len() / config.dense_features
    }

    /// Checks everything that the kernels rely on and returns the number of
    /// samples.
    pub(crate) fn check(&self, config: &DlrmConfig) -> Result<usize> {
        let samples = self.len(config);
        same("dense", self.dense.len(), samples * config.dense_features)?;
        self.check_bags(config, samples)?;
        same(
            "the list of modalities",
            self.modalities.len(),
            config.modalities.len(),
        )?;
        for (input, modality) in self.modalities.iter().zip(&config.modalities) {
            let rows = input.vectors.len() / modality.width;
            same(
                &format!("vectors of {}", modality.name),
                input.vectors.len(),
                rows * modality.width,
            )?;
            same(
                &format!("rows of {}", modality.name),
                input.rows.len(),
                samples,
            )?;
            let outside = |&row: &u32| row != ModalityInput::MISSING && row as usize >= rows;
            if let Some(position) = input.rows.iter().position(outside) {
                return Err(Error::OutOfRange {
                    table: format!("modality {}", modality.name),
                    value: input.rows[position],
                    position,
                    rows,
                });
            }
        }
        Ok(samples)
    }

    /// Checks the bags alone.
    pub(crate) fn check_bags(&self, config: &DlrmConfig, samples: usize) -> Result<()> {
        same("the list of bags", self.bags.len(), config.tables.len())?;
        for (bags, table) in self.bags.iter().zip(&config.tables) {
            same(
                &format!("bags of table {}", table.name),
                bags.len(),
                samples,
            )?;
            bags.check(&table.name, table.rows)?;
        }
        Ok(())
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
