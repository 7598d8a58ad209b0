//! The same rows, however they are written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use mmdlrm_data::arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use mmdlrm_data::clicks::ClickLog;
use mmdlrm_data::{Samples, SplitPart};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use crate::{config, open, row, rows, write};

/// Rows of text as a table, changed by `change`.
pub fn write_parquet(
    path: &Path,
    rows: &[String],
    change: impl FnOnce(RecordBatch) -> RecordBatch,
) {
    let fields: Vec<Vec<&str>> = rows.iter().map(|row| row.split('\t').collect()).collect();
    let numbers = |at: usize| {
        let numbers = fields.iter().map(|row| row[at].parse::<i32>().ok());
        Arc::new(numbers.collect::<Int32Array>()) as ArrayRef
    };
    let texts = |at: usize| {
        let texts = fields
            .iter()
            .map(|row| Some(row[at]).filter(|it| !it.is_empty()));
        Arc::new(texts.collect::<StringArray>()) as ArrayRef
    };
    // In another order than text has them.
    let categories = (1..=26).map(|at| (format!("C{at}"), texts(13 + at)));
    let others = (1..=13).map(|at| (format!("I{at}"), numbers(at)));
    let label = [("label".to_owned(), numbers(0))];
    let batch = RecordBatch::try_from_iter_with_nullable(
        categories
            .chain(others)
            .chain(label)
            .map(|(name, array)| (name, array, true)),
    );
    let batch = change(batch.unwrap());
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// All rows of a part, as they are written.
fn written(log: &ClickLog, part: SplitPart) -> Vec<String> {
    let mut all = Vec::new();
    log.for_each(part, |rows| {
        let rows = rows.iter();
        all.extend(rows.map(|it| row(it.label.into(), it.numbers(), it.categories())));
    })
    .unwrap();
    all
}

#[test]
fn text_compressed_text_and_parquet_are_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = rows();
    rows[3] = row(1, [None; 13], [None; 26]);
    rows[4] = row(0, [Some(-3); 13], [Some(u32::MAX); 26]);
    let text = write(folder.path(), "log.txt", &rows);
    let packed = folder.path().join("log.txt.gz");
    let mut gz = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
    gz.write_all(rows.join("\r\n").as_bytes()).unwrap();
    gz.finish().unwrap();
    let table = folder.path().join("log.parquet");
    write_parquet(&table, &rows, |batch| batch);
    let text = open(&text);
    assert_eq!(written(&text, SplitPart::Train), rows[..60]);
    assert_eq!(written(&text, SplitPart::Test), rows[60..65]);
    assert_eq!(written(&text, SplitPart::Validation), rows[65..]);
    assert_eq!(text.summary().clicks, 24);
    assert_eq!(text.summary().numbers_missing, [1; 13]);
    assert_eq!(text.summary().categories_missing, [1; 26]);
    for other in [packed, table] {
        let other = open(&other);
        assert_eq!(other.fingerprint(), text.fingerprint());
        let (a, b) = (
            text.batches(SplitPart::Train, 60),
            other.batches(SplitPart::Train, 60),
        );
        assert!(a.zip(b).all(|(a, b)| a.unwrap() == b.unwrap()));
    }
}

#[test]
fn numbers_that_stand_for_categories_are_those_categories() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..70)
        .map(|at| {
            row(
                (at % 2) as u8,
                [Some(1); 13],
                [Some(0xffff_fff0 + at % 7); 26],
            )
        })
        .collect();
    let path = folder.path().join("log.parquet");
    write_parquet(&path, &rows, |batch| {
        let columns =
            batch
                .schema_ref()
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| {
                    let name = field.name().clone();
                    let values = (0..70).map(|at| (0xffff_fff0u32 + at % 7) as i32);
                    match name.starts_with('C') {
                        true => (name, Arc::new(values.collect::<Int32Array>()) as ArrayRef),
                        false => (name, Arc::clone(column)),
                    }
                });
        RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
    });
    let text = open(&write(folder.path(), "log.txt", &rows));
    assert_eq!(open(&path).fingerprint(), text.fingerprint());
}

#[test]
fn a_compressed_file_that_ends_early_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.txt.gz");
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(rows().join("\n").as_bytes()).unwrap();
    let bytes = gz.finish().unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let error = ClickLog::open(&config(&path)).unwrap_err().to_string();
    assert!(error.contains("damaged or cut short"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn rows_are_read_as_a_plain_reading_has_them(
        parts in prop::collection::vec(
            (any::<bool>(), any::<[Option<i32>; 13]>(), any::<[u32; 26]>(), any::<u32>(), 1..9usize),
            15..40,
        ),
        ends in prop::sample::select(vec!["\n", "\r\n"]),
        capitals in any::<bool>(),
    ) {
        let mut expected: Vec<String> = vec![crate::plain(0, 1, 1), crate::plain(1, 1, 1)];
        let mut text: Vec<String> = expected.clone();
        for (label, numbers, categories, missing, digits) in parts {
            let numbers = numbers.map(|it| it.filter(|&it| it != i32::MIN));
            let categories: [Option<u32>; 26] = std::array::from_fn(|at| {
                (missing >> at & 1 == 0).then_some(categories[at] >> (4 * (8 - digits)))
            });
            expected.push(row(label.into(), numbers, categories));
            // Without zeros before.
            let mut fields = vec![u8::from(label).to_string()];
            fields.extend(numbers.map(|it| it.map_or(String::new(), |it| it.to_string())));
            fields.extend(categories.map(|it| match (it, capitals) {
                (None, _) => String::new(),
                (Some(it), true) => format!("{it:X}"),
                (Some(it), false) => format!("{it:x}"),
            }));
            text.push(fields.join("\t"));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        std::fs::write(&path, text.join(ends)).unwrap();
        let log = open(&path);
        let parts = [SplitPart::Train, SplitPart::Test, SplitPart::Validation];
        let all: Vec<String> = parts.iter().flat_map(|&part| written(&log, part)).collect();
        prop_assert_eq!(all, expected);
    }
}
