//! Learning from pairs of an item that a user rated and one that the user did not.
//!
//! With the score `s` of a user and an item, over triples of a user `u`, an item `i` that the user
//! rated and another `j` (Bayesian personalized ranking; Rendle et al., 2009):
//!
//! ```text
//! L = mean softplus(s_uj − s_ui) + what a model adds to it,     softplus(x) = ln(1 + eˣ)
//! ```

mod bounds;
mod config;
mod factors;
mod learn;
mod loss;
mod model;
mod tables;
mod triples;

pub(crate) use bounds::{
    AT_LEAST_ONE, DEPTHS, DEPTHS_OR_NONE, HISTORIES, NEIGHBOURS, TIMES, WIDTHS, not_negative,
};
pub use config::PairwiseTraining;
pub use factors::Factors;
pub(crate) use learn::{Pairwise, learn_pairs};
pub(crate) use loss::{Vectors, add_rows, bpr, softplus};
pub use model::{FactorModel, Net};
pub(crate) use tables::Tables;
pub use triples::{Draw, Triples};
