use super::BatchBags;
#[cfg(doc)]
use super::Modality;

/// What one column of a [`Batch`](super::Batch) holds, of `batch` samples.
///
/// Nothing is checked here: a model refuses what does not fit it, and so does a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Column {
    /// One id a sample, `[batch]`.
    Ids(Vec<u32>),
    /// A bag of ids a sample: sample `s` has `ids[offsets[s]..offsets[s + 1]]`.
    Bags {
        /// `[batch + 1]`, from 0 to the number of ids.
        offsets: Vec<u32>,
        /// Ids of all bags.
        ids: Vec<u32>,
    },
    /// Bags that samples share, each sample's less an id of its own.
    Shared(BatchBags),
    /// Dense features.
    Dense {
        /// How many a sample has.
        width: usize,
        /// Row by row, `[batch, width]`.
        values: Vec<f32>,
    },
    /// Which vector of a [`Modality`] each sample has, `[batch]`; [`Modality::MISSING`] where
    /// it has none.
    Vectors(Vec<u32>),
}

impl Column {
    /// The same, borrowed.
    pub fn view(&self) -> ColumnView<'_> {
        match self {
            Self::Ids(ids) => ColumnView::Ids(ids),
            Self::Bags { offsets, ids } => ColumnView::Bags { offsets, ids },
            Self::Shared(bags) => ColumnView::Shared(bags),
            &Self::Dense { width, ref values } => ColumnView::Dense { width, values },
            Self::Vectors(rows) => ColumnView::Vectors(rows),
        }
    }
}

/// A [`Column`], borrowed: what [`Batch::column`](super::Batch::column) finds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ColumnView<'a> {
    /// [`Column::Ids`]; users and movies too.
    Ids(&'a [u32]),
    /// [`Column::Bags`].
    Bags {
        /// `[batch + 1]`, from 0 to the number of ids.
        offsets: &'a [u32],
        /// Ids of all bags.
        ids: &'a [u32],
    },
    /// [`Column::Shared`].
    Shared(&'a BatchBags),
    /// [`Column::Dense`].
    Dense {
        /// How many a sample has.
        width: usize,
        /// Row by row, `[batch, width]`.
        values: &'a [f32],
    },
    /// [`Column::Vectors`].
    Vectors(&'a [u32]),
}
