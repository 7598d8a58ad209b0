//! What something looks like that holds no release, and what reads it.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::listing::Listing;
use super::names::{is_table, unpacker};
use super::{in_place_of, named, told};
use crate::text::open;

/// Bytes of a `config.json` that are looked at: the longest of known models have 20 kB.
const LONGEST_CONFIG: u64 = 1 << 20;
/// Bytes of a file in which a row of a click log ends.
const LONGEST_CLICK: u64 = 16 << 10;
/// Separators of a row of Criteo's log: 13 numbers and 26 categories, behind a label in what is
/// trained on.
const SEPARATORS_OF_CLICKS: [usize; 2] = [38, 39];
/// Files that are opened to see what they are.
const MOST_OPENED: usize = 8;

const PICTURES: [&str; 7] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "avif"];
const TABLES: [&str; 4] = ["csv", "tsv", "parquet", "tab"];
/// What goes beside a release, and by which option.
const BESIDE: [(&str, &str); 3] = [
    ("posters.csv", "--posters"),
    ("summaries.csv", "--summaries"),
    ("credits.csv", "--credits"),
];
/// What tables of interactions are called.
const INTERACTIONS: [&str; 14] = [
    "interaction",
    "rating",
    "review",
    "event",
    "purchase",
    "order",
    "transaction",
    "click",
    "play",
    "listen",
    "watch",
    "view",
    "log",
    "train",
];
/// Files of a model in Hugging Face's layout, and of no run.
const OF_A_MODEL: [&str; 9] = [
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "modules.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_bert_config.json",
    "model.safetensors.index.json",
];

/// Whether a file is a zip archive, or is called one.
pub(super) fn is_zip(path: &Path, metadata: &Metadata) -> bool {
    metadata.is_file() && (is_called(path, &["zip"]) || starts_with(path, b"PK\x03\x04"))
}

/// What a file looks like where a folder was expected.
pub(super) fn of_file(path: &Path, metadata: &Metadata) -> String {
    if !metadata.is_file() {
        return "it is neither a folder nor a file".to_owned();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let told = path.display();
    if is_table(&name) {
        let parent = path.parent().filter(|it| *it != Path::new(""));
        let parent = parent.unwrap_or(Path::new(".")).display();
        return format!("it is one file of a release: name the folder that it is in, {parent}");
    }
    if let Some((tool, _)) = unpacker(&name)
        && table_end(&name).is_none()
    {
        return format!(
            "it is compressed: unpack it ({tool} {told}), and name the folder that comes of it"
        );
    }
    if is_click_log(path) {
        return format!("it looks like a click log of Criteo's: mmdlrm clicks --log {told}");
    }
    if table_end(&name).is_some() {
        return format!("it is a table; one that is no release's is read by --interactions {told}");
    }
    "it is a file: name the folder of a release, or the zip archive of one".to_owned()
}

/// What a folder looks like that holds no release.
pub(super) fn of_folder(path: &Path, listing: &Listing) -> String {
    if listing.is_empty() {
        return "the folder is empty; a release has ratings.csv and movies.csv".to_owned();
    }
    let kinds: [&dyn Fn() -> Option<String>; 10] = [
        &|| ours(path, listing),
        &|| model(path, listing),
        &|| known_set(listing).map(str::to_owned),
        &|| part_of_release(listing),
        &|| packed(path, listing),
        &|| beside(path, listing),
        &|| clicks(path, listing),
        &|| renamed(listing),
        &|| tables(path, listing),
        &|| pictures(listing),
    ];
    let kind = kinds.into_iter().find_map(|kind| kind());
    kind.unwrap_or_else(|| unknown(listing))
}

/// Other people's sets that share names with releases.
pub(super) fn known_set(listing: &Listing) -> Option<&'static str> {
    listing.has("movies_metadata.csv").then_some(
        "it looks like Kaggle's The Movies Dataset, whose movies (movies_metadata.csv) are numbered \
         otherwise than its ratings: take a release of MovieLens, or read ratings.csv alone by \
         --interactions",
    )
}

/// What mmdlrm itself left: a run, several, an ablation, or a cache.
fn ours(path: &Path, listing: &Listing) -> Option<String> {
    let told = path.display();
    if is_run(path, listing) {
        return Some(format!(
            "it looks like a run of mmdlrm's: recommend, serve and evaluate take it by --run {told}, \
             train goes on with it by --resume {told}, and --data names what a run learns from"
        ));
    }
    if is_cache(listing) {
        let whose = match path.file_name().is_some_and(|name| name == ".mmdlrm") {
            true => path.parent().filter(|it| *it != Path::new("")),
            false => None,
        };
        let whose = whose.map_or(String::new(), |it| format!(", {}", it.display()));
        return Some(format!(
            "it looks like a cache that mmdlrm keeps of a release: name the release itself{whose}"
        ));
    }
    if listing.has("ablation.md") || listing.has("compare.json") {
        return Some(
            "it looks like what mmdlrm's ablate or compare left: --data names what they learned from"
                .to_owned(),
        );
    }
    let inner = listing.folders.iter().take(MOST_OPENED * 4);
    let inner = inner.filter_map(|name| Some((name, Listing::read(&path.join(name)).ok()?)));
    let inner: Vec<_> = inner.collect();
    let runs = inner
        .iter()
        .filter(|(name, inside)| is_run(&path.join(name), inside));
    let runs: Vec<&String> = runs.map(|(name, _)| *name).collect();
    if !runs.is_empty() {
        let runs = told_names(&runs);
        return Some(format!(
            "it looks like a folder of mmdlrm's runs ({runs}): recommend and serve take one by --run, \
             and --data names what they learned from"
        ));
    }
    inner.iter().any(|(_, inside)| is_cache(inside)).then(|| {
        "it looks like a folder of caches that mmdlrm keeps of releases: name a release itself"
            .to_owned()
    })
}

fn told_names(names: &[&String]) -> String {
    told(names.iter().copied())
}

fn is_run(path: &Path, listing: &Listing) -> bool {
    let trained = ["metrics.jsonl", "predictions.parquet", "rankings.parquet"];
    listing.has("config.json")
        && (trained.iter().any(|name| listing.has(name))
            || config(path).is_some_and(|it| {
                ["experiment", "train", "checkpoints"]
                    .iter()
                    .any(|key| it.get(key).is_some())
            }))
}

fn is_cache(listing: &Listing) -> bool {
    listing.has("ratings.parquet") && listing.has("ratings.json")
}

/// The `config.json` of a run or of a model.
fn config(path: &Path) -> Option<Value> {
    let path = path.join("config.json");
    // What is no regular file may never end, or never begin.
    std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
    let mut text = Vec::new();
    let file = File::open(&path).ok()?;
    file.take(LONGEST_CONFIG).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn model(path: &Path, listing: &Listing) -> Option<String> {
    let by_files = || OF_A_MODEL.iter().any(|name| listing.has(name));
    let by_config = || {
        let config = listing.has("config.json").then(|| config(path)).flatten();
        config.is_some_and(|it| it.get("model_type").is_some() || it.get("architectures").is_some())
    };
    let is_hub = ["blobs", "refs", "snapshots"]
        .iter()
        .all(|name| listing.folders.iter().any(|it| it == name));
    (by_files() || by_config() || is_hub).then(|| {
        let told = path.display();
        format!(
            "it looks like a model in Hugging Face's layout, as encodes posters and plots: --clip \
             {told}, --text bert:{told} or --image resnet:{told}"
        )
    })
}

/// Tables that go beside ratings and movies, and neither of these.
fn part_of_release(listing: &Listing) -> Option<String> {
    let files = || listing.files.iter().filter(|file| is_table(file));
    files().next()?;
    let has = |start: &str| files().any(|file| file.to_lowercase().starts_with(start));
    let (ratings, movies) = match (has("u."), has("users.dat") || has("tags.dat")) {
        (true, _) => ("u.data", "u.item"),
        (_, true) => ("ratings.dat", "movies.dat"),
        _ => ("ratings.csv", "movies.csv"),
    };
    let also = [ratings, movies].map(|name| in_place_of(name, &listing.files));
    Some(format!(
        "it has {}, and neither {ratings} nor {movies}{}; put these there, or check the path",
        told(files()),
        also.into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or_default()
    ))
}

/// What was downloaded and not unpacked.
fn packed(path: &Path, listing: &Listing) -> Option<String> {
    let files = listing.files.iter();
    let packed = files.filter(|file| unpacker(file).is_some() && table_end(file).is_none());
    let packed: Vec<&String> = packed
        .filter(|file| !is_click_log(&path.join(file)))
        .collect();
    let (first, others) = packed.split_first()?;
    let file = path.join(first);
    let is_archive =
        is_called(&file, &["zip"]) && unpacker(first).is_some_and(|it| table_end(it.1).is_none());
    let (tool, _) = unpacker(first)?;
    Some(match (others.is_empty(), is_archive) {
        (true, true) => format!(
            "it has {first}, which is not unpacked: name {}",
            file.display()
        ),
        (true, false) => format!(
            "it has {first}, which is compressed: unpack it, {tool} {}",
            file.display()
        ),
        (false, true) => format!(
            "it has files that are not unpacked: name the one that is meant of {}",
            told_names(&packed)
        ),
        (false, false) => format!(
            "it has files that are compressed in a way that is not read, unpack them ({tool}): {}",
            told_names(&packed)
        ),
    })
}

/// What goes beside a release.
fn beside(path: &Path, listing: &Listing) -> Option<String> {
    let (name, option) = BESIDE.into_iter().find(|(name, _)| listing.has(name))?;
    let all = listing.files.iter();
    let others = all.filter(|file| table_end(file).is_some());
    let mut others = others.filter(|file| BESIDE.iter().all(|(name, _)| file != name));
    others.next().is_none().then(|| {
        format!(
            "it has {name} and no ratings: name the folder of a release, and beside it {option} {}",
            path.join(name).display()
        )
    })
}

fn clicks(path: &Path, listing: &Listing) -> Option<String> {
    let is_text = |file: &&String| {
        let end = end_of(file);
        !PICTURES.contains(&end.as_str()) && !["csv", "parquet", "json"].contains(&end.as_str())
    };
    let files = listing.files.iter().filter(is_text).take(MOST_OPENED);
    let mut files = files.filter(|file| is_click_log(&path.join(file)));
    let file = files.next().or_else(|| {
        let mut days = listing.files.iter().filter(|file| is_day(file));
        days.next()
    })?;
    Some(format!(
        "it looks like a click log of Criteo's: mmdlrm clicks --log {}",
        path.join(file).display()
    ))
}

/// `day_0`, as Criteo's log of a terabyte has them.
fn is_day(file: &str) -> bool {
    let number = file
        .strip_prefix("day_")
        .and_then(|it| it.split('.').next());
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the first row has as many fields as Criteo's.
fn is_click_log(path: &Path) -> bool {
    let is_file = std::fs::metadata(path).is_ok_and(|it| it.is_file());
    let start = || {
        let mut start = Vec::new();
        let text = open(path).ok()?;
        text.take(LONGEST_CLICK).read_to_end(&mut start).ok()?;
        Some(start)
    };
    is_file
        && start().is_some_and(|start| {
            let row = start.split(|&byte| byte == b'\n').next();
            let tabs = memchr::memchr_iter(b'\t', row.unwrap_or_default()).count();
            SEPARATORS_OF_CLICKS.contains(&tabs)
        })
}

/// A release whose files have other names.
fn renamed(listing: &Listing) -> Option<String> {
    let [ratings, movies] = ["ratings.csv", "movies.csv"].map(|name| {
        let instead = in_place_of(name, &listing.files);
        instead.split('\'').nth(1).map(str::to_owned)
    });
    let (ratings, movies) = (ratings?, movies?);
    (ratings != movies).then(|| {
        format!(
            "it has neither ratings.csv nor movies.csv: if {ratings} and {movies} are these, name \
             them so; other tables are read by --interactions and --items"
        )
    })
}

/// Tables of anybody's.
fn tables(path: &Path, listing: &Listing) -> Option<String> {
    let files = listing.files.iter();
    let tables: Vec<&String> = files.filter(|file| table_end(file).is_some()).collect();
    let size = |file: &str| std::fs::metadata(path.join(file)).map_or(0, |it| it.len());
    let likely = |file: &str| {
        let name = file.to_lowercase();
        INTERACTIONS.iter().any(|word| name.contains(word))
    };
    let most = tables
        .iter()
        .max_by_key(|file| (likely(file), size(file)))?;
    Some(format!(
        "it has tables of another kind ({}): those that are no release's are read by --interactions \
         {}, and --items, --users",
        told_names(&tables),
        path.join(most).display()
    ))
}

fn pictures(listing: &Listing) -> Option<String> {
    let is_picture = |file: &&String| PICTURES.contains(&end_of(file).as_str());
    let count = listing.files.iter().filter(is_picture).count();
    (count > 0).then(|| {
        format!(
            "it looks like a folder of posters ({count} pictures): name the folder of a release, and \
             beside it --posters FILE, a CSV of movieId,poster_path"
        )
    })
}

fn unknown(listing: &Listing) -> String {
    let files = listing.files.iter().map(|it| crate::text::shorten(it));
    let folders = listing.folders.iter();
    let folders = folders.map(|it| format!("{}/", crate::text::shorten(it)));
    format!(
        "it has neither ratings.csv and movies.csv, nor ratings.dat and movies.dat, nor u.data and \
         u.item; in it are {}",
        named(files.chain(folders), super::MOST_NAMED)
    )
}

/// The end of a name behind its last point, in small letters.
fn end_of(name: &str) -> String {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    end.to_lowercase()
}

/// What says that a file is a table, `csv` of `a.csv` or `a.csv.gz`.
fn table_end(name: &str) -> Option<String> {
    let plain = match end_of(name).as_str() {
        "gz" => &name[..name.len() - 3],
        _ => name,
    };
    Some(end_of(plain)).filter(|end| TABLES.contains(&end.as_str()))
}

fn is_called(path: &Path, ends: &[&str]) -> bool {
    let end = path.extension().unwrap_or_default();
    ends.iter().any(|it| end.eq_ignore_ascii_case(it))
}

fn starts_with(path: &Path, magic: &[u8]) -> bool {
    let mut start = vec![0; magic.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == magic
}
