//! Where the rows of embedding tables lie.

use std::fmt;

/// Whatever a store failed by.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// Rows that one thread moves without asking for help.
const ROWS_PER_TASK: usize = 512;

/// Where the rows of an embedding table lie: all in memory as they are, which a `Vec<f32>`
/// is, or in half the bytes, in files, on other machines.
///
/// A step asks for the distinct rows that its batch touches, once, and hands back their
/// gradients, once; whatever lies [in one piece](Self::as_slice) is read in place. Numbers are
/// `f32` on both ways, whatever they are kept as.
///
/// ```
/// use std::collections::HashMap;
///
/// use mmdlrm_model::{Dlrm, DlrmConfig, RowStep, RowUpdate, Side, StoreError, TableConfig, TableStore};
///
/// /// Keeps the rows that are not 0.
/// #[derive(Debug, Clone)]
/// struct Sparse {
///     length: usize,
///     rows: HashMap<u32, Vec<f32>>,
/// }
///
/// impl TableStore for Sparse {
///     fn len(&self) -> usize {
///         self.length
///     }
///
///     fn gather(&self, rows: &[u32], out: &mut [f32]) -> Result<(), StoreError> {
///         let dim = out.len() / rows.len().max(1);
///         for (row, out) in rows.iter().zip(out.chunks_exact_mut(dim.max(1))) {
///             match self.rows.get(row) {
///                 Some(values) => out.copy_from_slice(values),
///                 None => out.fill(0.0),
///             }
///         }
///         Ok(())
///     }
///
///     fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError> {
///         let (rows, dim) = (step.rows, step.dim());
///         let mut values = vec![0.0; step.gradients.len()];
///         self.gather(rows, &mut values)?;
///         update.of_gathered(step, &mut values);
///         self.rows.extend(rows.iter().copied().zip(values.chunks(dim).map(<[f32]>::to_vec)));
///         Ok(())
///     }
///
///     fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError> {
///         let rows = (first as u32..).zip(values.chunks(dim).map(<[f32]>::to_vec));
///         self.rows.extend(rows.filter(|(_, row)| row.iter().any(|&x| x != 0.0)));
///         Ok(())
///     }
///
///     fn boxed_clone(&self) -> Box<dyn TableStore> {
///         Box::new(self.clone())
///     }
/// }
///
/// let config = DlrmConfig {
///     tables: vec![TableConfig::new("word", 1_000_000, Side::Item)],
///     dim: 4,
///     bottoms: vec![mmdlrm_model::BottomConfig::new(Side::Pair, 0..1, vec![4])],
///     ..DlrmConfig::default()
/// };
/// let mut model = Dlrm::new(config, 42)?;
/// let words = Sparse { length: 4_000_000, rows: HashMap::new() };
/// model.parameters_mut().tables[0].set_store(Box::new(words))?;
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
pub trait TableStore: fmt::Debug + Send + Sync {
    /// Numbers in all, `rows · dim`.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, `[rows, dim]`, where they lie in memory one after another: they are read
    /// in place then.
    fn as_slice(&self) -> Option<&[f32]> {
        None
    }

    /// As [`Self::as_slice`], to be written.
    fn as_mut_slice(&mut self) -> Option<&mut [f32]> {
        None
    }

    /// Rows of the optimizer's state that are kept beside this table's, of its `rows`: all of
    /// them, but where a table is divided.
    fn state_rows(&self, rows: usize) -> usize {
        rows
    }

    /// Writes the rows of the numbers `rows`, which ascend, `[rows, dim]`.
    ///
    /// # Errors
    /// Whatever a store fails by.
    fn gather(&self, rows: &[u32], out: &mut [f32]) -> Result<(), StoreError>;

    /// Moves rows by their gradients: one of `update`'s methods moves the numbers, where they
    /// lie or after they were gathered.
    ///
    /// # Errors
    /// Whatever a store fails by; the model is not to be used any more then.
    fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError>;

    /// Replaces rows of `dim` numbers from row `first` on by `values`, `[rows, dim]`.
    ///
    /// # Errors
    /// Whatever a store fails by.
    fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError>;

    /// A copy with rows of its own.
    fn boxed_clone(&self) -> Box<dyn TableStore>;
}

/// The rows of a table that a step moves.
#[derive(Debug)]
pub struct RowStep<'a> {
    /// Their numbers; they ascend.
    pub rows: &'a [u32],
    /// Their gradients, `[rows, dim]`.
    pub gradients: &'a [f32],
    /// The optimizer's state of the table's rows from row [`first`](Self::first) on,
    /// `[rows, state width]`.
    pub state: &'a mut [f32],
    /// The row that the state begins with.
    pub first: usize,
    /// Number of the step, from 1; what a store draws is drawn by it.
    pub number: u64,
}

/// How rows are moved by their gradients: an optimizer's rule, with the rates of the step.
pub trait RowUpdate: Sync {
    /// Numbers of state of a row.
    fn state_width(&self, dim: usize) -> usize;

    /// Moves rows within `table`, the table's rows from row [`RowStep::first`] on,
    /// `[rows, dim]`.
    fn in_place(&self, step: RowStep, table: &mut [f32]);

    /// Moves rows that were gathered, `[step.rows, dim]`.
    fn of_gathered(&self, step: RowStep, rows: &mut [f32]);
}

impl RowStep<'_> {
    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.gradients.len() / self.rows.len().max(1)
    }

    /// Hands `each` some rows at a time, on all threads, with the stretch of `table`,
    /// `[rows, dim]`, that begins at their [`first`](Self::first) and ends with theirs.
    /// `state_width` is that of the [update](RowUpdate::state_width).
    ///
    /// Rows ascend, so halves of the list touch separate halves of table and state, which is
    /// how threads share them without a race.
    pub fn divide<T: Send>(
        self,
        table: &mut [T],
        state_width: usize,
        each: &(impl Fn(RowStep, &mut [T]) + Sync),
    ) {
        let (rows, dim) = (self.rows, self.dim());
        if rows.len() <= ROWS_PER_TASK {
            return each(self, table);
        }
        let (low, high) = rows.split_at(rows.len() / 2);
        let cut = high[0] as usize - self.first;
        let (low_table, high_table) = table.split_at_mut(cut * dim);
        let (low_state, high_state) = self.state.split_at_mut(cut * state_width);
        let (low_gradients, high_gradients) = self.gradients.split_at(low.len() * dim);
        let half = |rows, gradients, state, first| RowStep {
            rows,
            gradients,
            state,
            first,
            number: self.number,
        };
        let low = half(low, low_gradients, low_state, self.first);
        let high = half(high, high_gradients, high_state, self.first + cut);
        rayon::join(
            || low.divide(low_table, state_width, each),
            || high.divide(high_table, state_width, each),
        );
    }
}

/// All rows in memory, one after another.
impl TableStore for Vec<f32> {
    fn len(&self) -> usize {
        self.len()
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self)
    }

    fn as_mut_slice(&mut self) -> Option<&mut [f32]> {
        Some(self)
    }

    fn gather(&self, rows: &[u32], out: &mut [f32]) -> Result<(), StoreError> {
        let dim = out.len() / rows.len().max(1);
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(dim.max(1))) {
            out.copy_from_slice(&self[row as usize * dim..][..dim]);
        }
        Ok(())
    }

    fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError> {
        let width = update.state_width(step.dim());
        step.divide(self, width, &|step, table| update.in_place(step, table));
        Ok(())
    }

    fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError> {
        self[first * dim..][..values.len()].copy_from_slice(values);
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn TableStore> {
        Box::new(self.clone())
    }
}
