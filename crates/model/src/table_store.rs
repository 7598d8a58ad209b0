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
///     fn gather(&self, rows: &[u32], dim: usize, out: &mut [f32]) -> Result<(), StoreError> {
///         for (row, out) in rows.iter().zip(out.chunks_exact_mut(dim)) {
///             match self.rows.get(row) {
///                 Some(values) => out.copy_from_slice(values),
///                 None => out.fill(0.0),
///             }
///         }
///         Ok(())
///     }
///
///     fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError> {
///         let (rows, dim) = (step.rows, step.dim);
///         let mut values = vec![0.0; step.gradients.len()];
///         self.gather(rows, dim, &mut values)?;
///         update.of_gathered(step, &mut values);
///         self.rows.extend(rows.iter().copied().zip(values.chunks(dim).map(<[f32]>::to_vec)));
///         Ok(())
///     }
///
///     fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError> {
///         for (row, values) in (first as u32..).zip(values.chunks(dim)) {
///             match values.iter().any(|&x| x != 0.0) {
///                 true => self.rows.insert(row, values.to_vec()),
///                 false => self.rows.remove(&row),
///             };
///         }
///         Ok(())
///     }
///
///     fn boxed_clone(&self) -> Box<dyn TableStore> {
///         Box::new(self.clone())
///     }
/// }
///
/// let config = DlrmConfig {
///     tables: vec![TableConfig::new("word", 1_000, Side::Item)],
///     ..DlrmConfig::default()
/// };
/// let mut model = Dlrm::new(config, 42)?;
/// let words = &mut model.parameters_mut().tables[0];
/// words.set_store(Box::new(Sparse { length: 1_000 * words.dim, rows: HashMap::new() }))?;
///
/// // A step of gradient descent on one row.
/// struct Descent;
///
/// impl RowUpdate for Descent {
///     fn state_width(&self, _dim: usize) -> usize {
///         0
///     }
///
///     fn in_place(&self, _step: RowStep, _table: &mut [f32]) {
///         unreachable!("nothing lies in place");
///     }
///
///     fn of_gathered(&self, step: RowStep, rows: &mut [f32]) {
///         rows.iter_mut().zip(step.gradients).for_each(|(x, g)| *x -= g);
///     }
/// }
///
/// let gradients = vec![1.0; words.dim];
/// words.apply(RowStep::new(&[7], &gradients, &mut [], 1), &Descent)?;
/// let values = words.values()?.into_owned();
/// assert_eq!(values.iter().sum::<f32>(), -(words.dim as f32));
/// words.set_values(&vec![0.0; values.len()])?;
/// assert!(words.values()?.iter().all(|&x| x == 0.0));
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
///
/// What holds of a store:
///
/// - Where rows lie, [in one piece](Self::as_slice) or not, does not change.
/// - Tables are asked at the same time, from threads of the pool, in no order: one that talks
///   to others tells its tables apart, and holds no lock that it shares with another table's
///   while it hands out work.
/// - A model is drawn and read from a file in memory before a table gets
///   [another store](crate::Table::set_store), the optimizer's state stays in memory, and a
///   checkpoint copies the rows.
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
    /// them, but where a table is divided. What has fewer numbers the rows of a
    /// [step](RowStep) anew, as places in that state.
    fn state_rows(&self, rows: usize) -> usize {
        rows
    }

    /// Writes the rows of the numbers `rows`, one or more, which ascend, `[rows, dim]`.
    ///
    /// # Errors
    /// Whatever a store fails by.
    fn gather(&self, rows: &[u32], dim: usize, out: &mut [f32]) -> Result<(), StoreError>;

    /// Moves rows, one or more, by their gradients: one of `update`'s methods moves the numbers,
    /// where they lie or after they were gathered.
    ///
    /// # Errors
    /// Whatever a store fails by; the model is not to be used any more then.
    fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError>;

    /// Replaces rows of `dim` numbers from row `first` on by `values`, `[rows, dim]`.
    ///
    /// # Errors
    /// Whatever a store fails by.
    fn write(&mut self, first: usize, dim: usize, values: &[f32]) -> Result<(), StoreError>;

    /// A copy with rows of its own, for a copy of the model.
    fn boxed_clone(&self) -> Box<dyn TableStore>;
}

/// The rows of a table that a step moves.
#[derive(Debug)]
#[non_exhaustive]
pub struct RowStep<'a> {
    /// Their numbers; they ascend.
    pub rows: &'a [u32],
    /// Length of a row.
    pub dim: usize,
    /// Their gradients, `[rows, dim]`.
    pub gradients: &'a [f32],
    /// The optimizer's state of the table's rows from row [`first`](Self::first) on,
    /// `[rows, state width]`.
    pub state: &'a mut [f32],
    /// The row that the state begins with.
    pub first: usize,
    /// Number of the optimizer's step, from 1; what a store draws is drawn by it.
    pub number: u64,
}

/// How rows are moved by their gradients: an optimizer's rule, with the rates of the step.
pub trait RowUpdate: Sync {
    /// Numbers of state of a row.
    fn state_width(&self, dim: usize) -> usize;

    /// Moves rows within `table`, the table's rows from row [`RowStep::first`] on,
    /// `[rows, dim]`.
    fn in_place(&self, step: RowStep, table: &mut [f32]);

    /// Moves rows that were gathered, `[step.rows, dim]`, on all threads.
    fn of_gathered(&self, step: RowStep, rows: &mut [f32]);
}

impl<'a> RowStep<'a> {
    /// Of `rows`, which ascend, with their gradients, `[rows, dim]`, and the state of all rows
    /// of the table.
    pub fn new(rows: &'a [u32], gradients: &'a [f32], state: &'a mut [f32], number: u64) -> Self {
        Self {
            rows,
            dim: gradients.len() / rows.len().max(1),
            gradients,
            state,
            first: 0,
            number,
        }
    }

    /// Hands `each` some rows at a time, on all threads, with the stretch of `table`,
    /// `[rows, dim]`, that begins at their [`first`](Self::first) and ends with theirs.
    /// `state_width` is that of the [update](RowUpdate::state_width).
    pub fn divide<T: Send>(
        self,
        table: &mut [T],
        state_width: usize,
        each: &(impl Fn(RowStep, &mut [T]) + Sync),
    ) {
        let cut = |low: &RowStep, high: &RowStep| (high.first - low.first) * low.dim;
        self.divide_by(&cut, table, state_width, each);
    }

    /// The same with rows that were gathered, `[rows, dim]`.
    pub fn divide_gathered(
        self,
        rows: &mut [f32],
        state_width: usize,
        each: &(impl Fn(RowStep, &mut [f32]) + Sync),
    ) {
        let cut = |low: &RowStep, _: &RowStep| low.gradients.len();
        self.divide_by(&cut, rows, state_width, each);
    }

    /// `cut` is where the numbers of the higher of two halves begin among `values`.
    fn divide_by<T: Send>(
        self,
        cut: &(impl Fn(&RowStep, &RowStep) -> usize + Sync),
        values: &mut [T],
        state_width: usize,
        each: &(impl Fn(RowStep, &mut [T]) + Sync),
    ) {
        if self.rows.len() <= ROWS_PER_TASK {
            return each(self, values);
        }
        let (low, high) = self.halves(state_width);
        let (low_values, high_values) = values.split_at_mut(cut(&low, &high));
        rayon::join(
            || low.divide_by(cut, low_values, state_width, each),
            || high.divide_by(cut, high_values, state_width, each),
        );
    }

    /// Rows ascend, so halves of the list have separate halves of table and state, which is
    /// how threads share them without a race.
    fn halves(self, state_width: usize) -> (Self, Self) {
        let Self { dim, number, .. } = self;
        let (low, high) = self.rows.split_at(self.rows.len() / 2);
        let cut = high[0] as usize;
        let (low_state, high_state) = self.state.split_at_mut((cut - self.first) * state_width);
        let (low_gradients, high_gradients) = self.gradients.split_at(low.len() * dim);
        let half = |rows, gradients, state, first| RowStep {
            rows,
            dim,
            gradients,
            state,
            first,
            number,
        };
        let low = half(low, low_gradients, low_state, self.first);
        (low, half(high, high_gradients, high_state, cut))
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

    fn gather(&self, rows: &[u32], dim: usize, out: &mut [f32]) -> Result<(), StoreError> {
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(dim)) {
            out.copy_from_slice(&self[row as usize * dim..][..dim]);
        }
        Ok(())
    }

    fn apply(&mut self, step: RowStep, update: &dyn RowUpdate) -> Result<(), StoreError> {
        let width = update.state_width(step.dim);
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
