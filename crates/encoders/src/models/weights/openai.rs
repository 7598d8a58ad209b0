//! CLIP's weights under the names that OpenAI gives them, and OpenCLIP after it.

use candle_core::{Result, Tensor};

/// A tensor that every such file has: the class token of the picture tower.
pub(super) const HALLMARK: &str = "visual.class_embedding";

/// Which part of a tensor another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// Rows are columns.
    Transposed,
    /// Of three that lie one after another: queries, keys and values.
    Third(usize),
}

impl Part {
    /// The shape of the whole where the part has `shape`.
    pub fn whole(self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        match self {
            Self::Whole => {}
            Self::Transposed => shape.reverse(),
            Self::Third(_) => shape.iter_mut().take(1).for_each(|rows| *rows *= 3),
        }
        shape
    }

    /// The part of the whole.
    pub fn of(self, whole: Tensor) -> Result<Tensor> {
        match self {
            Self::Whole => Ok(whole),
            Self::Transposed => whole.t()?.contiguous(),
            Self::Third(number) => {
                let rows = whole.dim(0)? / 3;
                whole.narrow(0, number * rows, rows)?.contiguous()
            }
        }
    }
}

/// What holds the tensor that transformers' `CLIPModel` calls `name`: one of some names, and
/// which part of it. Towers of texts stand by themselves, or under `text`.
pub(super) fn source(name: &str) -> Option<(Vec<String>, Part)> {
    let (tower, rest) = name.split_once('.')?;
    match tower {
        "vision_model" => {
            let (name, part) = in_tower(rest, "ln_pre", "ln_post")?;
            Some((vec![format!("visual.{name}")], part))
        }
        "text_model" => {
            let (name, part) = in_tower(rest, "", "ln_final")?;
            Some((vec![name.clone(), format!("text.{name}")], part))
        }
        "visual_projection" => Some((vec!["visual.proj".to_owned()], Part::Transposed)),
        "text_projection" => {
            let names = ["text_projection", "text.text_projection"].map(str::to_owned);
            Some((names.to_vec(), Part::Transposed))
        }
        _ => None,
    }
}

fn in_tower(name: &str, first_norm: &str, last_norm: &str) -> Option<(String, Part)> {
    if let Some(layer) = name.strip_prefix("encoder.layers.") {
        let (number, rest) = layer.split_once('.')?;
        let (rest, part) = in_layer(rest)?;
        return Some((format!("transformer.resblocks.{number}.{rest}"), part));
    }
    let whole = |name: String| Some((name, Part::Whole));
    match name {
        "embeddings.class_embedding" => return whole("class_embedding".to_owned()),
        "embeddings.patch_embedding.weight" => return whole("conv1.weight".to_owned()),
        "embeddings.position_embedding.weight" => return whole("positional_embedding".to_owned()),
        "embeddings.token_embedding.weight" => return whole("token_embedding.weight".to_owned()),
        _ => {}
    }
    let (norm, parameter) = name.rsplit_once('.')?;
    match norm {
        "pre_layrnorm" => whole(format!("{first_norm}.{parameter}")),
        "post_layernorm" | "final_layer_norm" => whole(format!("{last_norm}.{parameter}")),
        _ => None,
    }
}

fn in_layer(name: &str) -> Option<(String, Part)> {
    let (module, parameter) = name.rsplit_once('.')?;
    let third = |number| Some((format!("attn.in_proj_{parameter}"), Part::Third(number)));
    let theirs = match module {
        "self_attn.q_proj" => return third(0),
        "self_attn.k_proj" => return third(1),
        "self_attn.v_proj" => return third(2),
        "self_attn.out_proj" => "attn.out_proj",
        "layer_norm1" => "ln_1",
        "layer_norm2" => "ln_2",
        "mlp.fc1" => "mlp.c_fc",
        "mlp.fc2" => "mlp.c_proj",
        _ => return None,
    };
    Some((format!("{theirs}.{parameter}"), Part::Whole))
}
