//! Ways to hold ratings out.

use clap::ValueEnum;
use mmdlrm::{Error, SplitConfig};

/// What `--split` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    Random,
    Temporal,
    LeaveLastOut,
    ColdUsers,
    ColdMovies,
}

/// Share that is held out where none is named.
const TEST_SHARE: f64 = 0.2;

impl SplitName {
    /// 20 %, or one rating of each user, unless another share or number is named.
    ///
    /// # Errors
    /// A number that the split does not take.
    pub fn config(
        self,
        test_share: Option<f64>,
        leave_out: Option<usize>,
        seed: u64,
    ) -> Result<SplitConfig, Error> {
        let error = |setting, value, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        match (self, test_share, leave_out) {
            (Self::LeaveLastOut, Some(share), _) => {
                let rule = "--split leave-last-out takes a number, --leave-out";
                return error("--test-share", share.to_string(), rule);
            }
            (Self::LeaveLastOut, None, _) | (_, _, None) => {}
            (_, _, Some(count)) => {
                let rule = "only --split leave-last-out takes a number";
                return error("--leave-out", count.to_string(), rule);
            }
        }
        let test_share = test_share.unwrap_or(TEST_SHARE);
        Ok(match self {
            Self::Random => SplitConfig::Random { test_share, seed },
            Self::Temporal => SplitConfig::Temporal { test_share },
            Self::LeaveLastOut => SplitConfig::LeaveLastOut {
                count: leave_out.unwrap_or(1),
            },
            Self::ColdUsers => SplitConfig::ColdUsers { test_share, seed },
            Self::ColdMovies => SplitConfig::ColdMovies { test_share, seed },
        })
    }
}
