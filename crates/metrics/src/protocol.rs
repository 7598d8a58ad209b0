use std::fmt;

use crate::{Gain, RankingMetric};

/// Which items a ranking metric lets compete, and which of them are relevant. The same model
/// has quite other figures under each, so each figure should carry its protocol's name, which
/// is what [`Display`](fmt::Display) writes. What was held out is a third thing that a figure
/// depends on, and whoever held it out says that.
///
/// ```
/// use mmdlrm_metrics::Protocol;
///
/// let protocol = Protocol::SampledNegatives { count: 99 };
/// assert_eq!(protocol.to_string(), "held-out item against 99 sampled others");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// All items but those in the user's training set; what the user rated in the
    /// test set is relevant, by its rating where the metric is graded.
    FullCatalogue,
    /// The same items; relevant is what the user rated in the test set with
    /// [`Protocol::LIKED`] stars or more, all of it alike. A user who gave none so many has no
    /// figure.
    Liked,
    /// The same items; relevant is the one that the user rated last, which alone is held out.
    NextItem,
    /// Items without a training rating alone; what the user rated of them in the test set is
    /// relevant, by its rating. A user who rated none has no figure.
    ColdItems,
    /// The user's own test items alone, by their ratings: which of them the user
    /// would like most, not which the user would find.
    OwnTestItems,
    /// The one item that was held out against sampled others that the user never
    /// rated. Figures are far higher than against all (Krichene and Rendle, 2020).
    SampledNegatives {
        /// How many others.
        count: usize,
    },
    /// Each test rating by itself against all items, the user's other test items
    /// among them.
    OneAtATime,
}

impl Protocol {
    /// Stars from which on an item is liked.
    pub const LIKED: f32 = 4.0;

    /// The metrics that are usual under it, the one to look at first.
    ///
    /// ```
    /// use mmdlrm_metrics::{Gain, Protocol, RankingMetric};
    ///
    /// assert_eq!(Protocol::Liked.metrics(), [RankingMetric::Ndcg(Gain::Binary)]);
    /// ```
    pub fn metrics(&self) -> &'static [RankingMetric] {
        const GRADED: RankingMetric = RankingMetric::Ndcg(Gain::Linear);
        const BINARY: RankingMetric = RankingMetric::Ndcg(Gain::Binary);
        use RankingMetric::{HitRate, Recall, ReciprocalRank};
        match self {
            Self::FullCatalogue => &[GRADED, Recall, HitRate, ReciprocalRank],
            Self::Liked => &[BINARY],
            Self::ColdItems => &[GRADED, Recall],
            Self::OwnTestItems => &[GRADED],
            Self::NextItem | Self::SampledNegatives { .. } | Self::OneAtATime => {
                &[HitRate, BINARY, ReciprocalRank]
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::FullCatalogue => f.write_str("full catalogue less the user's training items"),
            Self::Liked => write!(
                f,
                "full catalogue less the user's training items, those rated {} or more relevant",
                Self::LIKED
            ),
            Self::NextItem => f.write_str(
                "full catalogue less the user's training items, the one rated last relevant",
            ),
            Self::ColdItems => f.write_str("items without a training rating alone"),
            Self::OwnTestItems => f.write_str("the user's own test items"),
            Self::SampledNegatives { count } => {
                write!(f, "held-out item against {count} sampled others")
            }
            Self::OneAtATime => f.write_str("one test rating at a time against all items"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_named_by_what_competes_and_what_is_relevant() {
        let all = "full catalogue less the user's training items";
        for (protocol, name) in [
            (Protocol::FullCatalogue, all.to_owned()),
            (
                Protocol::Liked,
                format!("{all}, those rated 4 or more relevant"),
            ),
            (
                Protocol::NextItem,
                format!("{all}, the one rated last relevant"),
            ),
            (
                Protocol::ColdItems,
                "items without a training rating alone".to_owned(),
            ),
        ] {
            assert_eq!(protocol.to_string(), name);
        }
    }
}
