//! The most accurate predictor of ratings here: all that makes it up.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{Blend, BlendFile, GaussianProcess, GaussianProcessConfig};
use mmdlrm_data::{Batch, Rated};
use mmdlrm_features::{ContextConfig, Features, Known, NewMovie, TrainingData};
use mmdlrm_model::{BottomConfig, Dlrm, DlrmConfig, Pooling, Side, TableConfig};
use mmdlrm_train::{
    AUDIENCE_TABLE, Cause, Error, Fit, GENRE_TABLE, HISTORY_TABLE, OptimizerConfig, Persist,
    RATED_AUDIENCE_TABLE, RATED_HISTORY_TABLE, Ranker, RateNewcomer, Rater, Result, Scorer,
    Session, Share, TrainConfig, Visitor, Who, shapes, train,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::{Device, device};
use crate::own_fit::memory_of;

// Chosen on validation rows; `docs/accuracy.md` has the figures.
/// Share of the process in predictions.
const PROCESS_SHARE: f32 = 0.3;
/// Length of an embedding.
const DIM: usize = 64;
/// Width of the hidden layers.
const HIDDEN: usize = 64;
const DROPOUT: f32 = 0.3;
const TABLE_L2: f32 = 1e-4;
const EPOCHS: usize = 8;
const BATCH_SIZE: usize = 2048;
const LEARNING_RATE: f64 = 3e-3;
const TABLE_LEARNING_RATE: f64 = 5e-3;
const WEIGHT_DECAY: f64 = 1e-2;

/// Names of the parts in the model's file.
const DLRM: &str = "dlrm";
const PROCESS: &str = "process";

/// What the preset [`best`](crate::Preset::Best) is and how it is learned: a blend of two
/// models of the same training ratings.
///
/// ```text
/// r = 0.7 · (μ + b_u + b_i + DLRM(history of u, audience of i, genres of i, neighbours in time))
///   + 0.3 · Gaussian process(history of u)
/// ```
///
/// The DLRM has no ids: it knows a user by the bag of what they rated, a movie by the bag of
/// who rated it, and learns what biases leave of a rating. A new user or movie needs no
/// training. The [process](GaussianProcess) is fitted once, before. Figures of epochs, and the
/// choice of the best of them, are of the blend, and so is the file that is kept after each.
///
/// It wants data with the [context](BestContext::of_batches) that it says.
///
/// ```
/// use mmdlrm::data::{MovieLens, Split, generate};
/// use mmdlrm::features::Dataset;
/// use mmdlrm::train::{Fit, Session, measure};
/// use mmdlrm::Best;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let mut best = Best { dim: 8, ..Best::default() };
/// best.train.epochs = 2;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let dataset = dataset.with_context(best.context.of_batches())?;
/// let model = best.fit(&dataset, Session::default())?;
/// assert!(measure(&model, &dataset)?.test_rmse < Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Best {
    /// What both models look at, and the share of the process.
    pub context: BestContext,
    /// Length of an embedding of the DLRM.
    pub dim: usize,
    /// Seed of the DLRM's parameters.
    pub seed: u64,
    /// How the DLRM is trained.
    pub train: TrainConfig,
    /// Where it computes meanwhile: `cpu`, `cuda` or `metal`.
    pub device: String,
}

/// What the models of [`Best`] look at, and how they are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BestContext {
    /// Whether the times of ratings are looked at. Where they are not, nothing depends on
    /// them.
    pub timestamps: bool,
    /// As [`ContextConfig::kept`].
    pub kept: f32,
    /// As [`ContextConfig::longest`].
    pub longest: Option<u32>,
    /// Share of the Gaussian process in predictions, the rest being the DLRM's; 0 for none.
    pub process_share: f32,
}

impl Default for BestContext {
    /// With times, the default of bags, 30 % of the process.
    fn default() -> Self {
        let ContextConfig {
            timestamps,
            kept,
            longest,
        } = ContextConfig::default();
        Self {
            timestamps,
            kept,
            longest,
            process_share: PROCESS_SHARE,
        }
    }
}

impl BestContext {
    /// What batches carry.
    pub fn of_batches(&self) -> ContextConfig {
        ContextConfig {
            timestamps: self.timestamps,
            kept: self.kept,
            longest: self.longest,
        }
    }

    /// How the process is fitted.
    pub fn of_process(&self) -> GaussianProcessConfig {
        GaussianProcessConfig {
            timestamps: self.timestamps,
        }
    }

    /// The two models as one; without a share the process has no part in it.
    ///
    /// # Errors
    /// A share that is not from 0 to 1.
    pub fn blend<P: Deref<Target: Ranker>>(&self, dlrm: P, process: Option<P>) -> Result<Blend<P>> {
        self.validate()?;
        blend(self.process_share, dlrm, process)
    }

    /// Refuses a share of more than all, or less than nothing.
    pub(crate) fn validate(&self) -> Result<()> {
        match (0.0..=1.0).contains(&self.process_share) {
            true => Ok(()),
            false => Err(Error::Setting {
                setting: "process_share",
                value: self.process_share.to_string(),
                rule: "it must be from 0 to 1",
            }),
        }
    }
}

impl Default for Best {
    /// As it was chosen.
    fn default() -> Self {
        Self {
            context: BestContext::default(),
            dim: DIM,
            seed: 42,
            train: TrainConfig {
                epochs: EPOCHS,
                batch_size: BATCH_SIZE,
                optimizer: OptimizerConfig {
                    learning_rate: LEARNING_RATE,
                    table_learning_rate: Some(TABLE_LEARNING_RATE),
                    weight_decay: WEIGHT_DECAY,
                    table_weight_decay: WEIGHT_DECAY,
                    ..OptimizerConfig::default()
                },
                ..TrainConfig::default()
            },
            device: "cpu".to_owned(),
        }
    }
}

impl Best {
    /// The shape of the DLRM, for data with `features` and embeddings of `dim`.
    pub fn shape(features: &Features, dim: usize) -> DlrmConfig {
        let (users, movies) = (features.users().len(), features.movies().len());
        let bag = |name: &str, rows: usize, side: Side| TableConfig {
            pooling: Pooling::SqrtN,
            ..TableConfig::new(name, rows, side)
        };
        DlrmConfig {
            dim,
            bottoms: vec![BottomConfig::new(
                Side::Pair,
                0..features.dense_names().len(),
                vec![HIDDEN, dim],
            )],
            tables: vec![
                bag(HISTORY_TABLE, movies, Side::User),
                bag(AUDIENCE_TABLE, users, Side::Item),
                bag(RATED_HISTORY_TABLE, movies, Side::User),
                bag(RATED_AUDIENCE_TABLE, users, Side::Item),
                bag(GENRE_TABLE, features.genre_names().len().max(1), Side::Item),
            ],
            modalities: shapes::towers(features, &[dim]),
            top: vec![HIDDEN],
            wide: true,
            dropout: DROPOUT,
            table_l2: TABLE_L2,
            zero_output: true,
            ..DlrmConfig::default()
        }
    }

    /// Refuses data whose batches carry something else.
    fn check_context(&self, features: &Features) -> Result<()> {
        self.context.validate()?;
        let wanted = self.context.of_batches();
        match features.context().map(|context| *context.config()) {
            Some(found) if found == wanted => Ok(()),
            found => Err(Error::Mismatch(format!(
                "best looks at {wanted:?} and the data have {found:?}; \
                 make them with Dataset::with_context"
            ))),
        }
    }

    fn process(&self, data: &dyn TrainingData) -> Result<Option<Arc<GaussianProcess>>> {
        if self.context.process_share == 0.0 {
            return Ok(None);
        }
        let process = self.context.of_process().fit(data, Session::default())?;
        Ok(Some(Arc::new(process)))
    }

    fn train(&self, dlrm: &mut Dlrm, data: &dyn TrainingData, session: Session) -> Result<()> {
        match device(&self.device).map_err(|error| Error::Other(error.into()))? {
            Device::Cpu => train(dlrm, data, &self.train, session),
            #[cfg(feature = "device")]
            device => mmdlrm_train::train_on(&device, dlrm, data, &self.train, session),
        }
    }
}

impl Fit for Best {
    type Model = BestModel;

    fn check(&self, features: &Features) -> Result<Value> {
        self.check_context(features)?;
        let shape = Self::shape(features, self.dim);
        shape.validate()?;
        Ok(serde_json::to_value(shape)?)
    }

    fn rows(&self, data: &dyn TrainingData) -> usize {
        data.training_rows() * self.train.epochs
    }

    fn memory(&self, data: &dyn TrainingData) -> u64 {
        let dlrm = memory_of(&Self::shape(data.features(), self.dim));
        match self.context.process_share {
            0.0 => dlrm,
            _ => dlrm + self.context.of_process().memory(data),
        }
    }

    fn fit(&self, data: &dyn TrainingData, session: Session) -> Result<BestModel> {
        let features = data.features();
        self.check_context(features)?;
        let process = self.process(data)?;
        let mut dlrm = Dlrm::new(Self::shape(features, self.dim), self.seed)?;
        let session = beside(self.context, process.as_deref(), session);
        self.train(&mut dlrm, data, session)?;
        let dlrm = Scorer::new(dlrm, features.clone())?;
        BestModel::new(self.context.process_share, dlrm, process)
    }
}

/// Weights of the DLRM and of the process. Shares are computed in `f64` and come out as they
/// were.
fn weights(process_share: f32) -> (f64, f64) {
    let share = f64::from(process_share);
    (1.0 - share, share)
}

fn blend<P: Deref<Target: Ranker>>(share: f32, dlrm: P, process: Option<P>) -> Result<Blend<P>> {
    let (of_dlrm, of_process) = weights(share);
    match process {
        None => Blend::new([(1.0, dlrm)]),
        Some(process) => Blend::new([(of_dlrm, dlrm), (of_process, process)]),
    }
}

/// The session of a DLRM that is measured beside the process, and kept with it.
fn beside<'a>(
    context: BestContext,
    process: Option<&'a GaussianProcess>,
    mut session: Session<'a>,
) -> Session<'a> {
    let measuring = std::mem::take(&mut session.measuring);
    let mut told = std::mem::replace(&mut session.on_epoch, Box::new(|_metrics, _model| Ok(())));
    let name = format!(
        "{} of a process {}",
        context.process_share,
        measuring.name()
    );
    session
        .measured_by(name.trim_end(), move |dlrm, data| {
            let process = process.map(|process| process as &dyn Ranker);
            measuring.measure(&context.blend(dlrm as &dyn Ranker, process)?, data)
        })
        .on_epoch(move |metrics, dlrm| {
            let file = file(context.process_share, dlrm, process)?;
            told(metrics, &file)
        })
}

/// Both parts, to be kept.
fn file(share: f32, dlrm: &dyn Persist, process: Option<&GaussianProcess>) -> Result<BlendFile> {
    let (of_dlrm, of_process) = weights(share);
    let file = BlendFile::default().with(DLRM, of_dlrm, dlrm.to_safetensors()?)?;
    match process {
        None => Ok(file),
        Some(process) => file.with(PROCESS, of_process, process.to_safetensors()?),
    }
}

/// What [`Best`] learns: a [`Blend`] of a [`Scorer`] and a [`GaussianProcess`], kept as a
/// [`BlendFile`] of both.
#[derive(Debug)]
pub struct BestModel {
    process_share: f32,
    dlrm: Arc<Scorer<Dlrm>>,
    process: Option<Arc<GaussianProcess>>,
    blend: Blend,
}

impl BestModel {
    fn new(
        process_share: f32,
        dlrm: Scorer<Dlrm>,
        process: Option<Arc<GaussianProcess>>,
    ) -> Result<Self> {
        let dlrm = Arc::new(dlrm);
        let parts = (
            Arc::clone(&dlrm) as Arc<dyn Ranker>,
            process.clone().map(|process| process as Arc<dyn Ranker>),
        );
        Ok(Self {
            process_share,
            blend: blend(process_share, parts.0, parts.1)?,
            dlrm,
            process,
        })
    }

    /// The DLRM alone.
    pub fn dlrm(&self) -> &Scorer<Dlrm> {
        &self.dlrm
    }

    /// The process alone, where it has a share.
    pub fn process(&self) -> Option<&GaussianProcess> {
        self.process.as_deref()
    }
}

impl Persist for BestModel {
    fn kind() -> &'static str {
        "best"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let process = self.process.as_deref();
        file(self.process_share, self.dlrm.model(), process)?.to_safetensors()
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let file = BlendFile::read(file)?;
        let dlrm = Scorer::load(file.part(DLRM)?.1, known)?;
        if !file.names().any(|name| name == PROCESS) {
            return Self::new(0.0, dlrm, None);
        }
        let (share, process) = file.part(PROCESS)?;
        let process = GaussianProcess::load(process, known)?;
        Self::new(share as f32, dlrm, Some(Arc::new(process)))
    }
}

impl Ranker for BestModel {
    fn parameters(&self) -> usize {
        self.blend.parameters()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        self.blend.score(who, scores)
    }

    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor> {
        self.blend.meet(ratings, stop)
    }

    fn rater(&self) -> Option<&dyn Rater> {
        Some(self)
    }

    fn explain(&self, who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        self.blend.explain(who, items)
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        self.blend.because(who, items, count)
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        self.blend.item_vectors()
    }

    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        self.blend.newcomer(movie)
    }
}

impl Rater for BestModel {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.blend.rate(batch, stars)
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.blend.rate_items(who, items, stars)
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.blend.rate_unbounded(batch, stars)
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.blend.rate_items_unbounded(who, items, stars)
    }
}
