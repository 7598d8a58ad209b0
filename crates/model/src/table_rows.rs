//! The rows of stored tables that a pass over a batch reads: in place, or gathered before it.

use rayon::prelude::*;

use crate::config::Side;
use crate::embedding_bag::RowGradients;
use crate::grouped::Grouped;
use crate::lookup::{RowOf, TableShape};
use crate::shared_bags::SharedSums;
use crate::{Dlrm, Inputs, Result, Table, TableInput};

/// The rows of a stored table, by the position of an id in a batch's bags.
#[derive(Clone, Copy)]
pub(crate) struct TableRows<'a> {
    pub dim: usize,
    ids: &'a [u32],
    row_of: RowOf,
    /// The whole table, `[rows, dim]`, or what was gathered of it.
    values: &'a [f32],
    /// Where the row of each position stands among those that were gathered.
    places: Option<&'a [u32]>,
}

impl<'a> TableRows<'a> {
    pub fn new(table: &'a Table, shape: &TableShape, ids: &'a [u32], fetched: &'a Fetched) -> Self {
        let (values, places) = match fetched.is_gathered {
            true => (&*fetched.values, Some(&*fetched.places)),
            false => (table.store().as_slice().unwrap_or_default(), None),
        };
        Self {
            dim: shape.dim,
            ids,
            row_of: shape.row_of,
            values,
            places,
        }
    }

    /// The row of the id at a position.
    #[inline(always)]
    pub fn row(&self, position: usize) -> &'a [f32] {
        let row = match self.places {
            None => self.row_of.row(self.ids[position]),
            Some(places) => places[position],
        };
        &self.values[row as usize * self.dim..][..self.dim]
    }

    /// The row of a number, the `place`-th of the distinct ones.
    #[inline(always)]
    pub fn distinct(&self, place: usize, row: u32) -> &'a [f32] {
        let row = match self.places {
            None => row as usize,
            Some(_) => place,
        };
        &self.values[row * self.dim..][..self.dim]
    }
}

/// What a pass has of a stored table before any sample goes through the model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetched {
    /// Whether the table cannot be read in place.
    is_gathered: bool,
    /// The distinct rows, `[distinct, dim]`.
    values: Vec<f32>,
    /// For each id of the batch where its row stands there.
    places: Vec<u32>,
    /// Sums over shared bags.
    pub sums: SharedSums,
}

impl Fetched {
    /// Gathers the rows of a table that is not to be read in place.
    fn gather(&mut self, table: &Table, grouped: &Grouped) -> Result<()> {
        self.values.resize(grouped.rows.len() * table.dim, 0.0);
        self.places.resize(grouped.entry_count(), 0);
        grouped.write_places(&mut self.places);
        table.gather(&grouped.rows, &mut self.values)
    }
}

impl Dlrm {
    /// Gathers the rows that a batch asks for, where they cannot be read in place, and pools
    /// the shared bags. `sorted` has the batch's ids by row, where that is known.
    pub(crate) fn fetch_rows(
        &self,
        batch: &Inputs,
        only: Option<Side>,
        sorted: Option<&[RowGradients]>,
        fetched: &mut Vec<Fetched>,
    ) -> Result<()> {
        let shapes = &self.layout.tables;
        fetched.resize_with(shapes.len(), Fetched::default);
        let tables = fetched.par_iter_mut().zip(shapes).enumerate();
        tables.try_for_each(|(number, (fetched, shape))| {
            let side = self.config.tables[shape.lookup].side;
            if only.is_some_and(|only| only != side) {
                return Ok(());
            }
            let (table, bags) = (&self.parameters.tables[number], &batch.tables[shape.lookup]);
            fetched.is_gathered = table.store().as_slice().is_none();
            if fetched.is_gathered {
                match sorted {
                    Some(sorted) => fetched.gather(table, sorted[number].grouped())?,
                    None => {
                        let mut grouped = Grouped::default();
                        let rows = bags.ids().iter().map(|&id| shape.row_of.row(id));
                        grouped.sort(rows.zip(0..));
                        fetched.gather(table, &grouped)?;
                    }
                }
            }
            if let TableInput::Shared(shared) = bags {
                let mut sums = std::mem::take(&mut fetched.sums);
                sums.pool(shared, TableRows::new(table, shape, shared.ids, fetched));
                fetched.sums = sums;
            }
            Ok(())
        })
    }
}
