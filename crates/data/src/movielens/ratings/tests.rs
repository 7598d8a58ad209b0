//! The quick reader and the careful one.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRng, TestRunner};

use super::*;

/// A way to write a table.
struct Written {
    dialect: Dialect,
    header: &'static str,
    separator: &'static str,
    columns: usize,
}

/// Those of the releases, and two of other programs'.
fn ways() -> [Written; 5] {
    let of = |dialect, header, separator, columns| Written {
        dialect,
        header,
        separator,
        columns,
    };
    [
        of(Dialect::Csv, "userId,movieId,rating,timestamp\n", ",", 4),
        of(Dialect::plain("\t", 4), "", "\t", 4),
        of(Dialect::plain("::", 4), "", "::", 4),
        of(Dialect::Csv, "user_id;item_id;rating;time\n", ";", 4),
        of(Dialect::Csv, "userId,movieId,rating\n", ",", 3),
    ]
}

/// A row as releases write it.
fn plain_row() -> impl Strategy<Value = [String; 5]> {
    let stars = (1u8..=10).prop_map(|half_stars| match half_stars {
        whole if whole % 2 == 0 => format!("{}.0", whole / 2),
        half => format!("{}.5", half / 2),
    });
    (any::<u32>(), any::<u32>(), stars, any::<u32>()).prop_map(|(user, movie, stars, time)| {
        [
            user.to_string(),
            movie.to_string(),
            stars,
            time.to_string(),
            "\n".to_owned(),
        ]
    })
}

/// The same with one field, or the end, written in another way, which may mean the same,
/// something else, or nothing.
fn odd_row() -> impl Strategy<Value = [String; 5]> {
    let numbers = [
        "-1",
        "x",
        "00007",
        "4294967295",
        "4294967296",
        "",
        " 5",
        "\"6\"",
        "9999999999999",
    ];
    let stars = [
        "0", "4", "5.3", "0.50", "3.14159", "NaN", "inf", "1e0", ".5", "5.", "", "\"4.0\"",
    ];
    let ends = [
        "\r\n", "\r", "\n\n", " \n", ",\n", "\",\n", ",9\n", "\t\n", "",
    ];
    let written = (0usize..5).prop_flat_map(move |place| {
        let ways: &[&str] = match place {
            2 => &stars,
            4 => &ends,
            _ => &numbers,
        };
        (Just(place), select(ways.to_vec()))
    });
    (plain_row(), written).prop_map(|(mut row, (place, way))| {
        row[place] = way.to_owned();
        row
    })
}

/// Many plain rows, and in one table of two an odd one among them.
fn rows() -> impl Strategy<Value = Vec<[String; 5]>> {
    let plain = prop::collection::vec(plain_row(), 1..60);
    let odd = proptest::option::of((odd_row(), any::<prop::sample::Index>()));
    (plain, odd).prop_map(|(mut rows, odd)| {
        if let Some((row, place)) = odd {
            rows.insert(place.index(rows.len() + 1), row);
        }
        rows
    })
}

fn text(rows: &[[String; 5]], way: &Written) -> String {
    let row = |row: &[String; 5]| row[..way.columns].join(way.separator) + &row[4];
    way.header.to_owned() + &rows.iter().map(row).collect::<String>()
}

/// What the quick reader makes of a table is what the careful one makes of it; and it
/// reads most of those that are written plainly, so that the test means something.
#[test]
fn quick_and_careful_readers_agree() {
    const CASES: u32 = 600;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ratings");
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(Default::default()));
    let (quick_tables, quick_rows, odd_tables) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let cases = (rows(), select((0..ways().len()).collect::<Vec<usize>>()));
    runner
        .run(&cases, |(rows, number)| {
            let way = &ways()[number];
            let text = text(&rows, way);
            std::fs::write(&path, &text).unwrap();
            let quick = RatingColumns::read_plain(&path, &way.dialect);
            let careful = RatingColumns::read_rows(&path, &way.dialect);
            match (quick, careful) {
                (Some(quick), Ok(careful)) => {
                    prop_assert_eq!(&quick, &careful, "{}", text);
                    quick_tables.set(quick_tables.get() + 1);
                    quick_rows.set(quick_rows.get() + quick.0.users.len());
                }
                (Some(_), Err(error)) => {
                    return Err(TestCaseError::fail(format!("{error} of {text}")));
                }
                (None, careful) => {
                    odd_tables.set(odd_tables.get() + u32::from(careful.is_ok()));
                    let message = careful.err().map(|error| error.to_string());
                    prop_assert!(message.is_none_or(|it| it.lines().count() == 1));
                }
            }
            Ok(())
        })
        .unwrap();
    let (tables, rows, odd) = (quick_tables.get(), quick_rows.get(), odd_tables.get());
    assert!(
        tables > CASES / 2,
        "{tables} of {CASES} tables were read by the quick reader"
    );
    assert!(
        rows > 20 * tables as usize,
        "{rows} rows in {tables} tables"
    );
    assert!(
        odd > CASES / 30,
        "{odd} tables were only read by the careful reader"
    );
}

/// Rows that begin in one block and end in the next belong to the first, wherever the
/// cut falls.
#[test]
fn readers_agree_on_tables_of_several_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ratings.csv");
    for shift in 0..24 {
        // Numbers of other lengths move the rows against the cuts.
        let rows = (0..60_000u32).map(|row| {
            let user = row.wrapping_mul(2_654_435_761) >> (row % 29);
            format!("{user},{row},{}.5,{}\n", row % 5, 7 * row)
        });
        let text = format!("userId,movieId,rating,timestamp\n{}", "1".repeat(shift + 1));
        std::fs::write(&path, text + ",1,0.5,1\n" + &rows.collect::<String>()).unwrap();
        if shift > 9 {
            // Eleven digits are no id.
            assert!(RatingColumns::read_plain(&path, &Dialect::Csv).is_none());
            break;
        }
        let quick = RatingColumns::read_plain(&path, &Dialect::Csv);
        let careful = RatingColumns::read_rows(&path, &Dialect::Csv);
        assert_eq!(quick, careful.ok());
    }
}
