use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::block::{ClickBlock, Picked, schema};
use super::categories::{Categories, ClickEncoder, Counting, MOST_VALUES};
use super::days::{Parts, check_days};
use super::rows::ClickRows;
use super::scan::{ClickSummary, LogFile, Scanned, scan, scan_all};
use super::{CATEGORIES, file};
use crate::fingerprint::words_of;
use crate::{
    BatchSchema, Batches, DataFingerprint, DataPart, Modality, PartHasher, Result, Samples,
    SplitPart,
};

/// Rows whose order is drawn together, 40 MB of them.
const WINDOW: usize = 1 << 18;

/// Which rows there are, how they are divided, and what becomes of their categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickLogConfig {
    /// Files in the order of time: text with tabs (`.gz` where it is compressed), or `.parquet`.
    pub files: Vec<PathBuf>,
    /// Days of equal numbers of rows that all files together are cut into; `None` where each
    /// file is a day.
    pub days: Option<usize>,
    /// What becomes of the values of categories.
    pub categories: Categories,
    /// Whether the rows stay on disk and are read again for each epoch; else they are kept in
    /// memory, 160 bytes each. What is learned is the same.
    pub stream: bool,
}

impl Default for ClickLogConfig {
    /// No files, each a day, in memory.
    fn default() -> Self {
        Self {
            files: Vec::new(),
            days: None,
            categories: Categories::default(),
            stream: false,
        }
    }
}

impl ClickLogConfig {
    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// No files; a number of days of which none can be held out; as [`Categories::validate`].
    pub fn validate(&self) -> Result<()> {
        check_days(self.files.len(), self.days)?;
        self.categories.validate()
    }
}

/// A click log whose last day is held out: the first half of it, rounded up, to test on, as
/// facebookresearch/dlrm has it, and the other to choose the best epoch by.
///
/// An epoch goes through the other days in the order of time, as a log grows, and draws the order
/// of 262,144 rows at a time.
///
/// | column | holds |
/// | --- | --- |
/// | `C1` … `C26` | a row of the category's table: 0 where there is no value, 1 where the training rows have none like it |
/// | `dense` | `ln(1 + max(x, 0))` of I1 … I13, 0 where there is none |
///
/// [`Batch::stars`](crate::Batch::stars) has the labels, 1 for a click.
#[derive(Debug)]
pub struct ClickLog {
    files: Vec<LogFile>,
    encoder: Arc<ClickEncoder>,
    schema: BatchSchema,
    summary: ClickSummary,
    contents: DataPart,
    parts: Parts,
    /// Where rows are kept, the blocks of each part.
    kept: Option<[Vec<Arc<ClickBlock>>; 3]>,
}

impl ClickLog {
    /// Goes through all rows once: finds out whether they can be used, and numbers the values of
    /// categories by the training rows. Goes through them once more where they are to be kept.
    ///
    /// # Errors
    /// A file that cannot be read; the first row that cannot be used, by file, line and column;
    /// labels of which all are 0, or all 1; fewer than two days; more values of a category than
    /// can be counted.
    pub fn open(config: &ClickLogConfig) -> Result<Self> {
        config.validate()?;
        let mut counting = Counting::new(config.categories, MOST_VALUES);
        let scanned = scan(config, Some(&mut counting))?;
        Self::of_days(config, scanned, counting.finish())
    }

    /// The same rows with values numbered as they were before: of a model that is trained.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(config: &ClickLogConfig, encoder: ClickEncoder) -> Result<Self> {
        config.validate()?;
        Self::of_days(config, scan(config, None)?, encoder)
    }

    /// All rows of some files to test on, and none to learn from, whose values are numbered as
    /// they were before. They stay on disk.
    ///
    /// # Errors
    /// As [`Self::open`], but for days.
    pub fn open_to_test(files: &[PathBuf], encoder: ClickEncoder) -> Result<Self> {
        let config = ClickLogConfig {
            files: files.to_vec(),
            stream: true,
            ..ClickLogConfig::default()
        };
        let scanned = scan_all(&config)?;
        let all = scanned.summary.rows.iter().sum();
        Self::of(&config, Parts([0..0, 0..0, 0..all]), scanned, encoder)
    }

    fn of_days(config: &ClickLogConfig, scanned: Scanned, encoder: ClickEncoder) -> Result<Self> {
        let parts = Parts::new(&scanned.summary.rows, config.days)?;
        Self::of(config, parts, scanned, encoder)
    }

    fn of(
        config: &ClickLogConfig,
        parts: Parts,
        scanned: Scanned,
        encoder: ClickEncoder,
    ) -> Result<Self> {
        let mut log = Self {
            files: scanned.files,
            schema: schema(&encoder)?,
            encoder: Arc::new(encoder),
            parts,
            summary: scanned.summary,
            contents: scanned.contents,
            kept: None,
        };
        if !config.stream {
            log.keep()?;
        }
        Ok(log)
    }

    /// What was found among the rows.
    pub fn summary(&self) -> &ClickSummary {
        &self.summary
    }

    /// What the values of categories become.
    pub fn encoder(&self) -> &ClickEncoder {
        &self.encoder
    }

    /// Hands out the rows of a part as they are written, some at a time.
    ///
    /// # Errors
    /// A file that can no longer be read, or was changed.
    pub fn for_each(&self, part: SplitPart, mut take: impl FnMut(&ClickRows)) -> Result<()> {
        self.source().rows(self.parts.of(part), &mut |rows, range| {
            take(&rows.cut(range));
            Ok(ControlFlow::Continue(()))
        })
    }

    fn source(&self) -> RowSource {
        RowSource {
            files: self.files.clone(),
        }
    }

    /// Reads all rows, on all threads, to be kept.
    fn keep(&mut self) -> Result<()> {
        let (mut kept, mut building) = ([const { Vec::new() }; 3], [const { None }; 3]);
        let mut before = 0;
        for file in &self.files {
            file.check()?;
            let encoder = &self.encoder;
            let encode = |rows: ClickRows| ClickBlock::of(&rows, 0..rows.len(), encoder);
            file::for_each_on_all(&file.path, encode, |block| {
                for (part, range) in self.parts.0.iter().enumerate() {
                    let own = own_rows(range, before, block.len());
                    append(
                        &mut building[part],
                        &mut kept[part],
                        range.len(),
                        &block,
                        own,
                    );
                }
                before += block.len();
                Ok(())
            })?;
        }
        for (building, kept) in building.into_iter().zip(&mut kept) {
            kept.extend(building);
        }
        self.kept = Some(kept.map(|blocks| blocks.into_iter().map(Arc::new).collect()));
        Ok(())
    }

    /// The blocks of a part, one after another, those before number `first` left out.
    fn blocks(&self, part: SplitPart, first: usize) -> Blocks {
        let range = self.parts.of(part);
        match &self.kept {
            Some(kept) => {
                Blocks::Kept(kept[part as usize][first.min(kept[part as usize].len())..].to_vec())
            }
            None => Blocks::Read {
                source: self.source(),
                encoder: Arc::clone(&self.encoder),
                range: (range.start + first * WINDOW).min(range.end)..range.end,
            },
        }
    }

    /// Batches of a part without its `passed` first rows; `seed` draws the order, where there is one.
    fn batches(&self, part: SplitPart, size: usize, passed: usize, seed: Option<u64>) -> Batches {
        let size = size.max(1);
        let rows = self.parts.of(part).len();
        let passed = passed.min(rows);
        let first = passed / WINDOW;
        let blocks = self.blocks(part, first);
        let schema = self.schema.clone();
        let feed = move |take: &mut dyn FnMut(Picked) -> bool| {
            let (mut number, mut picked) = (first, Picked::default());
            let mut skipped = passed - first * WINDOW;
            blocks.for_each(&mut |block| {
                let mut order: Vec<u32> = (0..block.len() as u32).collect();
                if let Some(seed) = seed {
                    order.shuffle(&mut random(seed, number));
                }
                number += 1;
                let mut rest = &order[skipped.min(order.len())..];
                skipped = 0;
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(rest.len().min(size - picked.len()));
                    picked.add(&block, now);
                    rest = later;
                    if picked.len() == size && !take(std::mem::take(&mut picked)) {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if picked.len() > 0 {
                take(picked);
            }
            Ok(())
        };
        Batches::new(rows - passed, feed, move |_number, picked: Picked| {
            picked.batch(&schema)
        })
    }
}

/// The random numbers of a window of an epoch.
fn random(seed: u64, window: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(window as u64);
    random
}

/// Which of `count` rows, of which `before` come before, lie within `range`.
fn own_rows(range: &Range<usize>, before: usize, count: usize) -> Range<usize> {
    let start = range.start.clamp(before, before + count);
    let end = range.end.clamp(start, before + count);
    start - before..end - before
}

/// Adds rows of a block to the one that is being built, which is moved to `done` when it is full.
fn append(
    building: &mut Option<ClickBlock>,
    done: &mut Vec<ClickBlock>,
    rows_of_part: usize,
    block: &ClickBlock,
    mut own: Range<usize>,
) {
    while !own.is_empty() {
        let room = rows_of_part - done.len() * WINDOW;
        let target = building.get_or_insert_with(|| ClickBlock::with_capacity(room.min(WINDOW)));
        let now = own.start..own.end.min(own.start + WINDOW - target.len());
        target.add(block, now.clone());
        own.start = now.end;
        if target.len() == WINDOW {
            done.extend(building.take());
        }
    }
}

/// Files whose rows are read again.
#[derive(Debug, Clone)]
struct RowSource {
    files: Vec<LogFile>,
}

/// Takes some rows, of which those in the range are wanted.
type TakeRows<'a> = dyn FnMut(ClickRows, Range<usize>) -> Result<ControlFlow<()>> + 'a;

impl RowSource {
    /// Hands out the rows of `wanted` on the thread that asks.
    fn rows(&self, wanted: Range<usize>, take: &mut TakeRows) -> Result<()> {
        let mut before = 0;
        for file in &self.files {
            let of_file = before..before + file.rows;
            let mut at = before;
            before = of_file.end;
            if of_file.end <= wanted.start {
                continue;
            }
            if of_file.start >= wanted.end {
                break;
            }
            file.check()?;
            let mut broke = false;
            file::for_each(&file.path, &mut |rows| {
                let (first, count) = (at, rows.len());
                at += count;
                let own = own_rows(&wanted, first, count);
                if !own.is_empty() && take(rows, own)?.is_break() {
                    broke = true;
                }
                Ok(!broke && at < wanted.end)
            })?;
            if broke {
                break;
            }
        }
        Ok(())
    }
}

/// Blocks that are kept, or read as they are asked for.
enum Blocks {
    Kept(Vec<Arc<ClickBlock>>),
    Read {
        source: RowSource,
        encoder: Arc<ClickEncoder>,
        range: Range<usize>,
    },
}

impl Blocks {
    fn for_each(
        self,
        take: &mut dyn FnMut(Arc<ClickBlock>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Self::Kept(blocks) => {
                for block in blocks {
                    if take(block)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Read {
                source,
                encoder,
                range,
            } => {
                let rows_of_part = range.len();
                let (mut building, mut done, mut handed) = (None, Vec::new(), 0);
                source.rows(range, &mut |rows, own| {
                    let block = ClickBlock::of(&rows, own, &encoder);
                    let all = 0..block.len();
                    append(&mut building, &mut done, rows_of_part - handed, &block, all);
                    for block in done.drain(..) {
                        handed += block.len();
                        if take(Arc::new(block))?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                match building {
                    Some(last) => take(Arc::new(last)).map(|_| ()),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Samples for ClickLog {
    fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    fn modalities(&self) -> &[Modality] {
        &[]
    }

    fn rows(&self, part: SplitPart) -> usize {
        self.parts.of(part).len()
    }

    fn training_batches_from(&self, size: usize, seed: u64, first: usize) -> Batches {
        let passed = first.saturating_mul(size.max(1));
        self.batches(SplitPart::Train, size, passed, Some(seed))
    }

    fn batches(&self, part: SplitPart, size: usize) -> Batches {
        self.batches(part, size, 0, None)
    }

    fn fingerprint(&self) -> DataFingerprint {
        let mut parts = PartHasher::new("parts of the log");
        parts.words(self.parts.0.iter().map(|range| {
            let [start, end] = [range.start, range.end].map(|at| words_of(at as u64));
            [start[0], start[1], end[0], end[1]]
        }));
        let mut tables = PartHasher::new("values of categories");
        for part in self.encoder.to_parts() {
            match part {
                Ok(values) => tables.thing(values),
                Err(rows) => tables.thing(&[rows]),
            }
        }
        [self.contents.clone(), parts.finish(), tables.finish()]
            .into_iter()
            .collect()
    }
}

const _: () = assert!(
    CATEGORIES <= 32,
    "a bit of a word for each says whether it is missing"
);
