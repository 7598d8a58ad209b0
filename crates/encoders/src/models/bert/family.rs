//! Models that are BERT by other names.

use candle_nn::VarBuilder;

use crate::models::tokens::{ANGLED_FRAMES, SQUARED_FRAMES, UsualFrame};
use crate::models::transformer::Names;

/// How a model differs from BERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// Places count from behind the padding token's number, which takes none: RoBERTa, and
    /// XLM-R and CamemBERT, which are RoBERTa of other languages.
    Roberta,
    /// Half as many layers, and no segments.
    DistilBert,
    /// Places as RoBERTa's, no segments, and scores that depend on the distance.
    MpNet,
}

/// Those of MPNet's attention.
const MPNET_NAMES: Names = Names {
    attention_norm: "attention.LayerNorm",
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    out: "attention.attn.o",
    ..BERT_NAMES
};

const BERT_NAMES: Names = Names {
    attention_norm: "attention.output.LayerNorm",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    out: "attention.output.dense",
    mlp_norm: "output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    scales: None,
};

const DISTILBERT_NAMES: Names = Names {
    attention_norm: "sa_layer_norm",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    out: "attention.out_lin",
    mlp_norm: "output_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    scales: None,
};

impl Family {
    /// That of a `model_type`, which is one of [`OF_TEXTS`](crate::models::model_type::OF_TEXTS).
    pub fn of(model_type: &str) -> Self {
        match model_type {
            "distilbert" => Self::DistilBert,
            "mpnet" => Self::MpNet,
            "roberta" | "xlm-roberta" | "camembert" => Self::Roberta,
            _ => Self::Bert,
        }
    }

    /// What the weights of a layer are called.
    pub fn names(self) -> &'static Names {
        match self {
            Self::Bert | Self::Roberta => &BERT_NAMES,
            Self::DistilBert => &DISTILBERT_NAMES,
            Self::MpNet => &MPNET_NAMES,
        }
    }

    /// What stands around a text where the tokenizer does not say.
    pub fn frames(self) -> &'static [UsualFrame] {
        match self {
            Self::Bert | Self::DistilBert => SQUARED_FRAMES,
            Self::Roberta | Self::MpNet => ANGLED_FRAMES,
        }
    }

    /// Where the layers are.
    pub fn layers(self) -> &'static str {
        match self {
            Self::DistilBert => "transformer.layer",
            _ => "encoder.layer",
        }
    }

    /// The model without a head: models with one keep it under a name of its own.
    pub fn encoder<'a>(self, weights: &VarBuilder<'a>) -> VarBuilder<'a> {
        let name = match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::DistilBert => "distilbert",
            Self::MpNet => "mpnet",
        };
        let below = weights.pp(name);
        match below.contains_tensor("embeddings.word_embeddings.weight") {
            true => below,
            false => weights.clone(),
        }
    }
}
