//! Shapes in which people have releases, and folders that are something else.

use std::path::Path;

use mmdlrm_data::arrow_array::Array;
use mmdlrm_data::arrow_array::cast::AsArray;
use mmdlrm_data::{Error, Format, MovieLens, OpenOptions, ReleaseFiles};

use crate::{Folder, MOVIES, RATINGS, good, gzip};

const TAGS: &str = "userId,movieId,tag,timestamp\n1,5,noir,300\n";
const LINKS: &str = "movieId,imdbId,tmdbId\n1,0112346,9087\n";
const GENOME_TAGS: &str = "tagId,tag\n1,007\n2,noir\n";
const GENOME_SCORES: &str = "movieId,tagId,relevance\n1,1,0.25\n1,2,0.5\n";
/// GroupLens's names, those of Kaggle's copy, and what is in the files.
const TABLES: [(&str, &str, &str); 6] = [
    ("ratings.csv", "rating.csv", RATINGS),
    ("movies.csv", "movie.csv", MOVIES),
    ("tags.csv", "tag.csv", TAGS),
    ("links.csv", "link.csv", LINKS),
    ("genome-tags.csv", "genome_tags.csv", GENOME_TAGS),
    ("genome-scores.csv", "genome_scores.csv", GENOME_SCORES),
];

/// A release of all tables in its usual shape.
fn usual() -> Folder {
    let folder = Folder::new(&[]);
    for (name, _, text) in TABLES {
        folder.write(name, text);
    }
    folder
}

/// That two releases are the same to the last bit.
#[track_caller]
fn assert_same(found: &MovieLens, expected: &MovieLens) {
    assert_eq!(found.ratings.table(), expected.ratings.table());
    assert_eq!(found.movies.table(), expected.movies.table());
    assert_eq!(found.users, expected.users);
    assert_eq!(found.links, expected.links);
    assert_eq!(found.tags, expected.tags);
    let genome = |of: &MovieLens| {
        let genome = of.genome.as_ref();
        genome.map(|it| (it.tags().clone(), it.scores().clone()))
    };
    assert_eq!(genome(found), genome(expected));
    assert_eq!(found.fingerprint(), expected.fingerprint());
}

/// What opening `path` says, in memory and streamed: one line with all of `parts`.
#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let open = OpenOptions::default();
    for error in [open.open(path).err(), open.open_streamed(path).err()] {
        let message = error.unwrap().to_string();
        for part in parts {
            assert!(message.contains(part), "no '{part}' in: {message}");
        }
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.len() < 500, "{} bytes: {message}", message.len());
    }
}

#[test]
fn kaggles_names_and_those_in_other_case_are_read_as_the_usual_ones() {
    let expected = MovieLens::open(usual().path()).unwrap();
    let kaggle = |name: usize| TABLES[name].1.to_owned();
    let capital = |name: usize| {
        let name = TABLES[name].0;
        name[..1].to_uppercase() + &name[1..]
    };
    let loud = |name: usize| TABLES[name].0.to_uppercase();
    let loud_kaggle = |name: usize| TABLES[name].1.to_uppercase();
    let mixed = |name: usize| match name % 2 {
        0 => TABLES[name].0.to_owned(),
        _ => TABLES[name].1.to_owned(),
    };
    let shapes: [&dyn Fn(usize) -> String; 5] = [&kaggle, &capital, &loud, &loud_kaggle, &mixed];
    for name_of in shapes {
        for end in ["", ".gz", ".GZ"] {
            let folder = Folder::new(&[]);
            for (name, (.., text)) in TABLES.iter().enumerate() {
                match end {
                    "" => folder.write(&name_of(name), text),
                    _ => folder.write(&(name_of(name) + end), gzip(text.as_bytes())),
                }
            }
            assert_same(&MovieLens::open(folder.path()).unwrap(), &expected);
            let streamed = OpenOptions::default().open_streamed(folder.path()).unwrap();
            assert_eq!(streamed.fingerprint(), expected.fingerprint());
        }
    }
}

#[test]
fn the_usual_name_goes_before_others_and_two_others_are_refused() {
    let expected = MovieLens::open(good().path()).unwrap();
    for other in [
        "rating.csv",
        "Ratings.csv",
        "RATING.CSV",
        "u.data",
        "ratings.dat",
    ] {
        let folder = good();
        folder.write(other, "userId,movieId,rating,timestamp\n9,5,1.0,1\n");
        folder.write("u.item", "1|Heat||||1\n");
        folder.write("movies.dat", "1::Heat::Crime\n");
        assert_same(&MovieLens::open(folder.path()).unwrap(), &expected);
    }
    let folder = Folder::new(&[
        ("movies.csv", MOVIES.as_bytes()),
        ("Ratings.csv", RATINGS.as_bytes()),
        ("RATINGS.csv", RATINGS.as_bytes()),
    ]);
    refused(
        folder.path(),
        &["RATINGS.csv and Ratings.csv may both be ratings.csv"],
    );
}

/// ML-100K in small: all nineteen genres, and some that have none.
fn ml_100k() -> Folder {
    let genres = "unknown|0\nAction|1\nAdventure|2\nAnimation|3\nChildren's|4\nComedy|5\nCrime|6\n\
                  Documentary|7\nDrama|8\nFantasy|9\nFilm-Noir|10\nHorror|11\nMusical|12\n\
                  Mystery|13\nRomance|14\nSci-Fi|15\nThriller|16\nWar|17\nWestern|18\n";
    let folder = Folder::new(&[
        ("u.data", b"1\t1\t5\t874965758\n2\t19\t3\t876893171\n"),
        ("u.genre", genres.as_bytes()),
        ("u.user", b"1|24|M|technician|85711\n2|53|F|other|94043\n"),
    ]);
    let item = |genre: usize| {
        let flags: Vec<&str> = (0..19)
            .map(|it| if it == genre { "1" } else { "0" })
            .collect();
        format!(
            "{}|M{genre} (1995)|01-Jan-1995||u|{}\n",
            genre + 1,
            flags.join("|")
        )
    };
    folder.write("u.item", (0..19).map(item).collect::<String>());
    folder
}

#[test]
fn ml_100k_needs_neither_its_genres_nor_its_users() {
    let folder = ml_100k();
    let mut expected = MovieLens::open(folder.path()).unwrap();
    std::fs::remove_file(folder.file("u.genre")).unwrap();
    assert_same(&MovieLens::open(folder.path()).unwrap(), &expected);
    let all: Vec<String> = (0..19)
        .flat_map(|row| expected.movies.genres(row))
        .collect();
    assert_eq!(
        (all.len(), &*all[3], &*all[17]),
        (18, "Children's", "Western")
    );
    std::fs::remove_file(folder.file("u.user")).unwrap();
    expected.users = None;
    assert_same(&MovieLens::open(folder.path()).unwrap(), &expected);
    folder.write("u.item", "1|Heat (1995)|||u|0|1\n");
    let parts = ["u.item", "2 genres where ML-100K has 19", "no u.genre"];
    refused(folder.path(), &parts);
}

#[test]
fn tables_that_are_not_needed_may_be_missing() {
    let folder = usual();
    let mut expected = MovieLens::open(folder.path()).unwrap();
    let without = |name: &str| {
        std::fs::remove_file(folder.file(name)).unwrap();
        MovieLens::open(folder.path()).unwrap()
    };
    expected.links = None;
    assert_same(&without("links.csv"), &expected);
    expected.tags = None;
    assert_same(&without("tags.csv"), &expected);
    std::fs::remove_file(folder.file("genome-tags.csv")).unwrap();
    refused(
        folder.path(),
        &["genome-scores.csv", "genome-tags.csv, is not beside it"],
    );
    expected.genome = None;
    assert_same(&without("genome-scores.csv"), &expected);

    let folder = Folder::new(&[
        ("ratings.dat", b"1::1::5::978300760\n"),
        ("movies.dat", b"1::Heat (1995)::Crime\n"),
        ("users.dat", b"1::F::1::10::48067\n"),
    ]);
    let mut expected = MovieLens::open(folder.path()).unwrap();
    assert!(expected.users.take().is_some());
    std::fs::remove_file(folder.file("users.dat")).unwrap();
    assert_same(&MovieLens::open(folder.path()).unwrap(), &expected);
}

/// The folder with another in it, in which a release lies.
fn nested(release: &Folder, within: &[&str]) -> Folder {
    let outer = Folder::new(&[]);
    for inner in within {
        let inner = outer.file(inner);
        std::fs::create_dir_all(&inner).unwrap();
        for entry in std::fs::read_dir(release.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), inner.join(entry.file_name())).unwrap();
        }
    }
    outer
}

#[test]
fn a_release_in_a_folder_within_is_read_where_there_is_one_alone() {
    let release = usual();
    let expected = MovieLens::open(release.path()).unwrap();
    for inner in ["ml-latest-small", "a/ml-latest-small", "a/b/ml"] {
        let outer = nested(&release, &[inner]);
        outer.write("README.txt", "terms");
        std::fs::create_dir_all(outer.file("__MACOSX/a")).unwrap();
        std::fs::create_dir_all(outer.file("pictures/ratings.csv")).unwrap();
        let found = MovieLens::open(outer.path()).unwrap();
        assert_same(&found, &expected);
        assert_eq!(found.dir, Some(outer.file(inner)));
        assert_eq!(
            ReleaseFiles::find(outer.path()).unwrap().place(),
            outer.file(inner)
        );
    }
    // One that lies higher goes before others.
    let outer = nested(&release, &["ml", "other/ml/old"]);
    assert_eq!(
        MovieLens::open(outer.path()).unwrap().dir,
        Some(outer.file("ml"))
    );
    let outer = nested(&release, &["ml-1m", "ml-25m"]);
    let [first, second] = ["ml-1m", "ml-25m"].map(|name| outer.file(name));
    let both = format!("name one of {}, {}", first.display(), second.display());
    refused(outer.path(), &["several releases", &both]);
    // Half a release above a whole one is not passed over.
    let outer = nested(&release, &["ml"]);
    outer.write("ratings.csv", RATINGS);
    let whole = format!("a whole release in {}", outer.file("ml").display());
    refused(outer.path(), &["ratings.csv and no movies.csv", &whole]);
    // Too far down, or hidden.
    for inner in ["a/b/c/ml", ".trash"] {
        assert!(MovieLens::open(nested(&release, &[inner]).path()).is_err());
    }
}

#[cfg(unix)]
#[test]
fn folders_that_lead_to_themselves_come_to_an_end() {
    let outer = Folder::new(&[]);
    for number in 0..20 {
        std::os::unix::fs::symlink(".", outer.file(&format!("again{number}"))).unwrap();
    }
    refused(outer.path(), &["again0/"]);
}

#[test]
fn caches_are_named_by_where_the_release_lies() {
    let outer = nested(&good(), &["ml"]);
    let place = |dir: &Path| OpenOptions::cache_under(Path::new("c"), dir).unwrap();
    let inner = place(&outer.file("ml"));
    assert_eq!(place(outer.path()), inner);
    assert!(inner.to_string_lossy().starts_with("c/ml-"), "{inner:?}");
    assert_eq!(OpenOptions::cache_in(outer.path()), outer.file(".mmdlrm"));
}

#[test]
fn what_is_missing_is_named_at_once() {
    let with = |files: &[&str]| {
        let folder = Folder::new(&[]);
        files.iter().for_each(|name| folder.write(name, "x"));
        folder
    };
    for (files, parts) in [
        (
            vec!["movies.csv"],
            vec!["movies.csv and no ratings.csv", "put it there"],
        ),
        (vec!["u.data"], vec!["u.data and no u.item"]),
        (
            vec!["movies.dat", "users.dat"],
            vec!["movies.dat and no ratings.dat"],
        ),
        (
            vec!["rating.csv"],
            vec!["rating.csv and no movies.csv", "--interactions"],
        ),
        (
            vec!["links.csv", "tags.csv"],
            vec!["links.csv, tags.csv, and neither ratings.csv nor movies.csv"],
        ),
        (vec!["u.user"], vec!["neither u.data nor u.item"]),
        (
            vec!["users.dat"],
            vec!["neither ratings.dat nor movies.dat"],
        ),
        (
            vec!["movies.csv", "ratings.csv.zip"],
            vec![
                "no ratings.csv; ratings.csv.zip is compressed",
                "unzip ratings.csv.zip",
            ],
        ),
        (
            vec!["movies.csv", "rating.csv.xz"],
            vec![
                "no ratings.csv; rating.csv.xz is compressed",
                "unxz rating.csv.xz",
            ],
        ),
        (
            vec!["ratings.csv", "movies (1).csv"],
            vec!["no movies.csv, did you mean 'movies (1).csv'?"],
        ),
        (
            vec!["ratings (1).csv", "movies (1).csv"],
            vec!["if ratings (1).csv and movies (1).csv are these, name them so"],
        ),
        (
            vec!["notes.txt", "thesis.pdf"],
            vec![
                "neither ratings.csv and movies.csv",
                "u.item",
                "notes.txt, thesis.pdf",
            ],
        ),
    ] {
        refused(with(&files).path(), &parts);
    }
    let folder = with(&["movies.csv"]);
    std::fs::create_dir(folder.file("ratings.csv")).unwrap();
    refused(
        folder.path(),
        &["no ratings.csv", "called so is a directory"],
    );
}

#[test]
fn a_path_that_is_not_there_names_what_is_called_nearly_so() {
    let outer = nested(&good(), &["ml-latest-small"]);
    refused(
        &outer.file("ml-latest-smal"),
        &["not there, did you mean 'ml-latest-small'?"],
    );
    let error = MovieLens::open(outer.file("elsewhere")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

#[test]
fn a_file_in_place_of_a_folder_says_what_reads_it() {
    let folder = good();
    let place = format!("name the folder that it is in, {}", folder.path().display());
    refused(
        &folder.file("ratings.csv"),
        &["one file of a release", &place],
    );
    for (name, bytes, parts) in [
        (
            "u.data.gz",
            b"x".to_vec(),
            vec!["one file of a release", &*place],
        ),
        (
            "shop.parquet",
            b"x".to_vec(),
            vec!["--interactions", "shop.parquet"],
        ),
        (
            "shop.csv.gz",
            b"x".to_vec(),
            vec!["--interactions", "shop.csv.gz"],
        ),
        ("ml-1m.tar.gz", b"x".to_vec(), vec!["compressed", "tar -xf"]),
        ("ml-1m.7z", b"x".to_vec(), vec!["compressed", "7z x"]),
        (
            "train.txt",
            click().into(),
            vec!["click log", "mmdlrm clicks --log"],
        ),
        (
            "notes.txt",
            b"x".to_vec(),
            vec!["it is a file", "zip archive"],
        ),
    ] {
        folder.write(name, bytes);
        refused(&folder.file(name), &parts);
    }
    #[cfg(unix)]
    refused(Path::new("/dev/null"), &["neither a folder nor a file"]);
}

/// A row of Criteo's.
fn click() -> String {
    format!(
        "1\t{}\t{}\n",
        ["5"; 13].join("\t"),
        ["68fd1e64"; 26].join("\t")
    )
}

/// Files by name and content, and what is said of a folder that holds them.
type Said<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn folders_of_other_kinds_are_named_for_what_they_look_like() {
    let run = r#"{"experiment":{"dim":64}}"#;
    let of: [Said; 18] = [
        (&[], &["folder is empty"]),
        (&[(".DS_Store", "x")], &["folder is empty"]),
        (
            &[("config.json", run), ("model.safetensors", "x")],
            &["run of mmdlrm's", "--run", "--resume"],
        ),
        (
            &[("config.json", "x"), ("metrics.jsonl", "x")],
            &["run of mmdlrm's"],
        ),
        (
            &[("a/config.json", run), ("b/config.json", run)],
            &["folder of mmdlrm's runs (a, b)"],
        ),
        (
            &[("ratings.parquet", "x"), ("ratings.json", "x")],
            &["cache that mmdlrm keeps"],
        ),
        (
            &[("ml-0/ratings.parquet", "x"), ("ml-0/ratings.json", "x")],
            &["folder of caches"],
        ),
        (&[("ablation.md", "x")], &["ablate or compare"]),
        (
            &[
                ("config.json", r#"{"model_type":"clip"}"#),
                ("model.safetensors", "x"),
            ],
            &["Hugging Face", "--clip"],
        ),
        (
            &[("tokenizer.json", "x"), ("vocab.txt", "x")],
            &["Hugging Face"],
        ),
        (
            &[("1.jpg", "x"), ("2.JPEG", "x"), ("3.png", "x")],
            &["posters (3 pictures)", "--posters FILE"],
        ),
        (
            &[("posters.csv", "x"), ("1.jpg", "x")],
            &["posters.csv and no ratings", "--posters"],
        ),
        (
            &[("day_0", "x"), ("day_1", "x")],
            &["click log", "clicks --log"],
        ),
        (
            &[
                ("users.csv", "long enough"),
                ("orders.csv", "x"),
                ("items.parquet", "x"),
            ],
            &[
                "tables of another kind (items.parquet, orders.csv, users.csv)",
                "orders.csv, and --items",
            ],
        ),
        (&[("ml-25m.zip", "x")], &["not unpacked", "ml-25m.zip"]),
        (&[("ml-25m.tar.gz", "x")], &["compressed", "tar -xf"]),
        (
            &[("rating.csv.zip", "x"), ("movie.csv.zip", "x")],
            &["unpack them (unzip)", "movie.csv.zip, rating.csv.zip"],
        ),
        (
            &[
                ("movies_metadata.csv", "x"),
                ("ratings.csv", RATINGS),
                ("links.csv", LINKS),
            ],
            &["The Movies Dataset", "--interactions"],
        ),
    ];
    for (files, parts) in of {
        let folder = Folder::new(&[]);
        for (name, text) in files {
            std::fs::create_dir_all(folder.file(name).parent().unwrap()).unwrap();
            folder.write(name, text);
        }
        refused(folder.path(), parts);
    }
    let folder = Folder::new(&[("train.txt", click().as_bytes()), ("readme.txt", b"x")]);
    refused(folder.path(), &["click log", "train.txt"]);
    let folder = good();
    let cache = folder.file(".mmdlrm");
    OpenOptions {
        cache: Some(cache.clone()),
        ..OpenOptions::default()
    }
    .open(folder.path())
    .unwrap();
    let name = format!("name the release itself, {}", folder.path().display());
    refused(&cache, &[&name]);
}

#[cfg(unix)]
#[test]
fn files_that_never_begin_or_end_are_not_looked_into() {
    for (name, to) in [("config.json", "/dev/zero"), ("clicks", "/dev/zero")] {
        let folder = Folder::new(&[]);
        std::os::unix::fs::symlink(to, folder.file(name)).unwrap();
        refused(folder.path(), &["in it are", name]);
    }
}

#[test]
fn how_a_folder_is_written_is_told() {
    assert_eq!(
        ReleaseFiles::find(usual().path()).unwrap().format(),
        Format::Csv
    );
    let folder = ml_100k();
    let files = ReleaseFiles::find(folder.path()).unwrap();
    assert_eq!(files.format(), Format::Ml100k);
    assert_eq!(
        files.needed(),
        [folder.file("u.data"), folder.file("u.item")]
    );
}

/// As pandas 3.1 writes links of which one lacks an id: the others are floats.
#[test]
fn ids_of_others_are_whole_beside_missing_ones() {
    let folder = usual();
    folder.write(
        "links.csv",
        "movieId,imdbId,tmdbId\n1,114709,862.0\n2,113497,\n",
    );
    let links = MovieLens::open(folder.path()).unwrap().links.unwrap();
    let tmdb = links.column(2).as_string::<i32>();
    assert_eq!(tmdb.value(0), "862");
    assert!(tmdb.is_null(1));
}

#[test]
fn a_table_without_rows_that_may_be_missing_is_as_good_as_missing() {
    for text in ["", "userId,movieId,tag,timestamp\n"] {
        let folder = usual();
        folder.write("tags.csv", text);
        assert!(MovieLens::open(folder.path()).unwrap().tags.is_none());
    }
}
