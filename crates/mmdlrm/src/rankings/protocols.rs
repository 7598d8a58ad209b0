//! Which protocols follow from what is held out.

use mmdlrm_data::Target;
use mmdlrm_metrics::Protocol;

use crate::{SplitConfig, Words};

/// What a split holds out, in words.
pub(crate) fn held_out(split: &SplitConfig, words: &Words) -> String {
    let percent = |share: &f64| format!("{} %", (1000.0 * share).round() / 10.0);
    let Words {
        items,
        rating,
        ratings,
        ..
    } = words;
    match split {
        SplitConfig::Random { test_share, seed } => {
            format!("{} of the {ratings}, by seed {seed}", percent(test_share))
        }
        SplitConfig::Temporal { test_share } => {
            format!("the latest {} of the {ratings}", percent(test_share))
        }
        SplitConfig::LeaveLastOut { count: 1 } => format!("the last {rating} of each user"),
        SplitConfig::LeaveLastOut { count } => format!("the last {count} {ratings} of each user"),
        SplitConfig::ColdUsers { test_share, seed } => {
            let share = percent(test_share);
            format!("all {ratings} of {share} of the users, by seed {seed}")
        }
        SplitConfig::ColdMovies { test_share, seed } => {
            let share = percent(test_share);
            format!("all {ratings} of {share} of the {items}, by seed {seed}")
        }
        SplitConfig::TestRows(path) => format!("the {ratings} in {}", path.display()),
        SplitConfig::Candidates(path) => {
            format!("the {items} held out in {}", path.display())
        }
    }
}

/// A protocol, in words: what is liked is told in the scale of the data.
pub(super) fn protocol_in(words: &Words, protocol: Protocol) -> String {
    let told = protocol.to_string();
    match protocol {
        Protocol::Liked if words.target != Target::STARS => {
            let liked = words.target.from_stars(f64::from(words.target.liked()));
            let one = 10f64.powi(words.decimals(2) as i32);
            let liked = (liked * one).round() / one;
            told.replace(&Protocol::LIKED.to_string(), &liked.to_string())
        }
        Protocol::NextItem if words.target.is_probability() => {
            told.replace("the one rated last", "the latest one")
        }
        _ => told,
    }
}

/// Which held-out targets, in stars, are relevant at all: of labels those of 1.
pub(super) fn is_relevant(target: Target, stars: f32) -> bool {
    target != Target::Label || stars >= 1.0
}

/// Protocols over the catalogue that follow from a split; the first one's figures come first.
/// Where one rating of each user is held out, all of them are of the next item.
pub(super) fn protocols(
    split: &SplitConfig,
    has_cold_movies: bool,
    target: Target,
) -> Vec<Protocol> {
    let first = match split {
        SplitConfig::LeaveLastOut { count: 1 } => Protocol::NextItem,
        _ => Protocol::FullCatalogue,
    };
    let mut all = vec![first];
    // What is relevant without a scale is liked.
    if !target.is_probability() {
        all.push(Protocol::Liked);
    }
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
        assert_eq!(
            held_out(&random, &Words::default()),
            "25 % of the ratings, by seed 7"
        );
        let temporal = SplitConfig::Temporal { test_share: 0.125 };
        assert_eq!(
            held_out(&temporal, &Words::default()),
            "the latest 12.5 % of the ratings"
        );
        let last = SplitConfig::LeaveLastOut { count: 1 };
        assert_eq!(
            held_out(&last, &Words::default()),
            "the last rating of each user"
        );
        assert_eq!(
            protocols(&last, false, Target::STARS),
            [Protocol::NextItem, Protocol::Liked]
        );
        let last = SplitConfig::LeaveLastOut { count: 3 };
        assert_eq!(
            protocols(&last, true, Target::STARS),
            [
                Protocol::FullCatalogue,
                Protocol::Liked,
                Protocol::ColdItems
            ]
        );
    }
}
