//! Whom the catalogue is ranked for.

use clap::Args;
use mmdlrm::RankedUsers;

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Copy, Args)]
pub struct RankingOptions {
    /// Rank the catalogue for so many of the users with held-out ratings, drawn by the seed
    /// [default: all, or 10000 beyond 2 billion pairs of user and movie]
    #[arg(long, value_name = "COUNT", conflicts_with = "no_rank")]
    rank_users: Option<usize>,
    /// Leave ranking out, and its figures
    #[arg(long)]
    no_rank: bool,
}

impl RankingOptions {
    /// As they are called, for [`Idle`](super::Idle).
    pub const NAMES: [&str; 2] = ["rank_users", "no_rank"];
}

impl From<RankingOptions> for RankedUsers {
    fn from(options: RankingOptions) -> Self {
        match options {
            RankingOptions { no_rank: true, .. } => Self::Off,
            RankingOptions {
                rank_users: Some(count),
                ..
            } => Self::Sample(count),
            _ => Self::Auto,
        }
    }
}
