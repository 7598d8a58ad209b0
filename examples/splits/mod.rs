//! Ways to hold ratings out, by name.

use mmdlrm::{Error, SplitConfig};

/// What `--split` may say.
pub const NAMES: [&str; 5] = [
    "random",
    "temporal",
    "leave-last-out",
    "cold-users",
    "cold-movies",
];

/// Share that is held out where none is named.
const TEST_SHARE: f64 = 0.2;

/// The one of that name: 20 %, or one rating of each user, unless another share or
/// number is named.
///
/// # Errors
/// A number that the split does not take.
pub fn split(
    name: &str,
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
    match (name, test_share, leave_out) {
        ("leave-last-out", Some(share), _) => {
            let rule = "--split leave-last-out takes a number, --leave-out";
            return error("--test-share", share.to_string(), rule);
        }
        ("leave-last-out", None, _) | (_, _, None) => {}
        (_, _, Some(count)) => {
            let rule = "only --split leave-last-out takes a number";
            return error("--leave-out", count.to_string(), rule);
        }
    }
    let test_share = test_share.unwrap_or(TEST_SHARE);
    Ok(match name {
        "temporal" => SplitConfig::Temporal { test_share },
        "leave-last-out" => SplitConfig::LeaveLastOut {
            count: leave_out.unwrap_or(1),
        },
        "cold-users" => SplitConfig::ColdUsers { test_share, seed },
        "cold-movies" => SplitConfig::ColdMovies { test_share, seed },
        _ => SplitConfig::Random { test_share, seed },
    })
}
