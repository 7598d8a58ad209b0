//! How the parts of a fingerprint are hashed.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::{DataFingerprint, DataPart};
use crate::{IdMap, SplitPart};

/// Words that are gathered before they are hashed.
const WORDS: usize = 4096;
/// Bytes of a picture that are looked at, beyond its length.
const PICTURE_BYTES: u64 = 256 << 20;

/// Makes a [`DataPart`]: hashes the things of one part, one after the other; how they are cut
/// into calls makes no difference.
///
/// ```
/// use mmdlrm_data::{DataFingerprint, PartHasher};
///
/// let of = |prices: &[u32]| -> DataFingerprint {
///     let mut part = PartHasher::new("prices");
///     part.words(prices.iter().map(|&price| [price]));
///     [part.finish()].into_iter().collect()
/// };
/// let changes = of(&[5, 7]).changes(&of(&[5, 7, 9]));
/// assert_eq!(changes[0].to_string(), "prices: 2 then, 3 now");
/// ```
pub struct PartHasher {
    name: String,
    count: u64,
    hash: Xxh3,
}

impl fmt::Debug for PartHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartHasher")
            .field("name", &self.name)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl PartHasher {
    /// Of the name, and nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        let mut part = Self {
            name: name.into(),
            count: 0,
            hash: Xxh3::new(),
        };
        let name = part.name.clone();
        part.text(&name);
        part
    }

    /// Things of `N` words each.
    pub fn words<const N: usize>(&mut self, things: impl IntoIterator<Item = [u32; N]>) {
        const { assert!(N > 0 && N <= WORDS) };
        let mut buffer = [[0; 4]; WORDS];
        let mut used = 0;
        for thing in things {
            if used + N > WORDS {
                self.hash.update(buffer[..used].as_flattened());
                used = 0;
            }
            let out = &mut buffer[used..used + N];
            for (out, word) in out.iter_mut().zip(thing) {
                *out = word.to_le_bytes();
            }
            used += N;
            self.count += 1;
        }
        self.hash.update(buffer[..used].as_flattened());
    }

    /// One thing.
    pub fn thing(&mut self, words: &[u32]) {
        for word in words {
            self.hash.update(&word.to_le_bytes());
        }
        self.count += 1;
    }

    /// A text, which is not counted.
    pub fn text(&mut self, text: &str) {
        self.hash.update(&(text.len() as u64).to_le_bytes());
        self.hash.update(text.as_bytes());
    }

    /// Counts something else than what was hashed.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count as u64;
        self
    }

    /// The part.
    pub fn finish(mut self) -> DataPart {
        self.hash.update(&self.count.to_le_bytes());
        DataPart {
            name: self.name,
            count: self.count,
            xxh3: format!("{:032x}", self.hash.digest128()),
        }
    }
}

/// Makes the part `ratings` of a [`DataFingerprint`] of ratings as they pass.
#[derive(Debug)]
pub struct RatingsHasher(PartHasher);

impl Default for RatingsHasher {
    fn default() -> Self {
        Self(PartHasher::new("ratings"))
    }
}

impl RatingsHasher {
    /// Of no rating yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ratings in their order: raw user and movie, stars, seconds since 1970.
    pub fn add(&mut self, ratings: impl IntoIterator<Item = (u32, u32, f32, u32)>) {
        let ratings = ratings.into_iter();
        let words = ratings.map(|(user, movie, stars, time)| [user, movie, stars.to_bits(), time]);
        self.0.words(words);
    }

    /// The part.
    pub fn finish(self) -> DataPart {
        self.0.finish()
    }
}

/// Hashes the rows of a split as they are named: those of each [`SplitPart`], in the order in
/// which the type has them.
pub(crate) struct SplitHasher([PartHasher; 3]);

impl Default for SplitHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl SplitHasher {
    pub fn new() -> Self {
        Self(["training rows", "validation rows", "test rows"].map(PartHasher::new))
    }

    /// Rows of one part, ascending.
    pub fn add(&mut self, part: SplitPart, rows: impl IntoIterator<Item = u64>) {
        self.0[part as usize].words(rows.into_iter().map(words_of));
    }

    pub fn finish(self) -> DataFingerprint {
        self.0.map(PartHasher::finish).into_iter().collect()
    }
}

pub(crate) fn words_of(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

fn wide_words_of(number: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|shift| (number >> shift) as u32)
}

/// Raw ids, as they are numbered.
pub(crate) fn of_ids(name: &str, ids: &IdMap) -> DataPart {
    let mut part = PartHasher::new(name);
    part.words(ids.ids().iter().map(|&id| [id]));
    if ids.names().is_some() {
        let rows = 0..ids.len() as u32;
        rows.for_each(|row| part.text(&ids.name(row).unwrap_or_default()));
    }
    part.finish()
}

/// What movies have one of: whose it is, and its hash.
pub(super) fn of_contents(name: &str, mut hashes: Vec<(u32, u128)>) -> DataPart {
    // The order of a file makes no difference.
    hashes.sort_unstable();
    let mut part = PartHasher::new(name);
    part.words(hashes.into_iter().map(|(movie, hash)| {
        let [a, b, c, d] = wide_words_of(hash);
        [movie, a, b, c, d]
    }));
    part.finish()
}

/// `None` of what is no file that can be read.
pub(super) fn hash_of_file(path: &Path) -> Option<u128> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        // A pipe would never end.
        return None;
    }
    let mut hash = Xxh3::new();
    hash.update(&metadata.len().to_le_bytes());
    let mut file = File::open(path).ok()?.take(PICTURE_BYTES);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(hash.digest128()),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
