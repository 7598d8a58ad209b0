//! Which models are compared, and the settings that each is tried with.

use mmdlrm_baselines::{
    BayesianConfig, BiasConfig, Bm3Config, BprMfConfig, EaseConfig, Entities, FreedomConfig,
    GaussianProcessConfig, IalsConfig, KnnConfig, KnnRaterConfig, LightGcnConfig, LightGtConfig,
    MatrixFactorizationConfig, PairwiseTraining, PeaConfig, PeaFit, PopularityConfig, VbprConfig,
};
use mmdlrm_features::{Features, TrainingData};

use super::settings::{Epochs, Of, Settings};
use crate::device::Device;
use crate::own_fit::OwnFit;
use crate::{Best, ExperimentConfig, Preset, SplitConfig, TwoStage};

/// Epochs that are tried: more than any of them needs.
const EPOCHS: Epochs = Epochs {
    most: 200,
    patience: 10,
};
/// Of metapaths, whose epochs go over each pair four times.
const EPOCHS_OF_METAPATHS: Epochs = Epochs {
    most: 20,
    patience: 5,
};
/// Of attention over histories, an epoch of which takes as long as a hundred of others: it learns on
/// beyond them, and comes to more where it is given the time.
const EPOCHS_OF_ATTENTION: Epochs = Epochs {
    most: 12,
    patience: 5,
};
/// Steps that an epoch has at most: a step over a graph takes time with the graph, so that batches
/// grow with it too.
const STEPS: usize = 100;

/// A model by name, with settings to choose from by validation rows.
pub(super) struct Contestant {
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What its authors, or those of a library, published, and by which protocol: figures that have
    /// nothing to do with those of another.
    pub published: &'static str,
    /// Whether it is nothing without vectors of movies.
    pub needs_content: bool,
    /// Whether it looks at a context that [`Best`] names.
    pub needs_context: bool,
    /// Whether it learns ratings of a scale, and nothing else.
    needs_scale: bool,
    pub settings: Vec<Box<dyn Settings>>,
}

/// What settings depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// What [`TwoStage`] learns to find.
    pub split: &'a SplitConfig,
    /// What is known of movies beside years, genres and content.
    pub entities: &'a Entities,
    /// Training rows, 0 where they are not known yet.
    pub rows: usize,
    /// Most epochs that are tried.
    pub epochs: Option<usize>,
    /// Whether it is known when interactions were.
    pub has_times: bool,
}

impl Circumstances<'_> {
    /// Epochs to try.
    fn tried(&self, training: &mut PairwiseTraining, epochs: Epochs) -> Epochs {
        let most = self.epochs.unwrap_or(epochs.most);
        training.epochs = most;
        training.patience = Some(epochs.patience);
        Epochs { most, ..epochs }
    }

    /// Has [`STEPS`] an epoch at most, which goes over each row so many `times`.
    fn few_steps(&self, training: &mut PairwiseTraining, times: usize) {
        training.batch_size = training.batch_size.max(self.rows * times / STEPS);
    }
}

/// What data may not have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lacking {
    Vectors,
    Scale,
}

impl Lacking {
    /// Why a model is left out.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Vectors => "there are no vectors of movies",
            Self::Scale => "there are no ratings of a scale",
        }
    }

    /// Why one that is named cannot be.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Vectors => {
                "it learns from vectors of movies, and there are none: name posters, summaries, \
                 credits or vectors"
            }
            Self::Scale => "it learns ratings of a scale, and these data have none",
        }
    }
}

impl Contestant {
    fn new(name: &'static str, about: &'static str, settings: Vec<Box<dyn Settings>>) -> Self {
        Self {
            name,
            about,
            published: "",
            needs_content: false,
            needs_context: false,
            needs_scale: false,
            settings,
        }
    }

    /// It learns ratings of a scale.
    fn of_scale(self) -> Self {
        Self {
            needs_scale: true,
            ..self
        }
    }

    fn published(self, published: &'static str) -> Self {
        Self { published, ..self }
    }

    fn of_content(self) -> Self {
        Self {
            needs_content: true,
            ..self
        }
    }

    /// What it needs and the data do not have.
    pub fn lacks(&self, features: &Features) -> Option<Lacking> {
        if self.needs_content && features.modalities().is_empty() {
            return Some(Lacking::Vectors);
        }
        let has_scale = !features.target().is_probability();
        (self.needs_scale && !has_scale).then_some(Lacking::Scale)
    }

    /// Whether another seed makes another model.
    pub fn has_seed(&self) -> bool {
        self.settings.iter().any(|it| it.has_seed())
    }

    /// Whether validation rows tell how many epochs are enough.
    pub fn has_epochs(&self) -> bool {
        self.settings.iter().any(|it| it.has_epochs())
    }

    /// Bytes that learning takes at most, whichever of its settings is tried.
    pub fn memory(&self, data: &dyn TrainingData) -> u64 {
        let of_settings = self.settings.iter().map(|it| it.memory(data));
        of_settings.max().unwrap_or(0)
    }

    /// All of them, in the order of a table that nothing is known of yet.
    pub fn all(circumstances: &Circumstances) -> Vec<Self> {
        let split = circumstances.split;
        let mut all = of_rankings(circumstances);
        all.extend(of_metapaths(circumstances));
        all.extend(of_stars(circumstances.has_times));
        all.push(Self::new(
            "rank",
            "two-stage multimodal DLRM",
            vec![Of::seeded(two_stage(split), |config, seed| {
                (config.seed, config.train.seed) = (seed, seed);
            })],
        ));
        all
    }
}

/// The ranking DLRM, without a rater beside it.
fn two_stage(split: &SplitConfig) -> TwoStage {
    TwoStage::of(ExperimentConfig {
        split: split.clone(),
        rater: false,
        ..ExperimentConfig::of(Preset::Rank)
    })
}

/// Models that learn what is rated, and not how high.
fn of_rankings(circumstances: &Circumstances) -> Vec<Contestant> {
    let ease = [
        EaseConfig::plain(100.0),
        EaseConfig::plain(300.0),
        EaseConfig::plain(1000.0),
        EaseConfig::default(),
    ];
    vec![
        Contestant::new(
            "popularity",
            "how often a movie is rated",
            vec![Of::exact(PopularityConfig::default())],
        ),
        Contestant::new(
            "item-knn",
            "item neighbours",
            neighbours(&KnnConfig::default()),
        ),
        Contestant::new(
            "user-knn",
            "user neighbours",
            neighbours(&KnnConfig::users()),
        ),
        Contestant::new("ials", "iALS", ials()),
        Contestant::new("ease", "EASE", ease.into_iter().map(Of::exact).collect()),
        Contestant::new(
            "bpr-mf",
            "matrix factorization by BPR",
            grid(
                circumstances,
                [1e-3, 1e-2, 3e-2],
                |config: &mut BprMfConfig, decay| {
                    config.decay = decay;
                },
            ),
        ),
        Contestant::new(
            "light-gcn",
            "LightGCN",
            grid(
                circumstances,
                [(2, 1e-4), (2, 1e-3), (3, 1e-3)],
                |config: &mut LightGcnConfig, of| {
                    (config.layers, config.decay) = of;
                },
            ),
        )
        .published("recall@20 0.1824, nDCG@20 0.1547: Gowalla, all items compete"),
        Contestant::new(
            "vbpr",
            "VBPR",
            grid(
                circumstances,
                [0.01, 0.1, 1.0],
                |config: &mut VbprConfig, penalty| {
                    config.penalty = penalty;
                },
            ),
        )
        .published("recall@10 0.0423, nDCG@10 0.0223: Amazon Baby, all items compete (MMRec)")
        .of_content(),
        Contestant::new(
            "freedom",
            "FREEDOM",
            grid(
                circumstances,
                [(0.8, 1e-3), (0.9, 1e-3), (0.8, 1e-5)],
                |config: &mut FreedomConfig, of| {
                    (config.dropped, config.penalty) = of;
                },
            ),
        )
        .published("recall@10 0.0627, nDCG@10 0.0330: Amazon Baby, all items compete (MMRec)")
        .of_content(),
        Contestant::new("light-gt", "LightGT", vec![light_gt(circumstances)])
            .published(
                "recall@10 0.2650, nDCG@10 0.1771: a Movielens with trailers, all items compete",
            )
            .of_content(),
        Contestant::new(
            "bm3",
            "BM3",
            grid(
                circumstances,
                [(1, 0.1), (2, 0.1), (2, 0.01)],
                |config: &mut Bm3Config, of| {
                    (config.layers, config.penalty) = of;
                },
            ),
        )
        .published("recall@10 0.0564, nDCG@10 0.0301: Amazon Baby, all items compete (MMRec)")
        .of_content(),
    ]
}

/// Models of metapaths, in larger and fewer steps than published.
fn of_metapaths(circumstances: &Circumstances) -> [Contestant; 3] {
    let of = |name, about, published, config: PeaConfig| {
        let mut fit = PeaFit::new(config, circumstances.entities.clone());
        let training = &mut fit.config.training;
        (training.batch_size, training.learning_rate) = (4096, 0.01);
        circumstances.few_steps(training, config.times);
        let epochs = circumstances.tried(training, EPOCHS_OF_METAPATHS);
        let settings = Of::learned(
            fit,
            epochs,
            |fit, seed| fit.config.training.seed = seed,
            |fit, epochs| {
                let training = &mut fit.config.training;
                (training.epochs, training.patience) = (epochs, None);
            },
        );
        Contestant::new(name, about, vec![settings]).published(published)
    };
    [
        of(
            "peagat",
            "metapaths by attention",
            "hit rate@10 0.5477, nDCG@10 0.3045: 99 candidates drawn anew, each the best of 30 epochs \
             by these; of the released run 0.5066, 0.2834",
            PeaConfig::peagat(),
        ),
        of(
            "peagcn",
            "metapaths by convolution",
            "hit rate@10 0.5576, nDCG@10 0.3036: likewise; of the released run 0.5181, 0.2822",
            PeaConfig::peagcn(),
        ),
        of(
            "peasage",
            "metapaths by means",
            "hit rate@10 0.5609, nDCG@10 0.3070: likewise; of the released run 0.5247, 0.2878",
            PeaConfig::peasage(),
        ),
    ]
}

/// In smaller steps than published, since an epoch takes as long by any.
fn light_gt(circumstances: &Circumstances) -> Box<dyn Settings> {
    let mut config = LightGtConfig::default();
    config.training.batch_size = 256;
    let epochs = circumstances.tried(&mut config.training, EPOCHS_OF_ATTENTION);
    of_epochs(config, epochs)
}

/// As many neighbours as are usual.
fn neighbours(config: &KnnConfig) -> Vec<Box<dyn Settings>> {
    let of = |neighbours| {
        let mut config = *config;
        config.neighbours = neighbours;
        Of::exact(config)
    };
    [20, 50, 100, 200].map(of).into()
}

/// The package implicit's settings, and ridges by frequency.
fn ials() -> Vec<Box<dyn Settings>> {
    let of_implicit = [5.0, 10.0].map(|alpha| {
        let mut config = IalsConfig::default();
        config.alpha = alpha;
        config
    });
    let by_frequency = IalsConfig::by_frequency(0.01, 0.1);
    let all = of_implicit.into_iter().chain([by_frequency]);
    all.map(|config| Of::seeded(config, |config, seed| config.seed = seed))
        .collect()
}

/// Models that predict stars; those that look at times do so where there are any.
fn of_stars(has_times: bool) -> Vec<Contestant> {
    let preset = |preset| {
        let fit = OwnFit::new(ExperimentConfig::of(preset), Device::Cpu);
        vec![Of::seeded(fit, |fit, seed| fit.set_seed(seed))]
    };
    let factorization = |config| {
        Of::seeded(config, |config: &mut MatrixFactorizationConfig, seed| {
            config.seed = seed;
        })
    };
    let bayesian = |config| {
        Of::seeded(config, |config: &mut BayesianConfig, seed| {
            config.seed = seed
        })
    };
    let mut best = Best::default();
    best.context.timestamps = has_times;
    let best = Of::seeded(best, |config, seed| {
        (config.seed, config.train.seed) = (seed, seed);
    });
    let process = GaussianProcessConfig {
        timestamps: has_times,
    };
    let of_scale = [
        Contestant::new(
            "biases",
            "biases of users and movies",
            vec![Of::exact(BiasConfig::default())],
        ),
        Contestant::new(
            "item-knn-stars",
            "item neighbours beside biases",
            vec![Of::exact(KnnRaterConfig::items())],
        ),
        Contestant::new(
            "user-knn-stars",
            "user neighbours beside biases",
            vec![Of::exact(KnnRaterConfig::users())],
        ),
        Contestant::new(
            "svd",
            "matrix factorization",
            vec![factorization(MatrixFactorizationConfig::svd())],
        ),
        Contestant::new(
            "svd-plus-plus",
            "SVD++",
            vec![factorization(MatrixFactorizationConfig::svd_plus_plus())],
        ),
        Contestant::new(
            "gaussian-process",
            "a process over each user's ratings",
            vec![Of::exact(process)],
        ),
        Contestant::new(
            "bayesian-mf",
            "Bayesian matrix factorization",
            vec![bayesian(BayesianConfig::mf())],
        ),
        Contestant::new(
            "bayesian-svd-plus-plus",
            "Bayesian SVD++, flipped",
            vec![bayesian(BayesianConfig::svd_plus_plus_flipped())],
        ),
    ];
    let best = Contestant::new("best", "DLRM of histories, beside a process", vec![best]);
    let dlrms = [
        Contestant::new("dlrm", "DLRM", preset(Preset::Dlrm)),
        Contestant::new("mmdlrm", "multimodal DLRM", preset(Preset::Mmdlrm)),
        Contestant {
            needs_context: true,
            ..best.of_scale()
        },
    ];
    let of_scale = of_scale.into_iter().map(Contestant::of_scale);
    of_scale.chain(dlrms).collect()
}

/// A model that learns from pairs.
trait OfPairs: mmdlrm_train::Fit<Model: 'static> + Clone + Default + 'static {
    fn training(&mut self) -> &mut PairwiseTraining;
}

macro_rules! of_pairs {
    ($($config:ty),*) => {
        $(impl OfPairs for $config {
            fn training(&mut self) -> &mut PairwiseTraining {
                &mut self.training
            }
        })*
    };
}

of_pairs!(
    BprMfConfig,
    LightGcnConfig,
    VbprConfig,
    FreedomConfig,
    Bm3Config,
    LightGtConfig
);

/// Settings that differ in a few numbers. How many epochs they need validation rows tell.
fn grid<C: OfPairs, T>(
    circumstances: &Circumstances,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut C, T),
) -> Vec<Box<dyn Settings>> {
    let settings = values.into_iter().map(|value| {
        let mut config = C::default();
        set(&mut config, value);
        circumstances.few_steps(config.training(), 1);
        let epochs = circumstances.tried(config.training(), EPOCHS);
        of_epochs(config, epochs)
    });
    settings.collect()
}

/// Settings of which validation rows choose the epochs.
fn of_epochs(config: impl OfPairs, epochs: Epochs) -> Box<dyn Settings> {
    Of::learned(
        config,
        epochs,
        |config, seed| config.training().seed = seed,
        |config, epochs| {
            let training = config.training();
            (training.epochs, training.patience) = (epochs, None);
        },
    )
}
