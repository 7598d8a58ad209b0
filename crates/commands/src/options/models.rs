//! What encodes posters and plots.

use clap::Args;
use mmdlrm::{Clip, EncoderConfig};

/// For `#[command(flatten)]`.
#[derive(Debug, Clone, Args)]
pub struct Models {
    /// CLIP model of posters and plots: a folder in Hugging Face layout, a hub name,
    /// owner/model or owner/model@revision, or untrained [default:
    /// openai/clip-vit-base-patch32; with a made-up sample untrained]
    #[arg(long, value_name = "DIR_OR_HUB_ID")]
    clip: Option<String>,
    /// Embed plots with BERT (or a sentence-transformer) instead
    #[arg(long, value_name = "bert:DIR_OR_HUB_ID", value_parser = bert)]
    text: Option<String>,
    /// Embed posters with ResNet instead
    #[arg(long, value_name = "resnet:DIR_OR_HUB_ID", value_parser = resnet)]
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
            bert: self.text,
            resnet: self.image,
            ..EncoderConfig::default()
        }
    }
}

fn bert(value: &str) -> Result<String, String> {
    of_scheme(value, "bert:")
}

fn resnet(value: &str) -> Result<String, String> {
    of_scheme(value, "resnet:")
}

fn of_scheme(value: &str, scheme: &str) -> Result<String, String> {
    let model = value.strip_prefix(scheme).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| format!("expected {scheme}DIR or {scheme}OWNER/MODEL"))?;
    Ok(model.to_owned())
}
