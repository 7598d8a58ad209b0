//! Ways to hold ratings out, by name.

use mmdlrm::SplitConfig;

/// What `--split` may say.
pub const NAMES: [&str; 5] = [
    "random",
    "temporal",
    "leave-last-out",
    "cold-users",
    "cold-movies",
];

/// The one of that name; each takes of the numbers what it needs.
pub fn split(name: &str, test_share: f64, leave_out: usize, seed: u64) -> SplitConfig {
    match name {
        "temporal" => SplitConfig::Temporal { test_share },
        "leave-last-out" => SplitConfig::LeaveLastOut { count: leave_out },
        "cold-users" => SplitConfig::ColdUsers { test_share, seed },
        "cold-movies" => SplitConfig::ColdMovies { test_share, seed },
        _ => SplitConfig::Random { test_share, seed },
    }
}
