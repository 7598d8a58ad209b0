use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use xxhash_rust::xxh3::Xxh3;

use crate::{Error, Result};

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// Texts to CLIP's token ids: start token, text, end token, cut to the model's
/// length so that the end token stays.
pub(crate) struct ClipTokenizer {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
    longest: usize,
}

impl ClipTokenizer {
    /// Reads `tokenizer.json`, for a model of `vocabulary` tokens and texts of
    /// at most `longest`.
    pub fn read(path: &Path, vocabulary: usize, longest: usize) -> Result<Self> {
        let tokenizer =
            Tokenizer::from_file(path).map_err(|problem| tokenizer_error(path, problem))?;
        Self::new(tokenizer, vocabulary, longest).map_err(|problem| tokenizer_error(path, problem))
    }

    /// A token for each word among `texts`, for a model without a tokenizer of
    /// its own.
    pub fn of_words<'a>(texts: impl IntoIterator<Item = &'a str>, longest: usize) -> Result<Self> {
        let error = |problem: tokenizers::Error| tokenizer_error(Path::new("of words"), problem);
        let words: BTreeSet<String> = texts
            .into_iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let specials = [START, END].map(str::to_owned);
        let vocabulary = specials.into_iter().chain(words).zip(0..).collect();
        let model = WordLevel::builder()
            .vocab(vocabulary)
            .unk_token(END.to_owned())
            .build()
            .map_err(error)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(Lowercase)).map_err(error)?;
        tokenizer.with_pre_tokenizer(Some(Whitespace {}));
        let vocabulary = tokenizer.get_vocab_size(true);
        Self::new(tokenizer, vocabulary, longest).map_err(|problem| error(problem.into()))
    }

    fn new(
        mut tokenizer: Tokenizer,
        vocabulary: usize,
        longest: usize,
    ) -> std::result::Result<Self, String> {
        let size = tokenizer.get_vocab_size(true);
        if size > vocabulary {
            return Err(format!("it has {size} tokens, the model {vocabulary}"));
        }
        let id = |token: &str| {
            tokenizer
                .token_to_id(token)
                .ok_or(format!("it has no token {token}; is it CLIP's?"))
        };
        let (start, end) = (id(START)?, id(END)?);
        // Cutting and padding are done here, whatever the file says.
        tokenizer
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        Ok(Self {
            tokenizer,
            start,
            end,
            longest,
        })
    }

    /// Number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Differs between vocabularies.
    pub fn fingerprint(&self) -> u64 {
        let vocabulary: BTreeMap<String, u32> =
            self.tokenizer.get_vocab(true).into_iter().collect();
        let mut hasher = Xxh3::new();
        for (token, id) in vocabulary {
            hasher.update(token.as_bytes());
            hasher.update(&id.to_le_bytes());
        }
        hasher.digest()
    }

    /// Token ids of `text`, unpadded; the last is the end token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|problem| tokenizer_error(Path::new("at hand"), problem))?;
        let mut ids = vec![self.start];
        ids.extend(encoding.get_ids().iter().take(self.longest - 2));
        ids.push(self.end);
        Ok(ids)
    }
}

fn tokenizer_error(path: &Path, problem: impl std::fmt::Display) -> Error {
    Error::Tokenizer {
        tokenizer: path.display().to_string(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_so_that_the_end_token_stays() {
        let tokens = ClipTokenizer::of_words(["a robot meets a Witch."], 5).unwrap();
        let ids = tokens.encode("a witch meets a robot").unwrap();
        assert_eq!(ids.len(), 5);
        assert_eq!((ids[0], ids[4]), (tokens.start, tokens.end));
        assert_eq!(tokens.encode("WITCH").unwrap()[1], ids[2]);
        assert_eq!(tokens.encode("").unwrap(), [tokens.start, tokens.end]);
    }
}
