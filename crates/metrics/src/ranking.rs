/// Streaming mean of a ranking metric, one value a user.
///
/// ```
/// use mmdlrm_metrics::Ranking;
///
/// let mut ndcg = Ranking::default();
/// ndcg.add(1.0);
/// ndcg.add(0.5);
/// assert_eq!(ndcg.mean(), Some(0.75));
/// assert_eq!(ndcg.users(), 2);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ranking {
    users: u64,
    sum: f64,
}

impl Ranking {
    /// Adds one user's value.
    pub fn add(&mut self, value: f64) {
        self.users += 1;
        self.sum += value;
    }

    /// Adds everything another accumulator has seen.
    pub fn merge(&mut self, other: &Self) {
        self.users += other.users;
        self.sum += other.sum;
    }

    /// Number of users seen.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// Mean over users; `None` before the first.
    pub fn mean(&self) -> Option<f64> {
        (self.users > 0).then(|| self.sum / self.users as f64)
    }
}
