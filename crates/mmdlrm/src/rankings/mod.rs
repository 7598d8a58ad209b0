//! How well a model ranks, beside the simple ones: what is held out, which movies compete, and
//! which of them are relevant.

mod baselines;
mod candidates;
mod catalogue;
mod protocols;
mod report;
mod tally;
mod users;

pub(crate) use baselines::Contestants;
pub(crate) use candidates::{figures_of_candidates, rank_candidates};
pub(crate) use catalogue::{Asked, figures_of_users, rank_catalogue};
pub(crate) use protocols::held_out;
#[cfg(feature = "report")]
pub(crate) use report::notes;
pub(crate) use report::write_table;
pub use report::{BaselineFigure, GroupNdcg, RANKING_CUT_OFF, Ranking, RankingFigure, Rankings};
pub(crate) use tally::UserFigures;
pub use users::RankedUsers;
