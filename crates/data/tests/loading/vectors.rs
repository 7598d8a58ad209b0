//! Files of vectors that were computed elsewhere.

use std::error::Error as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mmdlrm_data::arrow_array::types::{Float16Type, Float32Type, Float64Type};
use mmdlrm_data::arrow_array::{
    ArrayRef, FixedSizeListArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    UInt64Array,
};
use mmdlrm_data::{Error, IdMap, Modality, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::Folder;

type Columns = Vec<(&'static str, ArrayRef)>;

const FILE: &str = "vectors.parquet";

fn array(array: impl mmdlrm_data::arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn ids(ids: &[i64]) -> ArrayRef {
    array(Int64Array::from(ids.to_vec()))
}

fn lists(rows: &[&[f64]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().copied().map(Some)));
    array(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

fn write(path: &Path, columns: &Columns) -> RecordBatch {
    write_compressed(path, columns, Compression::ZSTD(ZstdLevel::default()))
}

fn write_compressed(path: &Path, columns: &Columns, by: Compression) -> RecordBatch {
    let columns = columns
        .iter()
        .map(|(name, array)| (*name, Arc::clone(array)));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(by)
        .set_max_row_group_row_count(Some(2))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    batch
}

fn catalogue() -> IdMap {
    IdMap::from_ids([3, 7, 9])
}

fn open(folder: &Folder) -> Result<Modality> {
    Modality::from_parquet("sound", &catalogue(), &folder.file(FILE))
}

#[test]
fn vectors_of_a_file_are_those_of_its_table() {
    let folder = Folder::new(&[]);
    let rows = || [[1.0, 3.0], [0.0, 0.5], [1.0, 5.0]];
    macro_rules! fixed {
        ($number:ty, $from:expr) => {{
            let rows = rows().map(|row| Some(row.map(|x| Some($from(x)))));
            array(FixedSizeListArray::from_iter_primitive::<$number, _, _>(
                rows, 2,
            ))
        }};
    }
    let notes = || array(StringArray::from(vec![None, Some("!"), None]));
    let other = || fixed!(Float32Type, |x: f64| x as f32);
    let expected = write(
        &folder.file(FILE),
        &vec![("movieId", ids(&[9, 8, 3])), ("v", other())],
    );
    let expected = Modality::from_record_batch("sound", &catalogue(), &expected).unwrap();
    assert_eq!((expected.present(), expected.left_out()), (2, 1));
    assert_eq!(open(&folder).unwrap(), expected);
    for (movies, vectors) in [
        (
            array(Int32Array::from(vec![9, 8, 3])),
            fixed!(Float16Type, half::f16::from_f64),
        ),
        (
            array(UInt64Array::from(vec![9, 8, 3])),
            lists(&rows().each_ref().map(|row| &row[..])),
        ),
        (ids(&[9, 8, 3]), fixed!(Float64Type, f64::from)),
    ] {
        // Three rows are two groups.
        let columns = vec![("note", notes()), ("vector", vectors), ("movieId", movies)];
        write(&folder.file(FILE), &columns);
        assert_eq!(open(&folder).unwrap(), expected);
    }
}

/// Checks that the file is refused in one line, by its name and with all of `parts`.
#[track_caller]
fn refused(folder: &Folder, parts: &[&str]) -> Error {
    let error = open(folder).unwrap_err();
    let message = error.to_string();
    for part in parts.iter().chain(&[FILE]) {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
    error
}

#[test]
fn vectors_that_cannot_be_used_are_named_by_file_column_and_row() {
    let folder = Folder::new(&[]);
    let refuses = |columns: Columns, parts: &[&str]| {
        write(&folder.file(FILE), &columns);
        let error = refused(&folder, parts);
        assert!(error.source().is_some(), "{error}");
    };
    let two = || lists(&[&[1.0, 2.0], &[3.0, 4.0]]);
    let nan = lists(&[&[1.0, 2.0], &[f64::NAN, 4.0]]);
    let beyond = lists(&[&[1.0, 2.0], &[4.0, 1e300]]);
    let uneven = lists(&[&[1.0, 2.0], &[3.0]]);
    let of = |movies: &[i64], vectors: ArrayRef| vec![("movieId", ids(movies)), ("v", vectors)];
    refuses(
        of(&[3, 7], nan),
        &["column 'v', row 1", "is NaN", "make it anew"],
    );
    refuses(
        of(&[3, 7], beyond),
        &["column 'v', row 1", "number 1", "is inf"],
    );
    refuses(
        of(&[3, 7], uneven),
        &["column 'v', row 1: has 1 numbers where"],
    );
    refuses(
        of(&[3, 3], two()),
        &["column 'movieId', row 1: '3'", "keep one"],
    );
    refuses(
        of(&[3, -7], two()),
        &["column 'movieId', row 1: '-7' is not an id"],
    );
    refuses(
        of(&[3, 1 << 32], two()),
        &["row 1: '4294967296' is not an id"],
    );
    refuses(
        of(&[4, 8], two()),
        &["none of its 2 ids is a movie of the data"],
    );
    refuses(of(&[], lists(&[])), &["there is no row; write one a movie"]);
    let empty: &[f64] = &[];
    refuses(of(&[3, 7], lists(&[empty, empty])), &["width", "is 0"]);
    let hole = Int64Array::from(vec![Some(3), None]);
    let columns = vec![("movieId", array(hole)), ("v", two())];
    refuses(columns, &["column 'movieId', row 1: is null"]);
    let rows = [Some(vec![Some(1.0)]), Some(vec![None]), None];
    for (rows, part) in [
        (&rows[..2], "column 'v', row 1: has a number that is null"),
        (&rows[1..], "column 'v', row 1: is null"),
    ] {
        let nulls = ListArray::from_iter_primitive::<Float64Type, _, _>(rows.to_vec());
        refuses(of(&[3, 7], array(nulls)), &[part]);
    }

    let columns = vec![("movie", ids(&[3, 7])), ("v", two())];
    refuses(
        columns,
        &["column 'movieId': is missing; the columns are: movie, v"],
    );
    let texts = array(StringArray::from(vec!["1.0", "2.0"]));
    refuses(
        vec![("movieId", texts.clone()), ("v", two())],
        &["column 'movieId': is of the type Utf8", "an integer type"],
    );
    refuses(
        of(&[3, 7], texts),
        &["there has to be one column of lists of numbers", "v (Utf8)"],
    );
    let columns = vec![("movieId", ids(&[3, 7])), ("a", two()), ("b", two())];
    refuses(columns, &["column 'a, b'", "leave one of them"]);
}

#[test]
fn vectors_longer_than_any_encoders_are_refused() {
    let folder = Folder::new(&[]);
    let long = vec![0.5; (1 << 16) + 1];
    let columns = |length: usize| vec![("movieId", ids(&[3])), ("v", lists(&[&long[..length]]))];
    write(&folder.file(FILE), &columns(long.len()));
    refused(&folder, &["65537 numbers each", "65536 at most"]);
    write(&folder.file(FILE), &columns(long.len() - 1));
    assert_eq!(open(&folder).unwrap().width(), 1 << 16);
}

#[test]
fn what_is_no_parquet_file_is_refused_by_name() {
    let folder = Folder::new(&[]);
    refused(&folder, &["cannot read", "check the path"]);
    std::fs::create_dir(folder.file(FILE)).unwrap();
    refused(&folder, &["cannot read", "as Parquet", "write it anew"]);
    std::fs::remove_dir(folder.file(FILE)).unwrap();
    for bytes in [&b""[..], b"movieId,v\n3,1.0\n", b"PAR1PAR1PAR1"] {
        folder.write(FILE, bytes);
        refused(&folder, &["cannot read", "as Parquet: ", "write it anew"]);
    }
}

/// A small good file.
fn good(folder: &Folder) -> Vec<u8> {
    let columns = vec![
        ("movieId", ids(&[3, 7, 8])),
        ("v", lists(&[&[1.0, 2.0], &[3.0, 4.5], &[0.5, 6.0]])),
    ];
    write(&folder.file(FILE), &columns);
    std::fs::read(folder.file(FILE)).unwrap()
}

#[test]
fn the_compression_that_pandas_chooses_by_itself_is_read() {
    let columns = vec![
        ("movieId", ids(&[3, 7])),
        ("v", lists(&[&[1.0, 2.0], &[3.0, 4.5]])),
    ];
    let folder = Folder::new(&[]);
    let read = [Compression::ZSTD(ZstdLevel::default()), Compression::SNAPPY].map(|by| {
        write_compressed(&folder.file(FILE), &columns, by);
        open(&folder).unwrap()
    });
    assert_eq!(read[0], read[1]);
}

#[test]
fn other_compression_is_refused_with_what_to_do() {
    let folder = Folder::new(&[]);
    let mut bytes = good(&folder);
    // Of each column chunk the footer has the name, then 0x15 and the codec, doubled.
    let (zstd, lzo) = (b"movieId\x15\x0c", b"movieId\x15\x06");
    let starts: Vec<usize> = (0..bytes.len() - zstd.len())
        .filter(|&at| bytes[at..].starts_with(zstd))
        .collect();
    assert_eq!(starts.len(), 2);
    for at in starts {
        bytes[at..][..lzo.len()].copy_from_slice(lzo);
    }
    folder.write(FILE, &bytes);
    let parts = [
        "column 'movieId' is compressed by LZO",
        "compressed by zstd or Snappy",
    ];
    refused(&folder, &parts);
}

#[test]
fn bytes_that_changed_are_an_error_or_other_numbers_and_never_a_panic() {
    let folder = Folder::new(&[]);
    let bytes = good(&folder);
    let (mut refused, mut read) = (0, 0);
    let mut look = |bytes: &[u8]| {
        folder.write(FILE, bytes);
        match open(&folder) {
            Ok(modality) => {
                assert!(modality.present() > 0);
                read += 1;
            }
            Err(error) => {
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
                refused += 1;
            }
        }
    };
    for length in 0..bytes.len() {
        look(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            look(&bytes);
        }
    }
    assert!(refused > bytes.len() && read > 0, "{refused} {read}");
}
