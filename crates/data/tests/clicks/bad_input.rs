//! What cannot be used, and what is said of it.

use std::sync::Arc;

use mmdlrm_data::arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use mmdlrm_data::clicks::{Categories, ClickLog, ClickLogConfig};
use mmdlrm_data::{Samples, SplitPart};

use crate::formats::write_parquet;
use crate::{config, open, plain, row, rows, write};

#[test]
fn a_row_that_cannot_be_used_is_named_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let good = plain(1, 5, 7);
    let with = |at: usize, text: &str| {
        let mut fields: Vec<&str> = good.split('\t').collect();
        fields[at] = text;
        fields.join("\t")
    };
    let cases = [
        (with(0, "2"), "column 'label': '2' is neither 0 nor 1"),
        (with(0, ""), "column 'label': '' is neither 0 nor 1"),
        (with(0, "yes"), "column 'label': 'yes' is neither"),
        (
            with(3, "1.5"),
            "column 'I3': '1.5' is no whole number of 32 bits",
        ),
        (with(13, "x"), "column 'I13': 'x' is no whole number"),
        (
            with(1, "3000000000"),
            "column 'I1': '3000000000' is no whole number of 32",
        ),
        (
            with(1, "-2147483648"),
            "column 'I1': '-2147483648' is no whole number",
        ),
        (with(1, "-"), "column 'I1': '-' is no whole number"),
        (
            with(14, "g0000000"),
            "column 'C1': 'g0000000' is no hexadecimal number",
        ),
        (
            with(39, "123456789"),
            "column 'C26': '123456789' is no hexadecimal number",
        ),
        (
            with(20, "12 45678"),
            "column 'C7': '12 45678' is no hexadecimal number",
        ),
        (good.replacen('\t', ",", 1), "the row has 39 fields"),
        (
            good.split_once('\t').unwrap().1.to_owned(),
            "test file have no label",
        ),
        (format!("{good}\t5"), "the row has 41 fields"),
        (String::new(), "the line is empty; remove it"),
    ];
    for (bad, said) in cases {
        // In the middle, and behind a chunk of a megabyte.
        for before in [3, 6000] {
            let mut lines = vec![good.clone(); before];
            lines.push(bad.clone());
            lines.extend(rows());
            let path = write(folder.path(), "bad.txt", &lines);
            let error = ClickLog::open(&config(&path)).unwrap_err().to_string();
            let line = format!("bad.txt, line {},", before + 1);
            assert!(error.contains(&line) && error.contains(said), "{error}");
        }
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.txt");
    std::fs::write(&path, vec![7u8; 200_000]).unwrap();
    let error = ClickLog::open(&config(&path)).unwrap_err().to_string();
    assert!(error.contains("a row has no end within 64 KiB"), "{error}");
    std::fs::write(&path, "").unwrap();
    let error = ClickLog::open(&config(&path)).unwrap_err().to_string();
    assert!(
        error.contains("number of days") || error.contains("is empty"),
        "{error}"
    );
    let error = ClickLog::open(&config(folder.path()))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot read"), "{error}");
}

#[test]
fn a_log_that_teaches_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for label in [0, 1] {
        let path = write(folder.path(), "same.txt", &vec![plain(label, 1, 1); 70]);
        let error = ClickLog::open(&config(&path)).unwrap_err().to_string();
        let said = format!("column 'label': is {label} in all 70 rows");
        assert!(error.contains(&said), "{error}");
        // To test on they will do.
        let encoder = open(&write(folder.path(), "good.txt", &rows()))
            .encoder()
            .clone();
        let log = ClickLog::open_to_test(&[path], encoder).unwrap();
        assert_eq!(log.rows(SplitPart::Test), 70);
    }
}

#[test]
fn days_of_which_none_can_be_held_out_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "log.txt", &rows());
    let said = |files: usize, days: Option<usize>| {
        let config = ClickLogConfig {
            files: vec![path.clone(); files],
            days,
            ..ClickLogConfig::default()
        };
        ClickLog::open(&config).unwrap_err().to_string()
    };
    assert!(said(0, None).contains("name one or more"));
    assert!(said(1, None).contains("say how many days this one holds"));
    assert!(said(2, Some(1)).contains("must be 2 or more"));
    assert!(said(1, Some(70)).contains("two or more on the last day"));
}

#[test]
fn numbers_of_tables_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "log.txt", &rows());
    let bad = [
        Categories::Hashed { rows: 2 },
        Categories::Hashed { rows: 1 << 33 },
        Categories::Counted { least: 0 },
    ];
    for categories in bad {
        let config = ClickLogConfig {
            categories,
            ..config(&path)
        };
        let error = ClickLog::open(&config).unwrap_err().to_string();
        assert!(error.contains("it must be"), "{error}");
    }
}

#[test]
fn a_file_that_was_changed_is_not_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "log.txt", &rows());
    let log = ClickLog::open(&ClickLogConfig {
        stream: true,
        ..config(&path)
    });
    let log = log.unwrap();
    let mut others = rows();
    others[5] = row(1, [None; 13], [None; 26]);
    write(folder.path(), "log.txt", &others);
    let batches = log.training_batches_from(16, 1, 0);
    let error = batches.last().unwrap().unwrap_err().to_string();
    assert!(error.contains("changed while it was read"), "{error}");
}

#[test]
fn a_table_that_cannot_be_used_is_named_by_column_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        |name: &str, new_name: &str, array: ArrayRef| {
            let path = folder.path().join("log.parquet");
            write_parquet(&path, &rows(), |batch| {
                let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(
                    |(field, column)| match field.name() == name {
                        true => (new_name.to_owned(), Arc::clone(&array)),
                        false => (field.name().clone(), Arc::clone(column)),
                    },
                );
                RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
            });
            ClickLog::open(&config(&path)).unwrap_err().to_string()
        };
    let whole = |at: usize, value: i64| {
        let mut values = vec![0; 70];
        values[at] = value;
        Arc::new(Int64Array::from(values)) as ArrayRef
    };
    let real = |at: usize, value: f64| {
        let mut values = vec![0.0; 70];
        values[at] = value;
        Arc::new(Float64Array::from(values)) as ArrayRef
    };
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; 70])) as ArrayRef;
    let missing = said("label", "Label", whole(0, 0));
    assert!(
        missing.contains("column 'label': is missing, did you mean 'Label'?"),
        "{missing}"
    );
    let cases = [
        (
            said("label", "label", whole(33, 2)),
            "column 'label', row 33: '2' is neither",
        ),
        (
            said("label", "label", texts("no")),
            "column 'label': is of texts",
        ),
        (
            said("label", "label", Arc::new(Int64Array::from(vec![None; 70]))),
            "'null' is no label",
        ),
        (
            said("I2", "I2", real(9, f64::NAN)),
            "column 'I2', row 9: 'NaN' is no whole number",
        ),
        (
            said("I2", "I2", real(9, 0.25)),
            "column 'I2', row 9: '0.25' is no whole",
        ),
        (
            said("C3", "C3", texts("zebra")),
            "column 'C3', row 0: 'zebra' is no hexadecimal",
        ),
        (
            said("C3", "C3", whole(8, -1)),
            "column 'C3', row 8: '-1' is no number of 32 bits",
        ),
        (
            said("C3", "C3", real(8, 0.5)),
            "column 'C3', row 0: '0' is no hexadecimal",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
