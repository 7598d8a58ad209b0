use mmdlrm_data::Shuffle;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Words};

/// Which users with held-out ratings the catalogue is ranked for.
///
/// ```
/// use mmdlrm::RankedUsers;
///
/// assert!(RankedUsers::Sample(100).validate().is_ok());
/// assert!(RankedUsers::Sample(0).validate().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RankedUsers {
    /// All where that is at most [`Self::MOST_PAIRS`] pairs of user and movie, else a sample of
    /// [`Self::USUAL_SAMPLE`]: it depends on the data, and not on how quick the machine is.
    #[default]
    Auto,
    /// All.
    All,
    /// So many, drawn by the seed of the experiment; all where there are no more.
    Sample(usize),
    /// None: nothing is ranked, and there are no figures of it.
    Off,
}

/// Who was drawn.
pub(crate) struct Drawn {
    /// Dense rows, ascending.
    pub users: Vec<u32>,
    /// What they are, as a report says it.
    pub about: String,
}

impl RankedUsers {
    /// Pairs of user and movie up to which [`Self::Auto`] is all users: ml-10m's, not ml-25m's.
    pub const MOST_PAIRS: u64 = 2_000_000_000;
    /// Users of [`Self::Auto`] beyond that.
    pub const USUAL_SAMPLE: usize = 10_000;

    /// Checks that there is somebody in a sample.
    ///
    /// # Errors
    /// A sample of 0.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Sample(0) => Err(Error::Setting {
                setting: "number of users to rank for",
                value: "0".to_owned(),
                rule: "a sample has 1 or more; leave ranking out (--no-rank) to rank for none",
            }),
            _ => Ok(()),
        }
    }

    /// Draws from `all`, dense rows of those with held-out ratings, ascending; `None` where
    /// nothing is ranked.
    pub(crate) fn draw(
        self,
        all: Vec<u32>,
        movies: usize,
        seed: u64,
        words: &Words,
    ) -> Option<Drawn> {
        let ratings = &words.ratings;
        let count = all.len();
        let pairs = count as u64 * movies as u64;
        let wanted = match self {
            Self::Off => return None,
            Self::Sample(wanted) => Some(wanted),
            Self::Auto if pairs > Self::MOST_PAIRS => Some(Self::USUAL_SAMPLE),
            Self::Auto | Self::All => None,
        };
        let everyone = format!("all {count} users with held-out {ratings}");
        Some(match wanted {
            None => Drawn {
                users: all,
                about: everyone,
            },
            Some(wanted) if wanted >= count => Drawn {
                users: all,
                about: format!("{everyone}, of whom a sample of {wanted} was wanted"),
            },
            Some(wanted) => {
                let mut users = Shuffle::new(count, seed).apply(&all);
                users.truncate(wanted);
                users.sort_unstable();
                let about = format!(
                    "a sample of {wanted} of the {count} users with held-out {ratings}, drawn by \
                     seed {seed}"
                );
                Drawn { users, about }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(ranked: RankedUsers, users: u32, movies: usize, seed: u64) -> (Vec<u32>, String) {
        let drawn = ranked
            .draw((0..users).collect(), movies, seed, &Words::default())
            .unwrap();
        (drawn.users, drawn.about)
    }

    #[test]
    fn a_sample_depends_on_the_seed_and_is_called_one() {
        let (users, about) = drawn(RankedUsers::Sample(30), 1000, 9, 1);
        let expected = "a sample of 30 of the 1000 users with held-out ratings, drawn by seed 1";
        assert_eq!(about, expected);
        assert_eq!(users.len(), 30);
        assert!(users.is_sorted_by(|a, b| a < b));
        assert_eq!(drawn(RankedUsers::Sample(30), 1000, 9, 1).0, users);
        assert_ne!(drawn(RankedUsers::Sample(30), 1000, 9, 2).0, users);
    }

    #[test]
    fn a_sample_of_more_than_there_are_is_all_and_said_to_be() {
        let (users, about) = drawn(RankedUsers::Sample(50), 40, 9, 1);
        assert_eq!(users.len(), 40);
        let expected = "all 40 users with held-out ratings, of whom a sample of 50 was wanted";
        assert_eq!(about, expected);
        let all = "all 40 users with held-out ratings";
        assert_eq!(drawn(RankedUsers::All, 40, 9, 1).1, all);
        assert!(
            RankedUsers::Off
                .draw(vec![1], 9, 1, &Words::default())
                .is_none()
        );
    }

    #[test]
    fn what_is_usual_depends_on_the_size_alone() {
        let all = drawn(RankedUsers::Auto, 20_000, 100_000, 1).0;
        assert_eq!(all.len(), 20_000);
        let sample = drawn(RankedUsers::Auto, 20_000, 100_001, 1).0;
        assert_eq!(sample.len(), RankedUsers::USUAL_SAMPLE);
        let all = drawn(RankedUsers::All, 20_000, 100_001, 1).0;
        assert_eq!(all.len(), 20_000);
    }
}
