//! The `config.json` of BERT and its relatives.

use serde::Deserialize;

use super::family::Family;
use crate::Result;
use crate::models::cpu::Activation;
use crate::models::json::{checked, parse};
use crate::models::limits::{MOST_TOKENS, TransformerSizes, sizes_problem};
use crate::models::model_type::{OF_TEXTS, model_type};
use crate::models::source::SmallFile;
use crate::models::tokens::LEAST_TOKENS;
use crate::models::transformer::BUCKETS;
use crate::models::vocabulary::Vocabulary;

/// The file's own words. What is left out is as in transformers' configuration of that model.
#[derive(Debug, Clone, Deserialize)]
struct File {
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_act: Option<Activation>,
    /// DistilBERT's words for these five.
    dim: Option<usize>,
    hidden_dim: Option<usize>,
    n_layers: Option<usize>,
    n_heads: Option<usize>,
    activation: Option<Activation>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
    relative_attention_num_buckets: Option<usize>,
    pad_token_id: Option<u32>,
    #[serde(default)]
    is_decoder: bool,
}

/// What a model is built from.
#[derive(Debug, Clone)]
pub(super) struct BertConfig {
    pub model_type: String,
    pub family: Family,
    pub vocabulary: Vocabulary,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Rows of the table of positions.
    pub max_position_embeddings: usize,
    /// Rows of that of segments, where there is one.
    pub type_vocab_size: Option<usize>,
    pub hidden_act: Activation,
    pub layer_norm_eps: f64,
    /// The token that takes no place, where the first place is the one after its number.
    pub padding: Option<u32>,
}

impl BertConfig {
    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        let name = model_type(file, "bert", &OF_TEXTS)?;
        let words: File = parse(file)?;
        let config = Self::of(&words, name);
        let problem = words.problem().or_else(|| config.problem());
        checked(file, config, problem)
    }

    fn of(words: &File, model_type: String) -> Self {
        let family = Family::of(&model_type);
        let is_distilled = family == Family::DistilBert;
        let pick = |usual, distilled| if is_distilled { distilled } else { usual };
        let layers = if is_distilled { 6 } else { 12 };
        let vocab_size = match family {
            Family::Roberta => 50_265,
            Family::MpNet => 30_527,
            _ => 30_522,
        };
        Self {
            family,
            vocabulary: match &*model_type {
                "roberta" => Vocabulary::BytePairs,
                "mpnet" => Vocabulary::MpNet,
                "xlm-roberta" | "camembert" => Vocabulary::SentencePieces,
                _ => Vocabulary::WordPieces,
            },
            model_type,
            vocab_size: words.vocab_size.unwrap_or(vocab_size),
            hidden_size: pick(words.hidden_size, words.dim).unwrap_or(768),
            intermediate_size: pick(words.intermediate_size, words.hidden_dim).unwrap_or(3072),
            num_hidden_layers: pick(words.num_hidden_layers, words.n_layers).unwrap_or(layers),
            num_attention_heads: pick(words.num_attention_heads, words.n_heads).unwrap_or(12),
            max_position_embeddings: words.max_position_embeddings.unwrap_or(512),
            type_vocab_size: match family {
                Family::Bert | Family::Roberta => Some(words.type_vocab_size.unwrap_or(2)),
                Family::DistilBert | Family::MpNet => None,
            },
            hidden_act: match is_distilled {
                true => words.activation,
                false => words.hidden_act,
            }
            .unwrap_or(Activation::Gelu),
            layer_norm_eps: match family {
                // Whatever its file says.
                Family::DistilBert => 1e-12,
                _ => words.layer_norm_eps.unwrap_or(1e-12),
            },
            padding: match family {
                Family::Bert | Family::DistilBert => None,
                Family::Roberta => Some(words.pad_token_id.unwrap_or(1)),
                Family::MpNet => Some(1),
            },
        }
    }

    /// Tokens of the longest text.
    pub fn longest(&self) -> usize {
        let before_the_first = self.padding.map_or(0, |padding| padding as usize + 1);
        self.max_position_embeddings - before_the_first
    }

    /// Those of the transformer.
    pub fn sizes(&self) -> TransformerSizes {
        TransformerSizes {
            section: "",
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: self.longest(),
            rows_name: "max_position_embeddings",
            layer_norm_eps: self.layer_norm_eps,
        }
    }

    fn problem(&self) -> Option<String> {
        let before_the_first = self.padding.map_or(0, |padding| padding as usize + 1);
        let longest = self.max_position_embeddings.checked_sub(before_the_first);
        if longest.is_none_or(|longest| longest < LEAST_TOKENS) {
            return Some("max_position_embeddings leaves no room for a text".to_owned());
        }
        let tokens = [
            ("vocab_size", self.vocab_size, MOST_TOKENS),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                MOST_TOKENS,
            ),
            (
                "type_vocab_size",
                self.type_vocab_size.unwrap_or(1),
                MOST_TOKENS,
            ),
        ];
        sizes_problem(tokens).or_else(|| self.sizes().problem())
    }
}

impl File {
    fn problem(&self) -> Option<String> {
        if let Some(other) = &self.position_embedding_type
            && other != "absolute"
        {
            return Some(format!(
                "position_embedding_type is '{other}'; only 'absolute' is supported"
            ));
        }
        if self.is_decoder {
            return Some(
                "is_decoder is true: models that look back alone are not supported".into(),
            );
        }
        let buckets = self.relative_attention_num_buckets?;
        (buckets != BUCKETS).then(|| {
            format!("relative_attention_num_buckets is {buckets}; only {BUCKETS} is supported")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<BertConfig> {
        BertConfig::read(&SmallFile {
            path: "config.json".into(),
            bytes: json.into(),
        })
    }

    #[test]
    fn what_a_config_leaves_out_is_as_in_transformers() {
        let config = read("{}").unwrap();
        assert_eq!((config.hidden_size, config.num_hidden_layers), (768, 12));
        assert_eq!((config.vocab_size, config.longest()), (30_522, 512));
        let roberta = r#"{"model_type": "roberta", "max_position_embeddings": 514}"#;
        let config = read(roberta).unwrap();
        assert_eq!((config.vocab_size, config.longest()), (50_265, 512));
        let longest = r#"{"model_type": "xlm-roberta", "max_position_embeddings": 8194}"#;
        assert_eq!(read(longest).unwrap().longest(), 8192);
        let both = r#"{"model_type": "distilbert", "dim": 96, "hidden_size": 24, "n_heads": 3}"#;
        assert_eq!(read(both).unwrap().hidden_size, 96);
        let config = read(r#"{"model_type": "distilbert", "dim": 96, "n_layers": 3}"#).unwrap();
        assert_eq!((config.hidden_size, config.num_hidden_layers), (96, 3));
        assert_eq!(config.type_vocab_size, None);
    }

    #[test]
    fn other_models_and_sizes_that_do_not_fit_are_named() {
        for (json, word) in [
            (r#"{"model_type": "albert"}"#, "albert"),
            (
                r#"{"position_embedding_type": "relative_key"}"#,
                "relative_key",
            ),
            (
                r#"{"model_type": "mpnet", "relative_attention_num_buckets": 16}"#,
                "buckets is 16",
            ),
            (r#"{"hidden_act": "mish"}"#, "mish"),
            (r#"{"is_decoder": true}"#, "is_decoder"),
            (r#"{"hidden_size": 100}"#, "multiple"),
            (r#"{"vocab_size": 0}"#, "vocab_size"),
            (r#"{"vocab_size": 4294967396}"#, "vocab_size"),
            (
                r#"{"type_vocab_size": 9223372036854775808}"#,
                "type_vocab_size",
            ),
            (r#"{"hidden_size": 9223372036854775808}"#, "hidden_size"),
            (r#"{"intermediate_size": 4294967396}"#, "intermediate_size"),
            (
                r#"{"model_type": "roberta", "pad_token_id": 4294967295}"#,
                "no room",
            ),
            (r#"{"num_hidden_layers": 4294967396}"#, "num_hidden_layers"),
            (r#"{"num_attention_heads": 0}"#, "num_attention_heads"),
            (r#"{"max_position_embeddings": 2}"#, "no room"),
            (
                r#"{"max_position_embeddings": 4294967396}"#,
                "max_position_embeddings",
            ),
            (r#"{"layer_norm_eps": -1}"#, "layer_norm_eps"),
        ] {
            let problem = read(json).unwrap_err().to_string();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
