//! Made-up click logs, of which it is known how likely each click was.

use std::io::{BufWriter, Write};
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::categories::spread;
use super::rows::MISSING;
use super::{CATEGORIES, ClickRow, NUMBERS};
use crate::cache::beside;
use crate::{Error, Result};

/// A click log of any length in which clicks depend on numbers, categories and pairs of
/// categories in a way that is known: [`Self::probability`] says how likely a row's click was,
/// and no model ranks rows better than that.
///
/// The same settings give the same bytes, on any machine and with any number of threads.
///
/// ```
/// use mmdlrm_data::clicks::{ClickLog, ClickLogConfig, PlantedClicks};
/// use mmdlrm_data::SplitPart;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("clicks.txt");
/// let planted = PlantedClicks { rows: 700, ..PlantedClicks::default() };
/// planted.write(&path, |_| {})?;
/// let log = ClickLog::open(&ClickLogConfig {
///     files: vec![path],
///     days: Some(7),
///     ..ClickLogConfig::default()
/// })?;
/// log.for_each(SplitPart::Test, |rows| {
///     let likely = rows.iter().map(|row| planted.probability(&row));
///     assert!(likely.into_iter().all(|p| p > 0.0 && p < 1.0));
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantedClicks {
    /// Number of rows.
    pub rows: u64,
    /// Most distinct values of a category.
    pub values: u32,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for PlantedClicks {
    /// A million rows, 100 values, seed 42.
    fn default() -> Self {
        Self::with_rows(1_000_000)
    }
}

/// Rows that are drawn together.
const CHUNK: u64 = 16 << 10;
/// Distinct values of Criteo's categories.
const VALUES: [u32; CATEGORIES] = [
    1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194,
    27, 14_992, 5_461_306, 10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];
/// In so many of 100 rows a number is missing, the mean of its logarithm and how far it is
/// spread, about as in Criteo's.
const SHAPES: [(u32, f64, f64); NUMBERS] = [
    (45, 1.0, 1.0),
    (0, 2.0, 2.0),
    (21, 2.0, 1.2),
    (22, 1.6, 1.0),
    (3, 8.0, 2.0),
    (22, 3.5, 1.5),
    (4, 1.8, 1.4),
    (0, 2.0, 1.0),
    (4, 4.0, 1.2),
    (45, 0.3, 0.4),
    (4, 0.8, 0.8),
    (77, 0.2, 0.5),
    (22, 1.7, 1.1),
];
/// Pairs of categories that mean something together.
const PAIRS: [(usize, usize); 6] = [(5, 8), (13, 16), (21, 22), (16, 19), (1, 5), (7, 24)];
/// Numbers of the vectors whose product is what a pair means.
const TRAITS: u64 = 4;
/// Log odds of a click where nothing speaks for or against it.
const BIAS: f64 = -1.5;

impl PlantedClicks {
    /// Of so many rows, 100 values, seed 42.
    pub const fn with_rows(rows: u64) -> Self {
        Self {
            rows,
            values: 100,
            seed: 42,
        }
    }

    /// Writes the log to a file that must not be there yet; `progress` is told of rows as they
    /// are written.
    ///
    /// # Errors
    /// No rows or no values; a file that is there, or cannot be written.
    pub fn write(&self, path: &Path, mut progress: impl FnMut(u64)) -> Result<()> {
        for (setting, value) in [("rows", self.rows), ("values", u64::from(self.values))] {
            if value == 0 {
                return Err(Error::setting(setting, value, "it must be 1 or more"));
            }
        }
        if path.exists() {
            return Err(Error::Occupied {
                path: path.to_owned(),
                problem: "is there already",
            });
        }
        let file = beside(path)?;
        let mut out = BufWriter::new(file);
        let chunks = self.rows.div_ceil(CHUNK);
        let at_a_time = 4 * rayon::current_num_threads() as u64;
        let mut first = 0;
        while first < chunks {
            let some = first..(first + at_a_time).min(chunks);
            first = some.end;
            let texts: Vec<(Vec<u8>, u64)> =
                some.into_par_iter().map(|it| self.chunk(it)).collect();
            for (text, rows) in texts {
                out.write_all(&text).map_err(Error::write(path))?;
                progress(rows);
            }
        }
        let file = out.into_inner();
        let file = file.map_err(|error| Error::write(path)(error.into_error()))?;
        let placed = file.persist_noclobber(path);
        placed.map_err(|error| Error::write(path)(error.error))?;
        Ok(())
    }

    /// How likely the click of a row was.
    pub fn probability(&self, row: &ClickRow) -> f64 {
        let (numbers, values, missing) = row.raw();
        let mut odds = BIAS;
        for (at, (&number, (_, mean, deviation))) in numbers.iter().zip(SHAPES).enumerate() {
            let log = libm::log1p(f64::from(number.max(0)));
            // A number that is missing is as good as 0.
            let log = if number == MISSING { 0.0 } else { log };
            odds += 0.2 * self.draw([1, at as u64, 0]) * (log - mean) / deviation;
        }
        let there = |at: usize| missing >> at & 1 == 0;
        let value = |at: usize| u64::from(values[at]);
        for at in (0..CATEGORIES).filter(|&at| there(at)) {
            odds += 0.15 * self.draw([2, at as u64, value(at)]);
        }
        for (a, b) in PAIRS.into_iter().filter(|&(a, b)| there(a) && there(b)) {
            for number in 0..TRAITS {
                let of = |at: usize| self.draw([3 + number, at as u64, value(at)]);
                odds += 0.15 * of(a) * of(b);
            }
        }
        1.0 / (1.0 + libm::exp(-odds))
    }

    /// A number that belongs to some others: about normal, of mean 0 and variance 1.
    fn draw(&self, of: [u64; 3]) -> f64 {
        let bits = of
            .into_iter()
            .fold(self.seed, |bits, it| spread(bits ^ it).rotate_left(17));
        // Four even numbers of 16 bits each.
        let words = [0, 16, 32, 48].map(|shift| (bits >> shift & 0xffff) as f64 / 65_535.0 - 0.5);
        words.iter().sum::<f64>() * 3f64.sqrt()
    }

    /// The text of some rows, and how many they are.
    fn chunk(&self, chunk: u64) -> (Vec<u8>, u64) {
        let rows = CHUNK.min(self.rows - chunk * CHUNK);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(chunk);
        let mut text = Vec::with_capacity(rows as usize * 260);
        for _ in 0..rows {
            self.row(&mut random, &mut text);
        }
        (text, rows)
    }

    fn row(&self, random: &mut ChaCha8Rng, text: &mut Vec<u8>) {
        let numbers = SHAPES.map(|(missing, mean, deviation)| {
            let even: [f64; 4] = random.random();
            let normal = (even.iter().sum::<f64>() - 2.0) * 3f64.sqrt();
            match random.random_range(0..100) < missing {
                true => MISSING,
                false => libm::expm1((mean + deviation * normal).max(-0.5)) as i32,
            }
        });
        let mut missing = 0u32;
        let categories: [u32; CATEGORIES] = std::array::from_fn(|at| {
            let values = VALUES[at].min(self.values);
            // Values are as frequent as 1 / rank has it.
            let rank = libm::pow(f64::from(values) + 1.0, random.random()) as u32;
            if VALUES[at] > 1_000_000 && random.random_range(0..100) < 4 {
                missing |= 1 << at;
                return 0;
            }
            spread(spread(self.seed ^ at as u64) ^ u64::from(rank)) as u32
        });
        let mut row = ClickRow::of(&numbers, &categories, missing);
        row.label = random.random_bool(self.probability(&row));
        let mut buffer = itoa::Buffer::new();
        text.push(b'0' + u8::from(row.label));
        for number in numbers {
            text.push(b'\t');
            if number != MISSING {
                text.extend_from_slice(buffer.format(number).as_bytes());
            }
        }
        for (at, category) in categories.into_iter().enumerate() {
            text.push(b'\t');
            if missing >> at & 1 == 0 {
                text.extend(
                    (0..8).rev().map(|nibble| {
                        b"0123456789abcdef"[(category >> (4 * nibble) & 15) as usize]
                    }),
                );
            }
        }
        text.push(b'\n');
    }
}
