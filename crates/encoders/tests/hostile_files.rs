//! Pictures of every format, spoiled: each is decoded or refused in one line, soon, and within
//! bounds of memory. libjpeg-turbo-rs panics at some CMYK, which is refused too. `MMDLRM_MUTANTS=100000 cargo test --release -p mmdlrm-encoders --test
//! hostile_files` looks for longer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mmdlrm_encoders::thumbnail;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;
/// What is allocated meanwhile is of one test.
static ALONE: Mutex<()> = Mutex::new(());

/// Of each picture, where nothing else is asked for.
const MUTANTS: u64 = 150;
/// For one picture, however busy the machine is.
const SOON: Duration = Duration::from_secs(120);
/// A picture of 512 MiB as it is decoded, and what is made of it.
const MOST_MEMORY: usize = 1536 << 20;

/// A linear congruential generator: the same mutants everywhere.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        const ODD: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
        match self.below(2) {
            0 => ODD[self.below(ODD.len())],
            _ => self.below(256) as u8,
        }
    }

    /// A picture with a few changes, some near its start, where sizes stand.
    fn mutant(&mut self, whole: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let end = [bytes.len(), bytes.len().min(64)][self.below(2)];
            let at = self.below(end);
            let length = self.below(40).min(bytes.len() - at);
            match self.below(7) {
                0 | 1 => bytes[at] = self.byte(),
                2 => bytes[at] ^= 1 << self.below(8),
                3 => bytes[at..at + length].iter_mut().for_each(|it| *it = 0xff),
                4 => drop(bytes.drain(at..at + length)),
                5 => {
                    let from = self.below(other.len());
                    let part = &other[from..other.len().min(from + length)];
                    bytes.splice(at..at, part.iter().copied());
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/picture");
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap());
    let mut seeds: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, std::fs::read(file.path()).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn look(bytes: &[u8], what: &str) {
    let start = Instant::now();
    ALLOCATED.reset_peak_usage();
    if let Err(error) = thumbnail(bytes, 8) {
        let said = error.to_string();
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
    }
    assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
    let peak = ALLOCATED.peak_usage();
    assert!(peak < MOST_MEMORY, "{what}: {peak} bytes");
}

#[test]
fn a_spoiled_picture_is_decoded_or_refused_within_bounds() {
    let _alone = ALONE.lock();
    let named = std::env::var("MMDLRM_MUTANTS").ok();
    let mutants = named.and_then(|it| it.parse().ok()).unwrap_or(MUTANTS);
    let seeds = seeds();
    for (name, whole) in &seeds {
        assert!(thumbnail(whole, 8).is_ok(), "{name}");
    }
    for number in 0..mutants {
        for (place, (name, whole)) in seeds.iter().enumerate() {
            let mut draws = Draws(number << 8 | place as u64);
            draws.below(1);
            let other = &seeds[draws.below(seeds.len())].1;
            let mutant = draws.mutant(whole, other);
            look(&mutant, &format!("mutant {number} of {name}"));
        }
    }
}

/// Sizes of 60,000 × 60,000 pixels, and of what fits into a limit but not with all that a
/// decoder makes on its way.
#[test]
fn pictures_that_claim_to_be_huge_are_refused() {
    let _alone = ALONE.lock();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/picture");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let put = |mut bytes: Vec<u8>, at: usize, number: &[u8]| {
        bytes[at..at + number.len()].copy_from_slice(number);
        bytes
    };
    let gif = |number: u16| {
        let side = number.to_le_bytes();
        put(put(read("palette.gif"), 6, &side), 8, &side)
    };
    let bmp = |number: u32| {
        let side = number.to_le_bytes();
        put(put(read("palette.bmp"), 18, &side), 22, &side)
    };
    let canvas = |number: u32| {
        let side = (number - 1).to_le_bytes();
        put(put(read("animated.webp"), 24, &side[..3]), 27, &side[..3])
    };
    for (what, bytes) in [
        ("gif", gif(60_000)),
        ("gif", gif(15_000)),
        ("bmp", bmp(60_000)),
        ("bmp", bmp(15_000)),
        ("webp", canvas(60_000)),
        ("webp", canvas(15_000)),
    ] {
        ALLOCATED.reset_peak_usage();
        let before = ALLOCATED.current_usage();
        let said = thumbnail(&bytes, 8).unwrap_err().to_string();
        assert!(said.to_lowercase().contains("limit"), "{what}: {said}");
        let taken = ALLOCATED.peak_usage() - before;
        assert!(taken < 16 << 20, "{what}: {taken} bytes");
    }
}
