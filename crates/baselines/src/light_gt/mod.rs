//! Attention over the movies that a user rated, in each modality.

mod attention;
mod config;
mod encoder;
mod folded;
mod lanes;
mod named;
mod net;
mod nodes;
mod norm;
mod part;
mod positions;
mod rows;
mod sequences;
mod shape;
mod softmax;
mod step;
#[cfg(test)]
mod tests;

use mmdlrm_features::{Features, TrainingData};
use mmdlrm_train::{Fit, Result, Session};
use serde_json::{Value, json};

use crate::memory::Size;
use crate::pairwise::{FactorModel, Net as _};
pub use config::LightGtConfig;
pub use net::LightGtNet;

/// LightGT (Wei et al., SIGIR 2023): a light graph transformer over the posters, plots and other
/// contents of what a user rated.
///
/// With tables `E⁰`, `[users + movies, D]`, and the graph's `Â` of [`LightGcn`](crate::LightGcn),
/// of degrees with 1e-5 more:
///
/// ```text
/// Eˡ  = Â·Eˡ⁻¹,   Êᵏ = (E⁰ + … + Eᵏ) / (k + 1)          positions, without gradient
/// e   = Ê^min(L, G)                                      [users + movies, D]
/// ```
///
/// For each modality `m`, of whose vectors, scaled to length 1, a movie has `f̂ᵢ` (zeros where it
/// has none), and up to `S` of a user's movies:
///
/// ```text
/// fᵢ  = W_m·f̂ᵢ + b_m                                     [D]
/// x⁰  = [own_u, fᵢ₁, …, fᵢₛ]                              [S + 1, D], own_u learned for each user
/// p   = σ(M_m·Êᵏ + c_m)                                   of the user and the movies
/// A_h = softmax((W_q·(x + p) + b_q)·(W_k·(x + p) + b_k)ᵀ / (100·√D))
/// xᵏ  = norm(Σ_h W_o·A_h·(W_v·x + b_v) + b_o)             block k of L, H heads of width D
/// g_m = leakyrelu(W'_m·x^L₀ + b'_m)                       [D], of the user's place
/// ```
///
/// Score and loss, over batches of triples of a user, a movie that the user rated, and one that is
/// not, each rated movie once an epoch:
///
/// ```text
/// s_ui = w·⟨e_u, e_i⟩ + (1 − w)·Σ_m ⟨g_m(u), fᵢ⟩
/// L    = mean softplus(s_uj − s_ui) + λ·(mean(e_U²) + mean(e_I²))
/// ```
///
/// That is the authors' code, to which positions, blocks, scores, losses, gradients and three
/// steps of Adam are held by tests. It differs from the paper's figures: positions go through a
/// sigmoid, attention is divided by 100 more, and the movie that is learned stays in the history
/// that it is learned by ([`LightGtConfig::exclude_target`] leaves it out). Of two modalities the
/// authors' scores have one; here all that there are have a say, unless
/// [`LightGtConfig::visual_only_without_acoustic`].
///
/// Each sample draws other `S` of a user's movies. When it ranks, a longer history is cut to the
/// same `S` of the same movies, drawn by the seed of the training, so that an answer is the same
/// however often it is asked for. A visitor is a node that nobody knew of: `e⁰` of 0, what comes
/// from the neighbours as they stand, and the mean of what users have of their own.
///
/// Modalities are those of the features, whose mean vectors have been subtracted: any
/// [`Modality`](mmdlrm_data::Modality), beside posters and plots, will do.
///
/// ```
/// use mmdlrm_baselines::LightGtConfig;
/// use mmdlrm_data::{Modality, MovieLens, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Session, rank_catalogue};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let movies = movielens.movies.index();
/// let vector = |row: usize| [(row % 3) as f32, (row % 5) as f32];
/// let vectors: Vec<(u32, [f32; 2])> = movies.ids().iter().copied().zip((0..).map(vector)).collect();
/// let vectors = vectors.iter().map(|(movie, vector)| (*movie, &vector[..]));
/// let sound = Modality::standardized("sound", 2, &movies, vectors)?;
/// let dataset = Dataset::new(&movielens, split, vec![sound])?;
/// let mut config = LightGtConfig::default();
/// (config.dim, config.history, config.training.epochs) = (8, 10, 2);
/// let model = config.fit(&dataset, Session::default())?;
/// println!("{:?}", rank_catalogue(&model, &dataset, 10, |_user, _ndcg| Ok(()))?.mean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type LightGt = FactorModel<LightGtNet>;

impl Fit for LightGtConfig {
    type Model = LightGt;

    fn check(&self, features: &Features) -> Result<Value> {
        LightGt::check(self, features)?;
        let modalities = features.modalities().iter();
        let modalities: Vec<Value> = modalities
            .map(|it| json!({ "name": it.name(), "width": it.width() }))
            .collect();
        Ok(json!({
            "users": features.users().len(),
            "items": features.movies().len(),
            "dim": self.dim,
            "history": self.history,
            "blocks": self.blocks,
            "heads": self.heads,
            "modalities": modalities,
        }))
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        LightGt::rows(self, data)
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        LightGtNet::memory(self, Size::of(data))
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<LightGt> {
        LightGt::fit(self, data, session)
    }
}
