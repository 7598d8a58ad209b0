//! Where in a table something is, for messages.

use crate::Error;

/// A column of a table, for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub table: &'static str,
    pub column: &'a str,
    /// Rows of the table before those at hand.
    pub before: usize,
}

impl<'a> Place<'a> {
    pub fn of(table: &'static str, column: &'a str) -> Self {
        Self {
            table,
            column,
            before: 0,
        }
    }

    /// An error at a row of those at hand, or at all of the column.
    pub fn bad(&self, row: Option<usize>, problem: impl Into<String>) -> Error {
        Error::Column {
            table: self.table,
            column: self.column.to_owned(),
            row: row.map(|row| self.before + row),
            problem: problem.into(),
        }
    }
}
