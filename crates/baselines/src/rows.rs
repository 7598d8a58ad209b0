use mmdlrm_train::{Error, Result};

/// Refuses dense rows that there are not, of users or movies.
///
/// # Errors
/// [`Error::Mismatch`], which names the first of them.
pub(crate) fn check_rows(
    what: &str,
    rows: impl IntoIterator<Item = u32>,
    count: usize,
) -> Result<()> {
    match rows.into_iter().find(|&row| row as usize >= count) {
        None => Ok(()),
        Some(row) => Err(Error::Mismatch(format!(
            "there is no {what} in row {row}: there are {count}"
        ))),
    }
}
