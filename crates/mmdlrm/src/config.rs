use std::path::PathBuf;

use mmdlrm_data::generate::GeneratorConfig;
use mmdlrm_data::{Duplicates, InteractionFiles, UnknownMovies};
use mmdlrm_encoders::{DEFAULT_CLIP, LongTexts, Pooling};
use mmdlrm_features::NegativeSampling;
use mmdlrm_kernels::InstructionSet;
use mmdlrm_model::{BottomConfig, DlrmConfig, Loss, NextItemConfig, Side, TableConfig};
use mmdlrm_train::{CheckpointConfig, NextItemTrainConfig, OptimizerConfig, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::load;
use crate::{Best, BestContext, Error, Preset, RankedUsers, Result, TwoStage, VectorsFile};

/// Chosen on validation rows of ml-latest-small's training set, with the number
/// of epochs and the batch size; `docs/accuracy.md` has the figures.
const TABLE_WEIGHT_DECAY: f64 = 5.0;

/// Everything that decides what an [`Experiment`](crate::Experiment) does.
///
/// ```
/// use mmdlrm::{ExperimentConfig, Source};
///
/// let config = ExperimentConfig {
///     source: Source::Folder {
///         data: "ml-latest-small".into(),
///         posters: Some("posters.csv".into()),
///         summaries: None,
///     },
///     out: "runs/first".into(),
///     ..ExperimentConfig::default()
/// };
/// assert_eq!(config.dim, 64);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentConfig {
    /// What is learned.
    pub task: Task,
    /// Where ratings, posters and plots come from.
    pub source: Source,
    /// What to do with ratings of movies that the table of movies lacks, of a folder.
    pub unknown_movies: UnknownMovies,
    /// What to do where a user rated a movie more than once, in a folder.
    pub duplicates: Duplicates,
    /// How items are drawn beside those that users interacted with, where interactions have no
    /// target; the default's otherwise, and with the preset `rank`, which learns from lists.
    pub negatives: NegativeSampling,
    /// Whether the tag genome, where the release has one, is a modality too.
    pub genome: bool,
    /// A CSV file of [`Credits`](mmdlrm_data::Credits), which are a modality too.
    pub credits: Option<PathBuf>,
    /// Vectors that were computed elsewhere, each file a modality too.
    pub vectors: Vec<VectorsFile>,
    /// Whether the ratings stay on disk, as Parquet beside the run's folder (tables' in a file
    /// without a name, made anew each time): memory
    /// then does not grow with their number, and training reads and writes 16
    /// bytes a rating and epoch; beside interactions without a target, items are drawn, which
    /// takes 4 bytes of memory a training row. Only the random and the temporal split can be
    /// drawn so.
    pub stream: bool,
    /// What encodes posters and plots.
    pub encoders: EncoderConfig,
    /// Which ratings are held out.
    pub split: SplitConfig,
    /// Share of the training ratings that is set aside to choose the best epoch by, drawn
    /// as [`Self::split`] draws what it holds out
    /// ([`Split::with_validation`](mmdlrm_data::Split::with_validation)); `None` takes the
    /// last epoch.
    pub validation: Option<f64>,
    /// Which model is trained.
    pub preset: Preset,
    /// What the models of the preset `best` look at, and how they are mixed; the default's
    /// with others.
    pub context: BestContext,
    /// Whether the preset `rank` has a model of the preset `best` beside it, which tells how many
    /// stars a user would give.
    pub rater: bool,
    /// Length of an embedding.
    pub dim: usize,
    /// Seed of the model's parameters.
    pub seed: u64,
    /// How the model is trained.
    pub train: TrainConfig,
    /// When the run is kept, so that it can be resumed.
    pub checkpoints: CheckpointConfig,
    /// How the model of [`Task::Rank`] is trained, in place of `preset` and `train`.
    pub next_item: NextItemTrainConfig,
    /// Which users with held-out ratings the catalogue is ranked for; [`Task::Rank`] ranks
    /// what its file names for all.
    pub ranking: RankedUsers,
    /// Where encoder and model compute: `cpu`, `cuda` or `metal`.
    pub device: String,
    /// What becomes of summaries with more tokens than the encoder takes.
    pub long_texts: LongTexts,
    /// The run's folder. Embeddings, and the sample where it is used, are kept
    /// beside it, for the next run.
    pub out: PathBuf,
    /// Whether a run that is in that folder may be replaced. It stays until the new one has
    /// been read and encoded and begins to train.
    #[serde(skip)]
    pub overwrite: bool,
}

/// What an experiment learns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Task {
    /// Ratings: [`Experiment::run`](crate::Experiment::run).
    #[default]
    Rate,
    /// What each user watches next: [`Experiment::rank`](crate::Experiment::rank).
    Rank,
}

/// Where ratings, posters and plots come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A made-up folder, written beside the run.
    Sample(GeneratorConfig),
    /// A MovieLens folder.
    Folder {
        /// The folder: `ratings.csv`, `movies.csv`, ….
        data: PathBuf,
        /// `movieId,poster_path`; paths absolute or relative to the file.
        posters: Option<PathBuf>,
        /// `movieId,summary`.
        summaries: Option<PathBuf>,
    },
    /// Tables of anybody's: of interactions, of users and of items.
    Tables(InteractionFiles),
}

/// What encodes posters and plots: one model both, unless another is named. Models are
/// folders in Hugging Face layout, or names on the hub, `owner/model` or
/// `owner/model@revision`; what they are, their `config.json` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// Posters and plots: CLIP or SigLIP …
    pub clip: Clip,
    /// … but plots by this model of texts, as BERT, or a sentence-transformer, …
    #[serde(alias = "bert")]
    pub text: Option<String>,
    /// … whose token vectors become one so; `None`: as its folder says, else by
    /// `[CLS]`, …
    pub pooling: Option<Pooling>,
    /// … before whose texts this stands; `None`: as its folder says, else nothing, …
    pub text_prompt: Option<String>,
    /// … and posters by this model of pictures, as DINOv2 or ResNet, …
    #[serde(alias = "resnet")]
    pub image: Option<String>,
    /// … on squares of this side, in pixels; `None`: as its folder says.
    pub image_size: Option<usize>,
}

/// Which model of pictures and texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clip {
    /// A folder in Hugging Face layout, or a name on the hub.
    Pretrained(String),
    /// A small model of CLIP's shape that has learned nothing.
    Untrained {
        /// Seed of its weights.
        seed: u64,
    },
}

/// Which ratings are held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitConfig {
    /// A share of all, drawn by a seed.
    Random {
        /// Share held out.
        test_share: f64,
        /// Seed.
        seed: u64,
    },
    /// The latest share of all.
    Temporal {
        /// Share held out.
        test_share: f64,
    },
    /// The last ratings of each user.
    LeaveLastOut {
        /// How many of each.
        count: usize,
    },
    /// All ratings of a share of the users, drawn by a seed.
    ColdUsers {
        /// Share of the users.
        test_share: f64,
        /// Seed.
        seed: u64,
    },
    /// All ratings of a share of the movies, drawn by a seed.
    ColdMovies {
        /// Share of the movies.
        test_share: f64,
        /// Seed.
        seed: u64,
    },
    /// Those that a CSV file names, `userId,movieId`.
    TestRows(PathBuf),
    /// One of each user, beside the movies that it competes with: a CSV file as
    /// [`Candidates`](mmdlrm_data::Candidates) reads it.
    Candidates(PathBuf),
}

impl Default for ExperimentConfig {
    /// The sample with an untrained encoder, 20 % held out at random by seed
    /// 42, the preset `mmdlrm`.
    fn default() -> Self {
        Self {
            task: Task::Rate,
            source: Source::Sample(GeneratorConfig::default()),
            unknown_movies: UnknownMovies::default(),
            duplicates: Duplicates::default(),
            negatives: NegativeSampling::default(),
            genome: false,
            credits: None,
            vectors: Vec::new(),
            stream: false,
            encoders: EncoderConfig {
                clip: Clip::Untrained { seed: 42 },
                ..EncoderConfig::default()
            },
            split: SplitConfig::Random {
                test_share: 0.2,
                seed: 42,
            },
            validation: None,
            preset: Preset::Mmdlrm,
            context: BestContext::default(),
            rater: true,
            dim: 64,
            seed: 42,
            train: TrainConfig {
                epochs: 6,
                batch_size: 256,
                optimizer: OptimizerConfig {
                    table_weight_decay: TABLE_WEIGHT_DECAY,
                    ..OptimizerConfig::default()
                },
                ..TrainConfig::default()
            },
            checkpoints: CheckpointConfig::default(),
            next_item: NextItemTrainConfig::default(),
            ranking: RankedUsers::default(),
            device: "cpu".to_owned(),
            long_texts: LongTexts::Truncate,
            out: PathBuf::from("runs/sample"),
            overwrite: false,
        }
    }
}

impl EncoderConfig {
    /// Refuses settings of models that are not named.
    pub(crate) fn validate(&self) -> Result<()> {
        let of_text = (self
            .pooling
            .map(|it| ("encoders.pooling", format!("{it:?}"))))
        .or_else(|| Some(("encoders.text_prompt", self.text_prompt.clone()?)));
        let of_image = (self.image_size).map(|it| ("encoders.image_size", it.to_string()));
        let of_text = of_text.filter(|_| self.text.is_none());
        let idle = of_text.or_else(|| of_image.filter(|_| self.image.is_none()));
        match idle {
            None => Ok(()),
            Some((setting, value)) => Err(Error::Setting {
                setting,
                value,
                rule: "the encoder that it is for, text or image, is not named",
            }),
        }
    }
}

impl Default for Clip {
    /// [`DEFAULT_CLIP`] from the hub.
    fn default() -> Self {
        Self::Pretrained(DEFAULT_CLIP.to_owned())
    }
}

impl ExperimentConfig {
    /// The settings that a preset was chosen with; the others are the default's.
    ///
    /// ```
    /// use mmdlrm::{ExperimentConfig, Preset};
    ///
    /// let config = ExperimentConfig::of(Preset::Best);
    /// assert_eq!((config.dim, config.train.epochs), (64, 8));
    /// ```
    pub fn of(preset: Preset) -> Self {
        let mut config = Self {
            preset,
            ..Self::default()
        };
        match preset {
            Preset::Best => {
                let best = Best::default();
                (config.dim, config.train) = (best.dim, best.train);
            }
            Preset::Rank => {
                let two_stage = TwoStage::default();
                (config.dim, config.train) = (two_stage.dim, two_stage.train);
            }
            _ => {}
        }
        config
    }

    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// The first setting that makes no sense, or `MMDLRM_SIMD`, if it does not.
    pub fn validate(&self) -> Result<()> {
        InstructionSet::in_use().map_err(mmdlrm_model::Error::from)?;
        self.train.validate()?;
        self.next_item.validate()?;
        self.checkpoints.validate()?;
        self.context.validate()?;
        self.ranking.validate()?;
        if self.train.patience.is_some() && self.validation.is_none() {
            return Err(Error::Setting {
                setting: "train.patience",
                value: format!("{:?}", self.train.patience),
                rule: "only a validation share can tell when to end",
            });
        }
        self.check_size(1)?;
        self.validate_ranking()?;
        let needs_modalities = matches!(self.preset, Preset::DlrmMultimodal | Preset::DlrmClip);
        let none = matches!(
            &self.source,
            Source::Folder {
                posters: None,
                summaries: None,
                ..
            }
        );
        let splits_disk = matches!(
            self.split,
            SplitConfig::Random { .. } | SplitConfig::Temporal { .. }
        );
        if self.stream && !splits_disk {
            return Err(self.cannot_stream());
        }
        let is_best = self.preset == Preset::Best;
        if !self.rater && self.preset != Preset::Rank {
            return Err(Error::Setting {
                setting: "rater",
                value: "false".to_owned(),
                rule: "only the preset rank has one beside it",
            });
        }
        if (self.has_context() || self.preset == Preset::Rank) && self.stream {
            return Err(Error::Setting {
                setting: "stream",
                value: "true".to_owned(),
                rule: "the presets best and rank look ratings up and need them in memory",
            });
        }
        self.validate_lists()?;
        if !is_best && self.context != BestContext::default() {
            return Err(Error::Setting {
                setting: "context",
                value: format!("{:?}", self.context),
                rule: "only the preset best takes notice of it",
            });
        }
        if self.genome && !self.preset.uses_modalities() {
            return Err(Error::Setting {
                setting: "genome",
                value: "true".to_owned(),
                rule: "the preset dlrm has no modalities",
            });
        }
        if let (Some(credits), false) = (&self.credits, self.preset.uses_modalities()) {
            return Err(Error::Setting {
                setting: "credits",
                value: credits.display().to_string(),
                rule: "the preset dlrm has no modalities",
            });
        }
        if let (Some(first), false) = (self.vectors.first(), self.preset.uses_modalities()) {
            return Err(Error::Setting {
                setting: "vectors",
                value: first.name.clone(),
                rule: "the preset dlrm has no modalities",
            });
        }
        VectorsFile::check_names(&self.vectors)?;
        self.negatives.validate()?;
        self.validate_tables()?;
        self.encoders.validate()?;
        load::check(self)?;
        let has_others = self.genome || self.credits.is_some() || !self.vectors.is_empty();
        if needs_modalities && none && !has_others {
            return Err(Error::Setting {
                setting: "preset",
                value: format!("{:?}", self.preset),
                rule: "it needs posters, summaries, credits, vectors or the genome; name them, or \
                       choose the preset dlrm",
            });
        }
        Ok(())
    }

    /// What tables cannot have, and what only they have.
    fn validate_tables(&self) -> Result<()> {
        let refused = |setting, value: String, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        let any = Self::default();
        let Source::Tables(files) = &self.source else {
            return Ok(());
        };
        if self.genome || self.credits.is_some() {
            let rule = "genome and credits are those of movies; name what is known of the items as \
                        columns of their table";
            return refused("genome or credits", "given".to_owned(), rule);
        }
        if (self.unknown_movies, self.duplicates) != (any.unknown_movies, any.duplicates) {
            let rule =
                "the policies on tables (--unknown-movies, --duplicates) are among their options";
            return refused("unknown_movies or duplicates", "given".to_owned(), rule);
        }
        if files.interactions.as_os_str().is_empty() {
            let rule = "there must be a table of interactions";
            return refused("interactions", String::new(), rule);
        }
        Ok(())
    }

    /// That rows on disk cannot be split so.
    pub(crate) fn cannot_stream(&self) -> Error {
        Error::Setting {
            setting: "split",
            value: format!("{:?}", self.split),
            rule: "ratings that are streamed can only be split at random or in time",
        }
    }

    /// Whether batches carry a [`BestContext`].
    pub(crate) fn has_context(&self) -> bool {
        match self.preset {
            Preset::Best => true,
            Preset::Rank => self.rater,
            _ => false,
        }
    }

    /// Whether a model of this `dim` can be made for tables of `rows` rows.
    pub(crate) fn check_size(&self, rows: usize) -> Result<()> {
        if self.dim == 0 {
            return Err(Error::Setting {
                setting: "dim",
                value: "0".to_owned(),
                rule: "an embedding needs a length of 1 or more",
            });
        }
        if self.task == Task::Rank {
            let mut model = NextItemConfig::default();
            (model.dim, model.items) = (self.dim, rows);
            return Ok(model.validate()?);
        }
        let model = DlrmConfig {
            dim: self.dim,
            bottoms: vec![BottomConfig::new(Side::Pair, 0..1, vec![self.dim])],
            tables: vec![TableConfig::new("rows", rows, Side::Item)],
            ..DlrmConfig::default()
        };
        Ok(model.validate()?)
    }

    /// What the preset `rank` cannot take, and others cannot.
    fn validate_lists(&self) -> Result<()> {
        let refused = |setting, value: String, rule| {
            Err(Error::Setting {
                setting,
                value,
                rule,
            })
        };
        let of_lists = matches!(self.train.loss, Loss::Lists { .. });
        if (self.preset == Preset::Rank) != of_lists {
            let loss = format!("{:?}", self.train.loss);
            return refused(
                "loss",
                loss,
                "the preset rank learns from lists, and no other does",
            );
        }
        if !of_lists {
            return Ok(());
        }
        if let Some(share) = self.validation {
            let rule = "the preset rank takes its last epoch";
            return refused("validation", share.to_string(), rule);
        }
        if self.device != "cpu" {
            return refused(
                "device",
                self.device.clone(),
                "the preset rank learns on the CPU",
            );
        }
        TwoStage::of(self.clone()).validate().map_err(Error::from)
    }

    /// What ranking takes and cannot take.
    fn validate_ranking(&self) -> Result<()> {
        if self.task != Task::Rank {
            return Ok(());
        }
        if !matches!(self.split, SplitConfig::Candidates(_)) {
            return Err(self.needs_candidates());
        }
        if let Some(share) = self.validation {
            return Err(Error::Setting {
                setting: "validation",
                value: share.to_string(),
                rule: "a model of what comes next takes its last epoch",
            });
        }
        if !matches!(self.preset, Preset::Mmdlrm | Preset::Dlrm) {
            return Err(Error::Setting {
                setting: "preset",
                value: format!("{:?}", self.preset),
                rule: "a model of what comes next has a shape of its own; leave the preset out, \
                       or choose dlrm to leave posters and plots out",
            });
        }
        Ok(())
    }

    pub(crate) fn needs_candidates(&self) -> Error {
        Error::Setting {
            setting: "split",
            value: format!("{:?}", self.split),
            rule: "ranking needs a file of candidates",
        }
    }
}
