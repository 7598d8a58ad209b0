use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mmdlrm_data::{Error, MovieLens, OpenOptions, Rated, RatingsStream, Result};

use crate::{Folder, RATINGS, good, gzip};

fn open(folder: &Folder) -> MovieLens {
    let options = OpenOptions {
        cache: Some(folder.file("cache")),
        ..OpenOptions::default()
    };
    options.open(folder.path()).unwrap()
}

fn parquet(folder: &Folder) -> PathBuf {
    folder.file("cache/ratings.parquet")
}

/// The next opening must parse the text, and the one after may use the cache.
#[track_caller]
fn rebuilt(folder: &Folder, first_stars: f32) {
    let movielens = open(folder);
    assert!(!movielens.from_cache);
    assert_eq!(movielens.ratings.stars()[0], first_stars);
    let again = open(folder);
    assert!(again.from_cache);
    assert_eq!(again.ratings.table(), movielens.ratings.table());
    let left = std::fs::read_dir(folder.file("cache")).unwrap().count();
    assert_eq!(left, 2, "more than the cache and its description");
}

#[test]
fn a_cache_is_written_once_and_then_read() {
    let folder = good();
    rebuilt(&folder, 4.0);
    assert!(open(&folder).from_cache);
    // And by any other reader of Parquet.
    let streamed = OpenOptions {
        cache: Some(folder.file("cache")),
        ..OpenOptions::default()
    };
    let streamed = streamed.open_streamed(folder.path()).unwrap();
    assert_eq!(
        (streamed.ratings.len(), streamed.ratings.path()),
        (3, &*parquet(&folder))
    );
}

#[test]
fn opening_without_a_cache_writes_nothing() {
    let folder = good();
    MovieLens::open(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_changed_source_is_read_again() {
    let folder = good();
    rebuilt(&folder, 4.0);
    folder.write("ratings.csv", RATINGS.replace("4.0", "1.0") + "7,1,2,400\n");
    rebuilt(&folder, 1.0);
}

#[test]
fn a_change_of_the_same_length_and_time_is_seen() {
    let folder = good();
    let path = folder.file("ratings.csv");
    let time = SystemTime::now() - Duration::from_secs(1000);
    let set_time = || {
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    };
    set_time();
    rebuilt(&folder, 4.0);
    folder.write("ratings.csv", RATINGS.replace("4.0", "1.0"));
    set_time();
    rebuilt(&folder, 1.0);
}

#[test]
fn a_source_that_was_only_touched_or_moved_keeps_its_cache() {
    let folder = good();
    rebuilt(&folder, 4.0);
    folder.write("ratings.csv", RATINGS);
    assert!(open(&folder).from_cache);
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let folder = good();
    rebuilt(&folder, 4.0);
    let whole = std::fs::read(parquet(&folder)).unwrap();
    // Cut anywhere, and any byte changed.
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(parquet(&folder), &whole[..length]).unwrap();
        rebuilt(&folder, 4.0);
    }
    for at in (0..whole.len()).step_by(whole.len() / 10) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(parquet(&folder), flipped).unwrap();
        rebuilt(&folder, 4.0);
    }
    std::fs::remove_file(parquet(&folder)).unwrap();
    rebuilt(&folder, 4.0);
}

#[test]
fn a_foreign_cache_is_made_anew() {
    let folder = good();
    let other = good();
    other.write("ratings.csv", RATINGS.replace("4.0", "1.0"));
    rebuilt(&folder, 4.0);
    rebuilt(&other, 1.0);
    for name in ["ratings.parquet", "ratings.json"] {
        std::fs::copy(
            other.file("cache").join(name),
            folder.file("cache").join(name),
        )
        .unwrap();
    }
    rebuilt(&folder, 4.0);
    for manifest in ["", "{}", "not json", "[1, 2]", "{\"format\": 1}"] {
        folder.write("cache/ratings.json", manifest);
        rebuilt(&folder, 4.0);
    }
    // Of another format, or lying about its rows.
    let manifest = std::fs::read_to_string(folder.file("cache/ratings.json")).unwrap();
    folder.write(
        "cache/ratings.json",
        manifest.replace("\"format\": 2", "\"format\": 99"),
    );
    rebuilt(&folder, 4.0);
    folder.write(
        "cache/ratings.json",
        manifest.replace("\"rows\": 3", "\"rows\": 4000000000"),
    );
    rebuilt(&folder, 4.0);
}

#[test]
fn compressed_sources_are_cached_too() {
    let folder = good();
    std::fs::remove_file(folder.file("ratings.csv")).unwrap();
    folder.write("ratings.csv.gz", gzip(RATINGS.as_bytes()));
    rebuilt(&folder, 4.0);
    // The text it was made from takes the place of the archive.
    folder.write("ratings.csv", RATINGS);
    rebuilt(&folder, 4.0);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let folder = good();
    // A file where the folder should be: as good as a disk that refuses.
    folder.write("cache", "in the way");
    let movielens = open(&folder);
    assert_eq!((movielens.ratings.len(), movielens.from_cache), (3, false));
    assert_eq!(std::fs::read(folder.file("cache")).unwrap(), b"in the way");
    // Streaming cannot do without.
    let streamed = OpenOptions {
        cache: Some(folder.file("cache")),
        ..OpenOptions::default()
    };
    let error = streamed.open_streamed(folder.path()).err().unwrap();
    assert!(error.to_string().contains("cannot write"), "{error}");
}

fn stream(folder: &Folder) -> RatingsStream {
    let options = OpenOptions {
        cache: Some(folder.file("cache")),
        ..OpenOptions::default()
    };
    options.open_streamed(folder.path()).unwrap().ratings
}

fn rated(stream: &RatingsStream) -> Result<Vec<Rated>> {
    let mut all = Vec::new();
    stream.for_each(|rated| {
        all.extend_from_slice(rated);
        Ok::<_, Error>(())
    })?;
    Ok(all)
}

/// Two folders whose caches are of the same length, and differ in the stars alone.
fn alike() -> [Folder; 2] {
    let folders = [good(), good()];
    folders[1].write("ratings.csv", RATINGS.replace("4.0", "1.0"));
    folders
}

#[test]
fn a_cache_that_takes_the_place_of_another_is_not_read_in_its_stead() {
    let [folder, other] = alike();
    let (ratings, others) = (stream(&folder), stream(&other));
    let before = rated(&ratings).unwrap();
    assert_ne!(before, rated(&others).unwrap());
    std::fs::rename(parquet(&other), parquet(&folder)).unwrap();
    assert_eq!(rated(&ratings).unwrap(), before);
    std::fs::remove_file(parquet(&folder)).unwrap();
    assert_eq!(rated(&ratings).unwrap(), before);
}

#[test]
fn a_cache_that_is_written_over_after_it_was_verified_is_an_error() {
    let [folder, other] = alike();
    // Just made, and found again.
    for _ in 0..2 {
        let (ratings, _) = (stream(&folder), stream(&other));
        let whole = std::fs::read(parquet(&folder)).unwrap();
        let others = std::fs::read(parquet(&other)).unwrap();
        assert!(whole != others && whole.len() == others.len());
        std::fs::write(parquet(&folder), others).unwrap();
        let message = rated(&ratings).unwrap_err().to_string();
        assert!(message.contains("changed while it was in use"), "{message}");
        std::fs::write(parquet(&folder), &whole[..20]).unwrap();
        rated(&ratings).unwrap_err();
        std::fs::write(parquet(&folder), whole).unwrap();
        rated(&ratings).unwrap();
    }
}

#[test]
fn releases_in_folders_of_one_name_have_caches_of_their_own() {
    let parents = [good(), good()];
    let caches = Folder::new(&[]);
    let [first, second] = [0, 1].map(|number| {
        let dir = parents[number].file("ml");
        std::fs::create_dir(&dir).unwrap();
        for name in ["movies.csv", "ratings.csv"] {
            std::fs::copy(parents[number].file(name), dir.join(name)).unwrap();
        }
        dir
    });
    let of = |dir: &Path| OpenOptions::cache_under(caches.path(), dir).unwrap();
    assert_ne!(of(&first), of(&second));
    assert_ne!(of(parents[0].path()), of(&first));
    // However the folder is named.
    assert_eq!(of(&first), of(&first.join("../ml")));
    let name = of(&first)
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert!(
        name.starts_with("ml-") && of(&first).starts_with(caches.path()),
        "{name}"
    );
    let missing = OpenOptions::cache_under(caches.path(), &first.join("no")).unwrap_err();
    assert!(missing.to_string().contains("ml/no"), "{missing}");
}
