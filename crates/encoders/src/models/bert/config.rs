//! BERT's `config.json`.

use serde::Deserialize;

use crate::Result;
use crate::models::json::parse_config;
use crate::models::limits::{MOST_TOKENS, TransformerSizes, sizes_problem};
use crate::models::source::SmallFile;
use crate::models::tokens::LEAST_TOKENS;

/// What is left out is as in transformers' `BertConfig`: bert-base-uncased.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct BertConfig {
    pub model_type: String,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    pub position_embedding_type: String,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            model_type: "bert".to_owned(),
            vocab_size: 30_522,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-12,
            position_embedding_type: "absolute".to_owned(),
        }
    }
}

impl BertConfig {
    /// Parses and checks `config.json`.
    pub fn read(file: &SmallFile) -> Result<Self> {
        parse_config(file, Self::problem)
    }

    fn problem(&self) -> Option<String> {
        if self.model_type != "bert" {
            return Some(format!("model_type is '{}', not 'bert'", self.model_type));
        }
        if self.position_embedding_type != "absolute" {
            return Some(format!(
                "position_embedding_type is '{}'; only 'absolute' is supported",
                self.position_embedding_type
            ));
        }
        if self.hidden_act != "gelu" {
            return Some(format!(
                "hidden_act is '{}'; only 'gelu' is supported",
                self.hidden_act
            ));
        }
        if self.max_position_embeddings < LEAST_TOKENS {
            return Some("max_position_embeddings leaves no room for a text".to_owned());
        }
        let tokens = [
            ("vocab_size", self.vocab_size, MOST_TOKENS),
            ("type_vocab_size", self.type_vocab_size, MOST_TOKENS),
        ];
        let transformer = TransformerSizes {
            section: "",
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            rows: self.max_position_embeddings,
            rows_name: "max_position_embeddings",
            layer_norm_eps: self.layer_norm_eps,
        };
        sizes_problem(tokens).or_else(|| transformer.problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_config_leaves_out_is_bert_base() {
        let config: BertConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((config.hidden_size, config.num_hidden_layers), (768, 12));
        assert_eq!(config.problem(), None);
    }

    #[test]
    fn other_models_and_sizes_that_do_not_fit_are_named() {
        for (json, word) in [
            (r#"{"model_type": "roberta"}"#, "roberta"),
            (
                r#"{"position_embedding_type": "relative_key"}"#,
                "relative_key",
            ),
            (r#"{"hidden_act": "gelu_new"}"#, "gelu_new"),
            (r#"{"hidden_size": 100}"#, "multiple"),
            (r#"{"vocab_size": 0}"#, "vocab_size"),
            (r#"{"vocab_size": 4294967396}"#, "vocab_size"),
            (
                r#"{"type_vocab_size": 9223372036854775808}"#,
                "type_vocab_size",
            ),
            (r#"{"hidden_size": 9223372036854775808}"#, "hidden_size"),
            (r#"{"intermediate_size": 4294967396}"#, "intermediate_size"),
            (r#"{"num_hidden_layers": 4294967396}"#, "num_hidden_layers"),
            (r#"{"num_attention_heads": 0}"#, "num_attention_heads"),
            (r#"{"max_position_embeddings": 2}"#, "no room"),
            (
                r#"{"max_position_embeddings": 4294967396}"#,
                "max_position_embeddings",
            ),
            (r#"{"layer_norm_eps": -1}"#, "layer_norm_eps"),
        ] {
            let config: BertConfig = serde_json::from_str(json).unwrap();
            let problem = config.problem().unwrap();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
