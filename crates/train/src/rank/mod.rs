//! Rankings of the whole catalogue, and of candidates, by any models.

mod candidates;
mod catalogue;
mod top_list;

pub use candidates::{CandidateScore, score_candidates};
pub use catalogue::{UserScores, rank_catalogue, rank_users, validation_ndcg};
pub use top_list::TopList;

/// A movie in its place among those that are recommended to a user.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RankedMovie {
    /// Raw user id.
    pub user_id: u32,
    /// Its place, from 1.
    pub rank: u32,
    /// Raw movie id.
    pub movie_id: u32,
    /// Higher is better; comparable within the user alone.
    pub score: f32,
}

impl RankedMovie {
    /// At place `rank`, from 1.
    pub fn new(user_id: u32, rank: u32, movie_id: u32, score: f32) -> Self {
        Self {
            user_id,
            rank,
            movie_id,
            score,
        }
    }
}
