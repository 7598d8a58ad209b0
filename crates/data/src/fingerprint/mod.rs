//! Which data something was made from.

mod hash;
mod tables;

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::{Poster, Summary};
pub use hash::{PartHasher, RatingsHasher};
pub(crate) use hash::{SplitHasher, words_of};
use hash::{hash_of_file, of_contents};

/// Raised when the same data come to other hashes: fingerprints of two formats cannot be
/// compared.
const FORMAT: u32 = 1;

/// Which data something was made from: parts with names, each with how many there were and
/// a hash of all of them. Equal fingerprints mean the very same data, to the last star.
///
/// What is hashed are numbers in little-endian order and texts behind their lengths, in a
/// format that is the same on every machine and for every version that reads it. Ratings
/// that are streamed and ratings in memory have the same fingerprint.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let before = MovieLens::open(&folder)?.fingerprint();
///
/// let path = folder.join("ratings.csv");
/// let text = std::fs::read_to_string(&path)?;
/// let last = text.trim_end().rfind('\n').unwrap_or(0);
/// std::fs::write(&path, &text[..=last])?;
/// let changes = before.changes(&MovieLens::open(&folder)?.fingerprint());
/// assert_eq!(changes[0].to_string(), "ratings: 300 then, 299 now");
///
/// let split = Split::random(300, 0.2, 42)?;
/// assert_eq!(split.fingerprint().changes(&split.fingerprint()), []);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DataFingerprint {
    parts: Vec<DataPart>,
}

/// One part of a [`DataFingerprint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPart {
    name: String,
    count: u64,
    xxh3: String,
}

/// A part that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataChange {
    /// Name of the part: `ratings`, `posters`, `test rows`.
    pub name: String,
    /// How many there were; `None` of a part that was not used.
    pub before: Option<u64>,
    /// How many there are now; `None` of a part that is no longer used.
    pub now: Option<u64>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    parts: Vec<DataPart>,
}

impl From<DataFingerprint> for Stored {
    fn from(fingerprint: DataFingerprint) -> Self {
        Self {
            format: FORMAT,
            parts: fingerprint.parts,
        }
    }
}

impl TryFrom<Stored> for DataFingerprint {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        match stored.format {
            FORMAT => Ok(Self {
                parts: stored.parts,
            }),
            other => Err(format!(
                "the fingerprint of the data has format {other}, and this version compares format \
                 {FORMAT}; use the version that wrote it"
            )),
        }
    }
}

impl DataFingerprint {
    /// Of posters: whose they are, and the bytes of each picture. One that cannot be read
    /// counts as missing.
    pub fn of_posters(posters: &[Poster]) -> Self {
        let hashes = posters.par_iter().map(|poster| hash_of_file(&poster.path));
        let hashes: Vec<Option<u128>> = hashes.collect();
        let read = posters.iter().zip(hashes);
        let read = read.filter_map(|(poster, hash)| Some((poster.movie_id, hash?)));
        Self {
            parts: vec![of_contents("posters", read.collect())],
        }
    }

    /// Of plots: whose they are, and what they say.
    pub fn of_plots(plots: &[Summary]) -> Self {
        let hashes = plots.iter();
        let hashes = hashes.map(|plot| (plot.movie_id, xxh3_128(plot.text.as_bytes())));
        Self {
            parts: vec![of_contents("plots", hashes.collect())],
        }
    }

    /// The parts, in the order in which they are told of.
    pub fn parts(&self) -> &[DataPart] {
        &self.parts
    }

    /// The parts of `other` too.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// What is not the same `now`, part by part.
    pub fn changes(&self, now: &Self) -> Vec<DataChange> {
        let change = |name: &str| {
            let (before, now) = (self.part(name), now.part(name));
            (before != now).then(|| DataChange {
                name: name.to_owned(),
                before: before.map(|part| part.count),
                now: now.map(|part| part.count),
            })
        };
        let gone = self.parts.iter();
        let added = now.parts.iter();
        let added = added.filter(|part| self.part(&part.name).is_none());
        gone.chain(added)
            .filter_map(|part| change(&part.name))
            .collect()
    }

    /// A hash of the whole, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut digest = PartHasher::new("fingerprint");
        for DataPart { name, count, xxh3 } in &self.parts {
            digest.text(name);
            digest.thing(&words_of(*count));
            digest.text(xxh3);
        }
        digest.finish().xxh3
    }

    fn part(&self, name: &str) -> Option<&DataPart> {
        self.parts.iter().find(|part| part.name == name)
    }
}

impl FromIterator<DataPart> for DataFingerprint {
    fn from_iter<T: IntoIterator<Item = DataPart>>(parts: T) -> Self {
        Self {
            parts: parts.into_iter().collect(),
        }
    }
}

impl DataPart {
    /// Of numbers of one's own.
    pub fn of_words(name: &str, words: impl IntoIterator<Item = u32>) -> Self {
        let mut part = PartHasher::new(name);
        part.words(words.into_iter().map(|word| [word]));
        part.finish()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many there are of it.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for DataChange {
    /// `ratings: 100,836 then, 100,835 now`, or `posters: 12 then and now, but others`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: Option<u64>| count.map_or("none".to_owned(), with_commas);
        let (before, now) = (number(self.before), number(self.now));
        match before == now {
            true => write!(f, "{}: {now} then and now, but others", self.name),
            false => write!(f, "{}: {before} then, {now} now", self.name),
        }
    }
}

/// 100836 as `100,836`.
pub(crate) fn with_commas(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
