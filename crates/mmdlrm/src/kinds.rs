//! Which models a saved run can be of.

use std::collections::BTreeMap;
use std::fmt;

use mmdlrm_baselines::{
    BayesianFactorization, BiasModel, Bm3, BprMf, Ease, Freedom, GaussianProcess, Ials, Knn,
    KnnRater, LightGcn, LightGt, MatrixFactorization, Pea, Popularity, Vbpr,
};
use mmdlrm_features::Known;
use mmdlrm_model::Dlrm;
use mmdlrm_train::{NextItemRanker, Persist, Ranker, Scorer};

use crate::{BestModel, TwoStageModel};

/// Reads a model's file, given what is known of the data that it was trained on.
pub(crate) type Load = fn(&[u8], &Known) -> mmdlrm_train::Result<Box<dyn Ranker>>;

/// Kinds of models that a saved run can be opened with: [`Dlrm`], [`Best`](crate::Best)'s,
/// [`NextItemRanker`], those of [`baselines`](crate::baselines), and whatever else
/// [joins](Self::with).
///
/// ```
/// use mmdlrm::baselines::EaseConfig;
/// use mmdlrm::data::generate::GeneratorConfig;
/// use mmdlrm::{
///     Experiment, ExperimentConfig, Kinds, Preset, Query, Recommender, Silent, Source,
/// };
///
/// # let folder = tempfile::tempdir()?;
/// let config = ExperimentConfig {
///     source: Source::Sample(GeneratorConfig::tiny()),
///     preset: Preset::Dlrm,
///     out: folder.path().join("run"),
///     ..ExperimentConfig::default()
/// };
/// Experiment::new(config.clone())?.fit(&EaseConfig::default(), &mut Silent)?;
///
/// assert!(Kinds::default().names().any(|name| name == "ease"));
/// let recommender = Recommender::load(&config.out, &mut Silent)?;
/// let user = recommender.user_ids()[0];
/// assert_eq!(recommender.recommend(user, &Query::default())?.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Kinds(BTreeMap<&'static str, Load>);

impl Default for Kinds {
    fn default() -> Self {
        Self(BTreeMap::new())
            .with::<Scorer<Dlrm>>()
            .with::<BestModel>()
            .with::<TwoStageModel>()
            .with::<GaussianProcess>()
            .with::<BiasModel>()
            .with::<KnnRater>()
            .with::<MatrixFactorization>()
            .with::<BayesianFactorization>()
            .with::<Ease>()
            .with::<Popularity>()
            .with::<Knn>()
            .with::<Ials>()
            .with::<BprMf>()
            .with::<LightGcn>()
            .with::<LightGt>()
            .with::<Pea>()
            .with::<Vbpr>()
            .with::<Freedom>()
            .with::<Bm3>()
            .with::<NextItemRanker>()
    }
}

impl Kinds {
    /// And those of `M`, which take the place of another of the same
    /// [name](Persist::kind).
    #[must_use]
    pub fn with<M: Ranker + Persist + 'static>(mut self) -> Self {
        self.0
            .insert(M::kind(), |file, known| Ok(Box::new(M::load(file, known)?)));
        self
    }

    /// What reads models of a kind.
    pub(crate) fn get(&self, kind: &str) -> Option<Load> {
        self.0.get(kind).copied()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
