/// Which ratings on disk are held out, and which validated on: all are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomSplit {
    /// Share held out.
    pub test_share: f64,
    /// Share of the others that are validated on.
    pub validation_share: Option<f64>,
    /// Seed of both draws.
    pub seed: u64,
}

impl Default for RandomSplit {
    /// 20 % held out by seed 42, none validated on.
    fn default() -> Self {
        Self {
            test_share: 0.2,
            validation_share: None,
            seed: 42,
        }
    }
}

/// The same where the latest are held out, and the latest of the others validated on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemporalSplit {
    /// Share held out.
    pub test_share: f64,
    /// Share of the others that are validated on.
    pub validation_share: Option<f64>,
}

impl Default for TemporalSplit {
    /// 20 % held out, none validated on.
    fn default() -> Self {
        Self {
            test_share: 0.2,
            validation_share: None,
        }
    }
}
