/// Values by how much there is of something: the ratings of a movie, of a user.
///
/// ```
/// use mmdlrm_metrics::{Breakdown, Regression};
///
/// // Nothing, 1 or 2, 3 to 9, 10 and more.
/// let mut by_ratings: Breakdown<Regression> = Breakdown::new(&[0, 2, 9]);
/// by_ratings.at(0).add(3.0, 5.0)?;
/// by_ratings.at(7).add(3.0, 4.0)?;
/// let groups: Vec<_> = by_ratings.groups().map(|(name, it)| (name, it.mse())).collect();
/// assert_eq!(groups[0], ("0".to_owned(), Some(4.0)));
/// assert_eq!(groups[1], ("1–2".to_owned(), None));
/// assert_eq!(groups[2], ("3–9".to_owned(), Some(1.0)));
/// assert_eq!(groups[3], ("10 or more".to_owned(), None));
/// # Ok::<(), mmdlrm_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Breakdown<T> {
    /// The highest of each group but the last.
    edges: Vec<u64>,
    groups: Vec<T>,
}

impl<T: Default> Breakdown<T> {
    /// Groups that end at each of `edges`, and one for what lies above.
    pub fn new(edges: &[u64]) -> Self {
        let mut edges = edges.to_vec();
        edges.sort_unstable();
        edges.dedup();
        Self {
            groups: (0..=edges.len()).map(|_| T::default()).collect(),
            edges,
        }
    }

    /// The group that a count is in.
    pub fn at(&mut self, count: u64) -> &mut T {
        let group = self.edges.partition_point(|&edge| edge < count);
        &mut self.groups[group]
    }

    /// Each group with its name, the lowest first.
    pub fn groups(&self) -> impl Iterator<Item = (String, &T)> {
        self.groups.iter().enumerate().map(|(group, value)| {
            let low = match group {
                0 => 0,
                _ => self.edges[group - 1] + 1,
            };
            let name = match self.edges.get(group) {
                None => format!("{low} or more"),
                Some(&high) if high == low => low.to_string(),
                Some(high) => format!("{low}–{high}"),
            };
            (name, value)
        })
    }
}
