//! What SigLIP's tokenizers do beside what `tokenizer.json` says.

use serde::Deserialize;

use super::config::TextConfig;
use crate::Result;
use crate::models::json::{parse, unusable};
use crate::models::source::{ModelFiles, TOKENIZER_CONFIG};
use crate::models::tokens::Tokens;
use crate::models::vocabulary::Token;

/// How texts become rows of tokens that are all as long.
pub(super) struct TextRecipe {
    lowercase: bool,
    without_punctuation: bool,
    padding: u32,
    pads_left: bool,
    longest: usize,
}

/// `tokenizer_config.json`.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    tokenizer_class: Option<String>,
    do_lower_case: Option<bool>,
    pad_token: Option<Token>,
    padding_side: Option<Side>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Left,
    Right,
}

impl TextRecipe {
    /// As `tokenizer_config.json` says, and where there is none as SigLIP's first models.
    pub fn read(files: &ModelFiles, config: &TextConfig, tokens: &Tokens) -> Result<Self> {
        let file = files.read_optional(TOKENIZER_CONFIG)?;
        let words: TokenizerConfig = file.as_ref().map_or(Ok(Default::default()), parse)?;
        let class = words.tokenizer_class.as_deref();
        let of_first = class.is_none_or(|class| class.starts_with("SiglipTokenizer"));
        let of_second = class.is_some_and(|class| class.starts_with("Siglip2Tokenizer"));
        let padding = match (&words.pad_token, &file) {
            (Some(token), Some(file)) => {
                let token = token.content();
                tokens.id(token).ok_or_else(|| {
                    unusable(
                        file,
                        format!("pad_token is {token}, which the tokenizer lacks"),
                    )
                })?
            }
            // Checked with the text's own, before the model sees it.
            _ => config.pad_token_id.unwrap_or(1),
        };
        let usual_side = match of_second {
            true => Side::Left,
            false => Side::Right,
        };
        Ok(Self {
            lowercase: of_second || of_first && words.do_lower_case != Some(false),
            without_punctuation: of_first,
            padding,
            pads_left: words.padding_side.unwrap_or(usual_side) == Side::Left,
            longest: tokens.longest(),
        })
    }

    /// A text as the tokenizer gets it: as `SiglipTokenizer` of transformers makes it canonical.
    pub fn canonical(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.lowercase {
            text = text.to_lowercase();
        }
        if self.without_punctuation {
            text.retain(|c| !c.is_ascii_punctuation());
            let words: Vec<&str> = text.split_whitespace().collect();
            text = words.join(" ");
        }
        text
    }

    /// A text's tokens, filled up to as many as the model takes.
    pub fn padded(&self, text: &[u32]) -> Vec<u32> {
        let padding = vec![self.padding; self.longest.saturating_sub(text.len())];
        match self.pads_left {
            true => [&padding, text].concat(),
            false => [text, &padding].concat(),
        }
    }

    /// In words, for an identity.
    pub fn describe(&self) -> String {
        let side = match self.pads_left {
            true => "before",
            false => "after",
        };
        let mut words = format!(", filled up {side} with token {}", self.padding);
        if self.lowercase {
            words += ", lowercased";
        }
        if self.without_punctuation {
            words += ", without punctuation";
        }
        words
    }
}
