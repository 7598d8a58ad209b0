//! Rows that stay on disk are those of memory, and so is what is said of wrong ones.

use std::fmt::Write as _;

use mmdlrm_data::{
    DiskSplit, Duplicates, RandomSplit, Rated, Role, Schema, Split, SplitPart, StreamedSplit,
    Target, TemporalSplit, UnknownMovies,
};

use super::*;

/// Reviews in no order, some of pairs that stand twice, some of items that no table has.
fn reviews() -> String {
    let mut text = String::from("user,item,points,ts\n");
    let mut state = 7u64;
    for row in 0..3000u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(row);
        let (user, item) = (state >> 33 & 127, state >> 45 & 63);
        let (points, time) = (state >> 20 & 7, 1_700_000_000_000 + (state >> 55) * 1000);
        writeln!(text, "u{user},i{item},{points},{time}").unwrap();
    }
    text
}

fn tables(folder: &Path) -> InteractionFiles {
    let mut items = String::from("item,price\n");
    for item in (0..70).filter(|item| item % 9 != 4) {
        writeln!(items, "i{item},{item}.5").unwrap();
    }
    let items = write(folder, "items.csv", &items);
    let mut read = files(write(folder, "reviews.csv", &reviews()), Some(items));
    read.options.unknown_items = UnknownMovies::Drop;
    read.options.schema = Schema {
        target: Some("points".to_owned()),
        ..Schema::default()
    };
    read
}

/// By dense rows, as a model learns them.
fn rated(interactions: &Interactions) -> Vec<Rated> {
    let ratings = &interactions.ratings;
    let users = mmdlrm_data::IdMap::from_ids(ratings.user_ids().iter().copied());
    let items = interactions.items.index();
    let row = |row: usize| Rated {
        user: users.row(ratings.user_ids()[row]).unwrap(),
        movie: items.row(ratings.movie_ids()[row]).unwrap(),
        stars: ratings.target().to_stars(ratings.stars()[row]),
        timestamp: ratings.timestamps()[row],
    };
    (0..ratings.len()).map(row).collect()
}

#[test]
fn rows_on_disk_are_those_of_memory_whatever_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    let explicit = tables(folder.path());
    let implicit = {
        let mut read = explicit.clone();
        read.options.schema.target = None;
        read.options.schema.implicit = true;
        read
    };
    let mut cases = vec![implicit.clone()];
    for policy in [
        Duplicates::KeepFirst,
        Duplicates::KeepLatest,
        Duplicates::KeepEarliest,
        Duplicates::KeepAll,
    ] {
        for read in [&explicit, &implicit] {
            let mut read = read.clone();
            read.options.duplicates = Some(policy);
            cases.push(read);
        }
    }
    for files in cases {
        let (memory, disk) = (
            files.open().unwrap(),
            files.open_streamed(&scratch).unwrap(),
        );
        assert!(memory.left_out.of_unknown_movies > 100);
        assert_eq!(disk.ratings.left_out(), &memory.left_out);
        assert_eq!(disk.ratings.target(), memory.ratings.target());
        assert_eq!(disk.unmatched, memory.unmatched);
        assert_eq!(disk.fingerprint().changes(&memory.fingerprint()), []);
        let mut rows = Vec::new();
        let take = |of_disk: &[Rated]| {
            rows.extend_from_slice(of_disk);
            Ok::<_, mmdlrm_data::Error>(())
        };
        disk.ratings.for_each(take).unwrap();
        assert_eq!(rows, rated(&memory));
        let names = |row: u32| disk.ratings.users().name(row).map(|it| it.into_owned());
        assert_eq!(names(rows[0].user), Some(self::rows(&memory)[0].0.clone()));
        assert_eq!(disk.items.table(), memory.items.table());
    }
    // Nothing is left behind.
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn users_of_tables_in_any_order_come_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = tables(folder.path());
    files.options.duplicates = Some(Duplicates::KeepAll);
    let memory = files.open().unwrap();
    let all = rated(&memory);
    let splits: [(DiskSplit, Split); 2] = [
        (
            RandomSplit {
                test_share: 0.2,
                validation_share: Some(0.1),
                seed: 3,
            }
            .into(),
            Split::random(all.len(), 0.2, 3).unwrap(),
        ),
        (
            TemporalSplit {
                test_share: 0.2,
                validation_share: Some(0.1),
            }
            .into(),
            Split::temporal(&memory.ratings, 0.2).unwrap(),
        ),
    ];
    for (on_disk, split) in splits {
        let split = split.with_validation(0.1, &memory.ratings).unwrap();
        let disk = files.open_streamed(folder.path()).unwrap();
        let disk = StreamedSplit::new(disk.ratings, on_disk, folder.path()).unwrap();
        assert_eq!(disk.fingerprint().unwrap(), split.fingerprint());
        let rows = [
            (SplitPart::Train, split.train()),
            (SplitPart::Validation, split.validation()),
            (SplitPart::Test, split.test()),
        ];
        let mut expected: Vec<(u32, u32, SplitPart, Rated)> = Vec::new();
        for (part, rows) in rows {
            assert_eq!(disk.rows(part), rows.len());
            let rows = rows.iter().map(|&row| (row, all[row as usize]));
            expected.extend(rows.map(|(row, rated)| (rated.user, row, part, rated)));
        }
        expected.sort_unstable_by_key(|&(user, row, ..)| (user, row));
        let (mut seen, mut last) = (Vec::new(), None);
        let take = |of_user: &[(SplitPart, Rated)]| {
            let user = of_user[0].1.user;
            assert!(last < Some(user));
            last = Some(user);
            seen.extend_from_slice(of_user);
            Ok::<_, mmdlrm_data::Error>(())
        };
        disk.for_each_user(take).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|it| (it.2, it.3)).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_is_wrong_is_said_as_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let change = |name: &str, of: &dyn Fn(String) -> String| {
        let mut files = tables(folder.path());
        files.options.duplicates = Some(Duplicates::KeepAll);
        files.interactions = write(folder.path(), name, &of(reviews()));
        files
    };
    let plain = || change("plain.csv", &|text| text);
    let mut cases = vec![
        change("null.csv", &|text| text.replacen("\nu", "\n,,1,5\nu", 3)),
        change("text.csv", &|text| text + "u1,i1,good,1700000000000\n"),
        change("seconds.csv", &|text| text + "u1,i1,1,1700000000\n"),
        change("late.csv", &|text| text + "u1,i1,1,9999999999999\n"),
        change("empty.csv", &|_| "user,item,points,ts\n".to_owned()),
        change("others.csv", &|text| text.replace(",i", ",no-i")),
        change("always.csv", &|text| {
            // A 1 is the later of each pair, and alone is kept.
            let rows = text.lines().skip(1).map(|row| {
                let fields: Vec<&str> = row.split(',').collect();
                let (user, item) = (fields[0], fields[1]);
                format!("{user},{item},0,1700000000000\n{user},{item},1,1700000001000\n")
            });
            "user,item,points,ts\n".to_owned() + &rows.collect::<String>()
        }),
        change("never.csv", &|text| {
            let rows = text.lines().skip(1).map(|row| {
                let fields: Vec<&str> = row.split(',').collect();
                format!("{},{},0,{}\n", fields[0], fields[1], fields[3])
            });
            "user,item,points,ts\n".to_owned() + &rows.collect::<String>()
        }),
    ];
    cases[6].options.duplicates = None;
    let error = cases[6].open().unwrap_err().to_string();
    assert!(
        error.contains("leave the target out") && error.contains("rows were left out before"),
        "{error}"
    );
    let mut refusing = plain();
    refusing.options.unknown_items = UnknownMovies::Refuse;
    cases.push(refusing);
    let mut twice = plain();
    twice.options.duplicates = None;
    cases.push(twice);
    let mut scaled = plain();
    scaled.options.scale = Some((0.0, 5.0));
    cases.push(scaled);
    for files in cases {
        let memory = files.open().unwrap_err().to_string();
        let disk = files.open_streamed(folder.path()).unwrap_err().to_string();
        assert_eq!(disk, memory);
    }
    let mut pairs = plain();
    pairs.options.schema.target = None;
    pairs
        .options
        .schema
        .roles
        .insert("points".to_owned(), Role::Dense);
    let error = pairs.open_streamed(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("'points': is dense of single interactions") && error.contains("memory"),
        "{error}"
    );
}

#[test]
fn ids_of_any_kind_find_their_numbers_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("numbers.csv", "user,item\n10,7\n9,-3\n10,-3\n"),
        ("padded.csv", "user,item\n010,7\n9, x \n010,x\n"),
    ] {
        let files = files(write(folder.path(), name, text), None);
        let (memory, disk) = (
            files.open().unwrap(),
            files.open_streamed(folder.path()).unwrap(),
        );
        assert_eq!(disk.fingerprint().changes(&memory.fingerprint()), []);
        assert_eq!(disk.ratings.target(), Target::Implicit);
        assert!(!disk.has_times);
    }
}
