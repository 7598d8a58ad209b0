//! Batches of click logs.

use mmdlrm_data::clicks::{Categories, ClickEncoder, ClickLog, ClickLogConfig};
use mmdlrm_data::{Batch, ColumnView, Samples, SplitPart};

use crate::{config, open, plain, row, rows, write};

fn ids<'a>(batch: &'a Batch, column: &str) -> &'a [u32] {
    match batch.column(column) {
        Some(ColumnView::Ids(ids)) => ids,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_become_labels_logarithms_and_rows_of_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![plain(0, 0, 50), plain(1, 1, 50), plain(0, -4, 60)];
    rows.push(row(1, [None; 13], [None; 26]));
    // Held out: a value that no training row has.
    rows.extend([plain(1, 5000, 50), plain(0, 2, 70)]);
    let path = write(folder.path(), "log.txt", &rows);
    let log = ClickLog::open(&ClickLogConfig {
        days: Some(3),
        ..config(&path)
    })
    .unwrap();
    let train = log.batches(SplitPart::Train, 9).next().unwrap().unwrap();
    assert_eq!(train.stars, [0.0, 1.0, 0.0, 1.0]);
    assert!(train.users.is_empty() && train.movies.is_empty());
    // The most frequent first, from row 2 on; what is missing is row 0.
    assert_eq!(ids(&train, "C1"), [2, 2, 3, 0]);
    assert_eq!(log.encoder().table_rows(), [4; 26]);
    let Some(ColumnView::Dense { width: 13, values }) = train.column("dense") else {
        panic!("13 numbers");
    };
    assert_eq!(values[..13], [0.0; 13]);
    assert_eq!(values[13..26], [2f32.ln(); 13]);
    assert_eq!(values[26..], [0.0; 26]);
    let test = log.batches(SplitPart::Test, 9).next().unwrap().unwrap();
    assert_eq!(ids(&test, "C26"), [2]);
    assert_eq!(
        test.column("dense"),
        Some(ColumnView::Dense {
            width: 13,
            values: &[5000f32.ln_1p(); 13],
        })
    );
    let validation = log
        .batches(SplitPart::Validation, 9)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(ids(&validation, "C9"), [1]);
}

#[test]
fn values_that_are_seldom_share_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = rows();
    rows[0] = plain(1, 1, 7);
    let path = write(folder.path(), "log.txt", &rows);
    let of = |categories| {
        let config = ClickLogConfig {
            categories,
            ..config(&path)
        };
        ClickLog::open(&config).unwrap().encoder().table_rows()[4]
    };
    assert_eq!(of(Categories::Counted { least: 1 }), 13);
    assert_eq!(of(Categories::Counted { least: 2 }), 12);
    assert_eq!(of(Categories::Counted { least: 6 }), 11);
    assert_eq!(of(Categories::Counted { least: 7 }), 2);
    // Eleven values have room in 13 rows, and share 12.
    assert_eq!(of(Categories::Hashed { rows: 13 }), 13);
    assert_eq!(of(Categories::Hashed { rows: 12 }), 12);
}

#[test]
fn hashed_values_are_spread_over_all_rows_but_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..7000).map(|at| plain((at % 2) as u8, 1, at)).collect();
    let path = write(folder.path(), "log.txt", &rows);
    let log = ClickLog::open(&ClickLogConfig {
        categories: Categories::Hashed { rows: 101 },
        ..config(&path)
    })
    .unwrap();
    assert_eq!(log.encoder().hashed(), [true; 26]);
    let batch = log.batches(SplitPart::Train, 6000).next().unwrap().unwrap();
    let mut counts = [0; 101];
    ids(&batch, "C1")
        .iter()
        .for_each(|&id| counts[id as usize] += 1);
    assert_eq!(counts[0], 0);
    // 60 each: further off than this is one in a million.
    assert!(
        counts[1..].iter().all(|count| (20..105).contains(count)),
        "{counts:?}"
    );
    let kept: Vec<_> = log.encoder().to_parts().into_iter().collect();
    let again = kept.into_iter().map(|part| part.map(<[u32]>::to_vec));
    assert_eq!(
        ClickEncoder::from_parts(again.collect()).unwrap(),
        *log.encoder()
    );
}

#[test]
fn streamed_rows_and_kept_rows_give_the_same_batches() {
    let folder = tempfile::tempdir().unwrap();
    // Of two files, several chunks and two windows.
    let lines: Vec<String> = (0..300_000u32)
        .map(|at| plain((at % 3 == 0).into(), (at % 5000) as i32, at % 91))
        .collect();
    let first = write(folder.path(), "a.txt", &lines[..180_000]);
    let second = write(folder.path(), "b.txt", &lines[180_000..]);
    let of = |stream| {
        ClickLog::open(&ClickLogConfig {
            files: vec![first.clone(), second.clone()],
            days: Some(20),
            categories: Categories::default(),
            stream,
        })
        .unwrap()
    };
    let (kept, streamed) = (of(false), of(true));
    assert_eq!(kept.fingerprint(), streamed.fingerprint());
    let all = |log: &ClickLog, seed, from| -> Vec<Batch> {
        log.training_batches_from(4096, seed, from)
            .map(Result::unwrap)
            .collect()
    };
    let epoch = all(&kept, 5, 0);
    assert_eq!(epoch.iter().map(Batch::len).sum::<usize>(), 285_000);
    assert!(all(&streamed, 5, 0) == epoch);
    for from in [1, 63, 64, 65, 69] {
        assert!(all(&kept, 5, from) == epoch[from..]);
        assert!(all(&streamed, 5, from) == epoch[from..]);
    }
    assert!(all(&kept, 6, 0) != epoch);
    assert!(all(&kept, 5, 70).is_empty());
    for part in [SplitPart::Train, SplitPart::Validation, SplitPart::Test] {
        let (a, b) = (kept.batches(part, 5000), streamed.batches(part, 5000));
        assert!(a.zip(b).all(|(a, b)| a.unwrap() == b.unwrap()));
    }
}

#[test]
fn an_epoch_has_every_row_once_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "log.txt", &rows());
    let log = open(&path);
    let numbers = |batches: mmdlrm_data::Batches| -> Vec<u32> {
        let batches = batches.map(Result::unwrap);
        let of = |batch: Batch| match batch.column("dense") {
            Some(ColumnView::Dense { values, .. }) => values
                .iter()
                .step_by(13)
                .map(|x| x.exp_m1().round() as u32)
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        batches.flat_map(of).collect()
    };
    let mut drawn = numbers(log.training_batches_from(7, 3, 0));
    assert_ne!(drawn, (0..60).collect::<Vec<_>>());
    drawn.sort_unstable();
    assert_eq!(drawn, (0..60).collect::<Vec<_>>());
    assert_eq!(
        numbers(log.batches(SplitPart::Test, 7)),
        (60..65).collect::<Vec<_>>()
    );
}
