use std::fmt;

/// Which items a ranking metric lets compete. The same model has quite other
/// figures under each, so each figure should carry its protocol's name, which is
/// what [`Display`](fmt::Display) writes.
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
    /// test set is relevant.
    FullCatalogue,
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

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::FullCatalogue => f.write_str("full catalogue less the user's training items"),
            Self::OwnTestItems => f.write_str("the user's own test items"),
            Self::SampledNegatives { count } => {
                write!(f, "held-out item against {count} sampled others")
            }
            Self::OneAtATime => f.write_str("one test rating at a time against all items"),
        }
    }
}
