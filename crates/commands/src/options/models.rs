//! What encodes posters and plots.

use clap::Args;
use mmdlrm::{Clip, EncoderConfig};

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Args)]
pub struct Models {
    /// Model of posters and plots, CLIP or SigLIP: a folder in Hugging Face's or OpenCLIP's layout,
    /// a file of OpenAI's, a hub name, owner/model or owner/model@revision, or untrained [default:
    /// openai/clip-vit-base-patch32; with a made-up sample untrained]
    #[arg(long, value_name = "DIR_OR_HUB_ID")]
    clip: Option<String>,
    /// Embed plots with this model instead: BERT, a relative of it, a sentence-transformer, or
    /// another CLIP or SigLIP
    #[arg(long, value_name = "DIR_OR_HUB_ID", value_parser = of_text)]
    text: Option<String>,
    /// What stands before each plot, as "passage: " for e5 [default: as the model's folder says]
    #[arg(long, value_name = "PROMPT", requires = "text")]
    text_prompt: Option<String>,
    /// Embed posters with this model instead: DINOv2, ResNet, or another CLIP or SigLIP
    #[arg(long, value_name = "DIR_OR_HUB_ID", value_parser = of_image)]
    image: Option<String>,
}

impl Models {
    /// `on_sample` decides which CLIP it is where none is named; `seed` is that of an
    /// untrained one.
    pub fn encoders(self, on_sample: bool, seed: u64) -> EncoderConfig {
        let clip = match self.clip.as_deref() {
            Some("untrained") => Clip::Untrained { seed },
            Some(dir_or_id) => Clip::Pretrained(dir_or_id.to_owned()),
            None if on_sample => Clip::Untrained { seed },
            None => Clip::default(),
        };
        EncoderConfig {
            clip,
            text: self.text,
            text_prompt: self.text_prompt,
            image: self.image,
            ..EncoderConfig::default()
        }
    }
}

fn of_text(value: &str) -> Result<String, String> {
    without_scheme(value, "bert")
}

fn of_image(value: &str) -> Result<String, String> {
    without_scheme(value, "resnet")
}

/// A model, behind which kind it is or not: its `config.json` says it anyway.
fn without_scheme(value: &str, kind: &str) -> Result<String, String> {
    let model = match value.split_once(':') {
        Some((scheme, model)) if scheme == kind => model,
        // Longer than a drive, and no address.
        Some((scheme, model)) if is_word(scheme) && !model.starts_with("//") => {
            return Err(format!(
                "expected DIR or OWNER/MODEL, and before it {kind}: or nothing"
            ));
        }
        _ => value,
    };
    match model.is_empty() {
        true => Err("expected DIR or OWNER/MODEL".to_owned()),
        false => Ok(model.to_owned()),
    }
}

fn is_word(scheme: &str) -> bool {
    scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
