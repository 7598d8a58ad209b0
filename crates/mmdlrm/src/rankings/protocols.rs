//! Which protocols follow from what is held out.

use mmdlrm_metrics::Protocol;

use crate::SplitConfig;

/// What a split holds out, in words.
pub(crate) fn held_out(split: &SplitConfig) -> String {
    let percent = |share: &f64| format!("{} %", (1000.0 * share).round() / 10.0);
    match split {
        SplitConfig::Random { test_share, seed } => {
            format!("{} of the ratings, by seed {seed}", percent(test_share))
        }
        SplitConfig::Temporal { test_share } => {
            format!("the latest {} of the ratings", percent(test_share))
        }
        SplitConfig::LeaveLastOut { count: 1 } => "the last rating of each user".to_owned(),
        SplitConfig::LeaveLastOut { count } => format!("the last {count} ratings of each user"),
        SplitConfig::ColdUsers { test_share, seed } => {
            let share = percent(test_share);
            format!("all ratings of {share} of the users, by seed {seed}")
        }
        SplitConfig::ColdMovies { test_share, seed } => {
            let share = percent(test_share);
            format!("all ratings of {share} of the movies, by seed {seed}")
        }
        SplitConfig::TestRows(path) => format!("the ratings in {}", path.display()),
        SplitConfig::Candidates(path) => {
            format!("the movies held out in {}", path.display())
        }
    }
}

/// Protocols over the catalogue that follow from a split; the first one's figures come first.
/// Where one rating of each user is held out, all of them are of the next item.
pub(super) fn protocols(split: &SplitConfig, has_cold_movies: bool) -> Vec<Protocol> {
    let first = match split {
        SplitConfig::LeaveLastOut { count: 1 } => Protocol::NextItem,
        _ => Protocol::FullCatalogue,
    };
    let mut all = vec![first, Protocol::Liked];
    if has_cold_movies {
        all.push(Protocol::ColdItems);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_says_what_it_holds_out_and_which_protocols_apply() {
        let test_share = 0.25;
        let random = SplitConfig::Random {
            test_share,
            seed: 7,
        };
        assert_eq!(held_out(&random), "25 % of the ratings, by seed 7");
        let temporal = SplitConfig::Temporal { test_share: 0.125 };
        assert_eq!(held_out(&temporal), "the latest 12.5 % of the ratings");
        let last = SplitConfig::LeaveLastOut { count: 1 };
        assert_eq!(held_out(&last), "the last rating of each user");
        assert_eq!(
            protocols(&last, false),
            [Protocol::NextItem, Protocol::Liked]
        );
        let last = SplitConfig::LeaveLastOut { count: 3 };
        assert_eq!(
            protocols(&last, true),
            [
                Protocol::FullCatalogue,
                Protocol::Liked,
                Protocol::ColdItems
            ]
        );
    }
}
