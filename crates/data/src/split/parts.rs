//! Which part each row on disk belongs to, one row after the other.

use super::sampler::{Sampler, Share};
use super::{RandomSplit, SplitPart, TemporalSplit, check_times};
use crate::fingerprint::SplitHasher;
use crate::{DataFingerprint, Error, Rated, RatingsStream, Result};

/// Rows that are sorted by their parts before they are hashed.
const HASHED_AT_A_TIME: u64 = 1 << 16;
/// Bits of a time that are counted at once.
const DIGIT: u32 = 16;

/// How rows on disk are split.
///
/// ```
/// use mmdlrm_data::{DiskSplit, RandomSplit, TemporalSplit};
///
/// assert_eq!(DiskSplit::from(RandomSplit::default()), DiskSplit::default());
/// assert!(matches!(TemporalSplit::default().into(), DiskSplit::Temporal(_)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum DiskSplit {
    /// Each row is as likely held out as any other.
    Random(RandomSplit),
    /// The latest are.
    Temporal(TemporalSplit),
}

impl Default for DiskSplit {
    fn default() -> Self {
        Self::Random(RandomSplit::default())
    }
}

impl From<RandomSplit> for DiskSplit {
    fn from(split: RandomSplit) -> Self {
        Self::Random(split)
    }
}

impl From<TemporalSplit> for DiskSplit {
    fn from(split: TemporalSplit) -> Self {
        Self::Temporal(split)
    }
}

impl DiskSplit {
    /// Which of the rows are trained on, validated on and held out: that of the
    /// [`Split`](crate::Split) of the same draw.
    ///
    /// # Errors
    /// A share that leaves a side empty; what can no longer be read.
    pub fn fingerprint(self, ratings: &RatingsStream) -> Result<DataFingerprint> {
        Parts::new(ratings, self)?.fingerprint(ratings)
    }
}

/// Says of one row after the other which part it belongs to.
#[derive(Clone)]
pub(super) enum Parts {
    Random(Box<Samplers>),
    Temporal {
        /// Rows from these moments on are validated on, and held out.
        validation: Option<u32>,
        test: u32,
        /// How many rows are validated on, and held out.
        rows: (usize, usize),
    },
}

/// What draws rows to hold out, and of the others rows to validate on.
#[derive(Clone)]
pub(super) struct Samplers {
    test: Sampler,
    validation: Option<Sampler>,
}

impl Parts {
    pub fn new(ratings: &RatingsStream, split: DiskSplit) -> Result<Self> {
        match split {
            DiskSplit::Random(split) => Self::at_random(ratings.len(), split),
            DiskSplit::Temporal(split) => Self::latest(ratings, split),
        }
    }

    fn at_random(ratings: usize, split: RandomSplit) -> Result<Self> {
        let test = Share::of_test(split.test_share).sampler(ratings, split.seed)?;
        let others = ratings - test.wanted();
        let validation = split.validation_share.map(|share| {
            // Of the rows that are not held out, one after the other.
            Share::of_validation(share).sampler(others, split.seed)
        });
        Ok(Self::Random(Box::new(Samplers {
            test,
            validation: validation.transpose()?,
        })))
    }

    fn latest(ratings: &RatingsStream, split: TemporalSplit) -> Result<Self> {
        check_times(ratings.has_times())?;
        let all = Times {
            ratings,
            end: None,
            rows: ratings.len(),
        };
        let (test, others) = all.latest(Share::of_test(split.test_share))?;
        let nothing_left = || {
            let rule = "no training row is left: all of them are as late as those held out";
            Error::setting("test share", split.test_share, rule)
        };
        if others.rows == 0 {
            return Err(nothing_left());
        }
        let validation = split.validation_share.map(|share| {
            let (validation, left) = others.latest(Share::of_validation(share))?;
            Ok::<_, Error>((validation, left.rows))
        });
        let validation = validation.transpose()?;
        let trained = validation.map_or(others.rows, |(_, left)| left);
        if trained == 0 {
            return Err(nothing_left());
        }
        Ok(Self::Temporal {
            validation: validation.map(|(moment, _)| moment),
            test,
            rows: (others.rows - trained, ratings.len() - others.rows),
        })
    }

    /// How many rows are validated on, and held out.
    pub fn rows(&self) -> (usize, usize) {
        match self {
            Self::Random(samplers) => {
                let validation = samplers.validation.as_ref();
                let validation = validation.map_or(0, Sampler::wanted);
                (validation, samplers.test.wanted())
            }
            Self::Temporal { rows, .. } => *rows,
        }
    }

    pub fn fingerprint(mut self, ratings: &RatingsStream) -> Result<DataFingerprint> {
        let mut hashed = HashedParts::default();
        match self {
            // What the rows are makes no difference.
            Self::Random(_) => {
                (0..ratings.len()).for_each(|_| hashed.add(self.next(&Rated::default())));
            }
            Self::Temporal { .. } => ratings.for_each(|rated| {
                rated.iter().for_each(|it| hashed.add(self.next(it)));
                Ok::<_, Error>(())
            })?,
        }
        Ok(hashed.finish())
    }

    pub fn next(&mut self, rated: &Rated) -> SplitPart {
        let (is_test, is_validation) = match self {
            Self::Random(samplers) => {
                let is_test = samplers.test.next();
                let others = samplers.validation.as_mut().filter(|_| !is_test);
                (is_test, others.is_some_and(Sampler::next))
            }
            Self::Temporal {
                validation, test, ..
            } => {
                let is_validation = validation.is_some_and(|it| rated.timestamp >= it);
                (rated.timestamp >= *test, is_validation)
            }
        };
        match (is_test, is_validation) {
            (true, _) => SplitPart::Test,
            (_, true) => SplitPart::Validation,
            _ => SplitPart::Train,
        }
    }
}

/// Parts of rows, one row after the other.
#[derive(Default)]
struct HashedParts {
    rows: [Vec<u64>; 3],
    row: u64,
    split: SplitHasher,
}

impl HashedParts {
    fn add(&mut self, part: SplitPart) {
        self.rows[part as usize].push(self.row);
        self.row += 1;
        if self.row.is_multiple_of(HASHED_AT_A_TIME) {
            self.hash();
        }
    }

    fn hash(&mut self) {
        for part in [SplitPart::Train, SplitPart::Validation, SplitPart::Test] {
            self.split.add(part, self.rows[part as usize].drain(..));
        }
    }

    fn finish(mut self) -> DataFingerprint {
        self.hash();
        self.split.finish()
    }
}

/// The times of the rows before a moment.
struct Times<'a> {
    ratings: &'a RatingsStream,
    end: Option<u32>,
    rows: usize,
}

impl<'a> Times<'a> {
    /// The moment from which on a share of them lies, or a little more where several are of that
    /// very second, and those before it.
    fn latest(&self, share: Share) -> Result<(u32, Times<'a>)> {
        let before = self.rows - share.count(self.rows)?;
        let (moment, rows) = self.at(before)?;
        let others = Times {
            ratings: self.ratings,
            end: Some(moment),
            rows,
        };
        Ok((moment, others))
    }

    /// The time before which `rank` of them are, were they sorted, and how many are less: counted
    /// digit by digit, so that none is held.
    fn at(&self, rank: usize) -> Result<(u32, usize)> {
        let high = self.count(|time| Some(time >> DIGIT))?;
        let (digit, before) = digit_of(&high, rank);
        let low = self.count(|time| (time >> DIGIT == digit).then_some(time & 0xffff))?;
        let (last, less) = digit_of(&low, rank - before);
        Ok((digit << DIGIT | last, before + less))
    }

    fn count(&self, digit: impl Fn(u32) -> Option<u32>) -> Result<Vec<usize>> {
        let mut counts = vec![0; 1 << DIGIT];
        self.ratings.for_each(|rated| {
            let times = rated.iter().map(|it| it.timestamp);
            let times = times.filter(|&time| self.end.is_none_or(|end| time < end));
            times
                .filter_map(&digit)
                .for_each(|digit| counts[digit as usize] += 1);
            Ok::<_, Error>(())
        })?;
        Ok(counts)
    }
}

/// The digit of the number before which `rank` are, and how many have a lesser one.
fn digit_of(counts: &[usize], rank: usize) -> (u32, usize) {
    let mut before = 0;
    for (digit, count) in (0..).zip(counts) {
        if before + count > rank {
            return (digit, before);
        }
        before += count;
    }
    (0, before)
}
