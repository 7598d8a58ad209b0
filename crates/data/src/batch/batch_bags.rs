/// Bags that samples share, such as a user's history once for all samples of that user, or a
/// movie's audience, each sample's less its own rating.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct BatchBags {
    /// Bag of each sample, `[batch]`.
    pub bag_of: Vec<u32>,
    /// `[bags + 1]`: bag `b` has `ids[offsets[b]..offsets[b + 1]]`.
    pub offsets: Vec<u32>,
    /// Ids of all bags: movies of a history, users of an audience, by dense row.
    pub ids: Vec<u32>,
    /// Each rating less the mean and the bias of the id, in stars; empty of bags without
    /// ratings.
    pub deviations: Vec<f32>,
    /// The bias of each sample's user (movie), negative: with it, deviations
    /// become residuals. Without the sample's own rating, `[batch]`; empty of bags without
    /// ratings.
    pub shifts: Vec<f32>,
    /// Where in [`Self::ids`] the sample's own stands, which it leaves out, `[batch]`;
    /// [`Self::WHOLE`] where it is not there.
    pub left_out: Vec<u32>,
}

impl BatchBags {
    /// The position that stands for a bag without the sample's own rating.
    pub const WHOLE: u32 = u32::MAX;

    /// Number of bags.
    pub fn bags(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
}
