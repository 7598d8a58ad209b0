mod config;
mod dense;
mod family;
mod modules;
mod pooling;

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use candle_nn::{Embedding, Module, VarBuilder, embedding};
use std::fmt;

use self::config::BertConfig;
use self::family::Family;
use self::modules::{SentenceTransformer, Step};
use crate::models::layers::LayerNorm;
use crate::models::side_by_side::{ROWS_AT_A_TIME, side_by_side};
use crate::models::source::{CONFIG, ModelFiles};
use crate::models::tokens::{Frame, Tokens};
use crate::models::transformer::{Distances, Keep, Transformer, TransformerConfig};
use crate::models::vocabulary::tokenizer_of;
use crate::models::weights::{ModelHash, OF_HUGGING_FACE, weights_of};
use crate::{Identity, LoadOptions, LongTexts, Pooling, Result, TextEncoder};

/// BERT (Devlin et al., 2019) and its relatives, and the sentence-transformers made of them
/// (Reimers and Gurevych, 2019).
///
/// By `model_type`: `bert`, `distilbert`, `roberta`, `xlm-roberta`, `camembert` and `mpnet`.
///
/// A vector is the last layer's of `[CLS]`, or the tokens' [pooled](Pooling) otherwise. A
/// sentence-transformers folder says how, and what follows: its modules `Transformer`, `Pooling`,
/// `Dense` and `Normalize` are applied as they stand in `modules.json`, its default prompt is put
/// before each text, and others are refused by name.
///
/// ```no_run
/// use mmdlrm_encoders::{BertEncoder, LoadOptions, TextEncoder};
///
/// let bert = BertEncoder::load("all-MiniLM-L6-v2", &LoadOptions::default())?;
/// let vectors = bert.encode_texts(&["A sailor finds the river."])?;
/// assert_eq!(vectors[0].len(), bert.text_width());
/// # Ok::<(), mmdlrm_encoders::Error>(())
/// ```
pub struct BertEncoder {
    identity: Identity,
    model: BertModel,
    width: usize,
    tokens: Tokens,
    long_texts: LongTexts,
    /// What stands before every text.
    prompt: String,
    /// What is done with the vector of a text, in order.
    steps: Vec<Step>,
    device: Device,
}

impl fmt::Debug for BertEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BertEncoder")
            .field("identity", &self.identity)
            .field("width", &self.width)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl BertEncoder {
    /// Loads a model from a folder in Hugging Face layout (`config.json`,
    /// `model.safetensors`, `tokenizer.json`) or from the hub, as
    /// [`ClipEncoder::load`](crate::ClipEncoder::load) does. Without a
    /// [`pooling`](LoadOptions::pooling) the one that the folder names is taken, and `[CLS]` where
    /// it names none.
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others; an option that says nothing
    /// of texts.
    pub fn load(dir_or_id: &str, options: &LoadOptions) -> Result<Self> {
        options.refuse_of_pictures("a BERT")?;
        let files = ModelFiles::find(dir_or_id, &[])?;
        let mut modules_hash = ModelHash::new();
        let mut sentence = SentenceTransformer::read(&files, options, &mut modules_hash)?;
        let config_file = files.read(&sentence.file(CONFIG))?;
        let config = BertConfig::read(&config_file)?;
        sentence.read_limits(&files, &config.model_type)?;
        let weights = weights_of(&files, &sentence.file(""), OF_HUGGING_FACE)?;
        let vocabulary = config.vocabulary;
        let tokenizer = tokenizer_of(&files, &sentence.file(""), vocabulary)?;
        let poolings = match (options.pooling, &sentence.poolings) {
            (Some(pooling), _) => vec![pooling],
            (None, Some(poolings)) => poolings.clone(),
            (None, None) => vec![Pooling::Cls],
        };
        let prompt = options.prompt.as_ref().unwrap_or(&sentence.prompt).clone();
        let width = sentence.width(poolings.len() * config.hidden_size)?;
        let longest = sentence.longest.unwrap_or(usize::MAX);
        let longest = longest.min(config.longest());
        let mut tokens = Tokens::read(
            &tokenizer,
            Frame::OfTokenizer(config.family.frames()),
            config.vocab_size,
            longest,
        )?;
        if sentence.lowercase {
            tokens = tokens.of_lowercase()?;
        }
        let mut hash = ModelHash::new();
        hash.update(&config_file.bytes);
        let pooled: Vec<&str> = poolings.iter().map(|pooling| pooling.describe()).collect();
        let pooled = pooled.join(" and ");
        let model = options.weights(&files.name(), &weights, &mut hash, |weights| {
            BertModel::new(&config, poolings, &weights)
        })?;
        hash.update(&tokenizer.bytes);
        if sentence
            .steps
            .iter()
            .any(|step| matches!(step, Step::Dense(_)))
        {
            hash.update(modules_hash.digest().as_bytes());
        }
        let described = (sentence.describe(), sentence.describe_texts(&prompt));
        let identity = Identity {
            model: files.name(),
            revision: files.revision(),
            pooling: format!("{pooled}{}", described.0),
            preprocessing: format!("{}{}", options.long_texts.describe(longest), described.1),
            dtype: options.dtype.as_str().to_owned(),
            hash: hash.digest(),
        };
        Ok(Self {
            identity,
            model,
            width,
            tokens,
            long_texts: options.long_texts,
            prompt,
            steps: sentence.steps,
            device: options.device.clone(),
        })
    }

    /// Token ids of a text's windows, unpadded, each between `[CLS]` and
    /// `[SEP]`.
    ///
    /// # Errors
    /// A tokenizer that refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        let text = format!("{}{text}", self.prompt);
        self.tokens.windows(&text, self.long_texts)
    }

    /// Embeds texts of token ids.
    ///
    /// # Errors
    /// A text that is empty or too long, an id outside the vocabulary, or a
    /// device that fails.
    pub fn encode_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        self.tokens.check(texts)?;
        let mut vectors = side_by_side(&self.device, texts, ROWS_AT_A_TIME, Vec::len, |texts| {
            self.model.forward(texts)
        })?;
        for step in &self.steps {
            step.apply(&mut vectors);
        }
        Ok(vectors)
    }
}

impl TextEncoder for BertEncoder {
    fn text_identity(&self) -> &Identity {
        &self.identity
    }

    fn text_width(&self) -> usize {
        self.width
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let prompted = texts.iter().map(|text| format!("{}{text}", self.prompt));
        let prompted: Vec<String> = prompted.collect();
        let texts: Vec<&str> = prompted.iter().map(String::as_str).collect();
        self.tokens.embed(&texts, self.long_texts, |windows| {
            self.encode_tokens(windows)
        })
    }
}

struct BertModel {
    words: Embedding,
    positions: Embedding,
    /// The token that takes no place, and before whose number there are none.
    padding: Option<u32>,
    /// The vector of the first segment, the only one here.
    segment: Option<Tensor>,
    norm: LayerNorm,
    transformer: Transformer,
    /// The vectors that stand one after another.
    poolings: Vec<Pooling>,
}

impl BertModel {
    fn new(
        config: &BertConfig,
        poolings: Vec<Pooling>,
        weights: &VarBuilder,
    ) -> TensorResult<Self> {
        let width = config.hidden_size;
        let family = config.family;
        let weights = family.encoder(weights);
        let embeddings = weights.pp("embeddings");
        let transformer = TransformerConfig {
            norm_first: false,
            keep: match poolings[..] {
                [Pooling::Cls] => Keep::First,
                [Pooling::LastToken] => Keep::Last,
                _ => Keep::All,
            },
            distances: match family {
                Family::MpNet => {
                    let weights = weights.pp("encoder.relative_attention_bias");
                    Some(Distances::read(config.num_attention_heads, &weights)?)
                }
                _ => None,
            },
            ..TransformerConfig::of(&config.sizes(), config.hidden_act)
        };
        let segment = config.type_vocab_size.map(|segments| {
            let segments = embeddings.get((segments, width), "token_type_embeddings.weight");
            segments?.get(0)
        });
        Ok(Self {
            words: embedding(config.vocab_size, width, embeddings.pp("word_embeddings"))?,
            positions: embedding(
                config.max_position_embeddings,
                width,
                embeddings.pp("position_embeddings"),
            )?,
            padding: config.padding,
            segment: segment.transpose()?,
            norm: LayerNorm::read(width, config.layer_norm_eps, &embeddings.pp("LayerNorm"))?,
            transformer: Transformer::new(
                transformer,
                family.names(),
                weights.pp(family.layers()),
            )?,
            poolings,
        })
    }

    /// Texts of token ids → `[texts, width]`.
    fn forward(&self, texts: &[Vec<u32>]) -> TensorResult<Tensor> {
        let device = self.words.embeddings().device();
        let positions = texts.iter().flat_map(|text| places(text, self.padding));
        let positions: Vec<u32> = positions.collect();
        let positions = Tensor::new(positions, device)?;
        let ids = Tensor::new(texts.concat(), device)?;
        let mut x = (self.words.forward(&ids)? + self.positions.forward(&positions)?)?;
        if let Some(segment) = &self.segment {
            x = x.broadcast_add(segment)?;
        }
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let x = self.transformer.forward(self.norm.forward(&x)?, &lengths)?;
        if let [Pooling::Cls | Pooling::LastToken] = self.poolings[..] {
            return Ok(x);
        }
        let mut start = 0;
        let pooled = lengths.iter().map(|&length| {
            // Sums of half precision would lose small terms, or leave its range.
            let rows = x.narrow(0, start, length)?.to_dtype(DType::F32)?;
            start += length;
            let poolings = self.poolings.iter();
            let vectors = poolings.map(|pooling| pool(*pooling, &rows, length));
            Tensor::cat(&vectors.collect::<TensorResult<Vec<_>>>()?, 1)
        });
        Tensor::cat(&pooled.collect::<TensorResult<Vec<_>>>()?, 0)
    }
}

/// The place of each token: 0, 1, …, or with a padding token, which has the place of its own
/// number, those behind it.
fn places(text: &[u32], padding: Option<u32>) -> Vec<u32> {
    let Some(padding) = padding else {
        return (0..text.len() as u32).collect();
    };
    let mut last = padding;
    let places = text.iter().map(|&token| match token == padding {
        true => padding,
        false => {
            last += 1;
            last
        }
    });
    places.collect()
}

/// `[length, width]` → `[1, width]`.
fn pool(pooling: Pooling, rows: &Tensor, length: usize) -> TensorResult<Tensor> {
    match pooling {
        Pooling::Cls => rows.narrow(0, 0, 1),
        Pooling::LastToken => rows.narrow(0, length - 1, 1),
        Pooling::Max => rows.max_keepdim(0),
        Pooling::Mean => rows.mean_keepdim(0),
        Pooling::MeanSqrtLen => rows.sum_keepdim(0)? / (length as f64).sqrt(),
        Pooling::WeightedMean => {
            let places = Tensor::arange(1, length as u32 + 1, rows.device())?;
            let weights = places.to_dtype(rows.dtype())?.reshape((length, 1))?;
            let sum = rows.broadcast_mul(&weights)?.sum_keepdim(0)?;
            sum / (length * (length + 1) / 2) as f64
        }
    }
}
