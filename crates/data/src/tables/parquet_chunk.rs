use std::path::Path;

use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use crate::{Error, Result};

/// Where a chunk of a file of so many bytes lies, which whoever reads its pages takes at its word,
/// and how it is compressed.
pub(crate) fn check_chunk(path: &Path, length: u64, chunk: &ColumnChunkMetaData) -> Result<()> {
    let name = chunk.column_path().string();
    let start = chunk.dictionary_page_offset();
    let start = u64::try_from(start.unwrap_or(chunk.data_page_offset()));
    let of_chunk = u64::try_from(chunk.compressed_size());
    let end = start.ok().zip(of_chunk.ok());
    let end = end.and_then(|(start, length)| start.checked_add(length));
    let problem = match chunk.compression() {
        _ if end.is_none_or(|end| end > length) => {
            format!("column '{name}' lies outside of it")
        }
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => return Ok(()),
        other => format!("column '{name}' is compressed by {other}"),
    };
    Err(Error::parquet(path)(problem))
}
