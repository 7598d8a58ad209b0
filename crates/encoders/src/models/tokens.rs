//! From a text to the token ids that a transformer takes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use xxhash_rust::xxh3::Xxh3;

use crate::error::Cause;
use crate::models::source::SmallFile;
use crate::{Error, LongTexts, Result};

/// The least that a text may have: one, and the two around it.
pub(crate) const LEAST_TOKENS: usize = 3;

/// The tokens that a model wants before and after a text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    /// CLIP's, whatever the tokenizer says.
    Clip,
    /// What the tokenizer puts there, or where it says nothing, the first of these that it has.
    OfTokenizer(&'static [UsualFrame]),
}

/// A token before a text, or none, and one behind it.
pub(crate) type UsualFrame = (Option<&'static str>, &'static str);

/// CLIP's start and end.
const CLIP_FRAME: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// BERT's, RoBERTa's, and T5's, which has none before a text.
const SQUARED: UsualFrame = (Some("[CLS]"), "[SEP]");
const ANGLED: UsualFrame = (Some("<s>"), "</s>");
const ENDED: UsualFrame = (None, "</s>");
/// Where the one kind is usual, …
pub(crate) const SQUARED_FRAMES: &[UsualFrame] = &[SQUARED, ANGLED];
/// … the other, and SigLIP's.
pub(crate) const ANGLED_FRAMES: &[UsualFrame] = &[ANGLED, SQUARED];
pub(crate) const ENDED_FRAMES: &[UsualFrame] = &[ENDED];

/// Texts to token ids, each window of a text between the model's own tokens
/// and no longer than the model takes.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// What stands before a text, and after it.
    around: [Vec<u32>; 2],
    /// Of the model; a token's id is below it.
    vocabulary: usize,
    longest: usize,
    /// Of these the text's own: one or more, or windows would have no end.
    room: NonZeroUsize,
    /// Whether words that are not known are the last token too.
    ends_are_unknown: bool,
}

impl Tokens {
    /// Reads `tokenizer.json`, for a model of `vocabulary` tokens and texts of
    /// at most `longest`.
    pub fn read(file: &SmallFile, frame: Frame, vocabulary: usize, longest: usize) -> Result<Self> {
        // As a string: what reads bytes would be compiled once more, in this crate.
        let text = std::str::from_utf8(&file.bytes);
        let text = text.map_err(|problem| tokenizer_error(&file.path, problem))?;
        unpanicked(|| text.parse::<Tokenizer>())
            .and_then(|tokenizer| Self::new(tokenizer, frame, vocabulary, longest))
            .map_err(|problem| tokenizer_error(&file.path, problem))
    }

    /// A token for each word among `texts`, for a CLIP without a tokenizer of
    /// its own.
    pub fn of_words<'a>(texts: impl IntoIterator<Item = &'a str>, longest: usize) -> Result<Self> {
        let error = |problem: tokenizers::Error| tokenizer_error(Path::new("of words"), problem);
        let words: BTreeSet<String> = texts
            .into_iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let specials = CLIP_FRAME.map(str::to_owned);
        let vocabulary = specials.into_iter().chain(words).zip(0..).collect();
        let model = WordLevel::builder()
            .vocab(vocabulary)
            .unk_token(CLIP_FRAME[1].to_owned())
            .build()
            .map_err(error)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(Lowercase)).map_err(error)?;
        tokenizer.with_pre_tokenizer(Some(Whitespace {}));
        let vocabulary = tokenizer.get_vocab_size(true);
        let tokens = Self::new(tokenizer, Frame::Clip, vocabulary, longest);
        let tokens = tokens.map_err(error)?;
        Ok(Self {
            ends_are_unknown: true,
            ..tokens
        })
    }

    fn new(
        mut tokenizer: Tokenizer,
        frame: Frame,
        vocabulary: usize,
        longest: usize,
    ) -> std::result::Result<Self, Cause> {
        let size = tokenizer.get_vocab_size(true);
        if size > vocabulary {
            return Err(format!("it has {size} tokens, the model {vocabulary}").into());
        }
        let ids = tokenizer.get_vocab(true).into_values();
        if let Some(id) = ids.max().filter(|&id| id as usize >= vocabulary) {
            return Err(format!("it has a token {id}, the model {vocabulary} tokens").into());
        }
        // Cutting and padding are done here, whatever the file says.
        tokenizer.with_truncation(None)?;
        tokenizer.with_padding(None);
        let around = match frame {
            Frame::Clip => {
                let [first, last] = CLIP_FRAME;
                named_frame(&tokenizer, (Some(first), last)).ok_or_else(|| {
                    format!("it has no tokens {first} and {last}; is it this model's?")
                })?
            }
            Frame::OfTokenizer(usual) => frame_of(&tokenizer, usual)?,
        };
        let room = longest.checked_sub(around.iter().map(Vec::len).sum());
        let room = room.and_then(NonZeroUsize::new);
        let room = room.ok_or_else(|| format!("{longest} tokens leave no room for a text"))?;
        Ok(Self {
            tokenizer,
            around,
            vocabulary,
            longest,
            room,
            ends_are_unknown: false,
        })
    }

    /// The same of texts in lower case, which is what the model learned from where its tokenizer
    /// does not say so.
    pub fn of_lowercase(mut self) -> Result<Self> {
        let mut normalizers: Vec<NormalizerWrapper> = vec![Lowercase.into()];
        normalizers.extend(self.tokenizer.get_normalizer().cloned());
        let normalizer = Sequence::new(normalizers);
        match self.tokenizer.with_normalizer(Some(normalizer)) {
            Ok(_) => Ok(self),
            Err(problem) => Err(tokenizer_error(Path::new("in lower case"), problem)),
        }
    }

    /// The number of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Number of the model's tokens.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The most tokens of a text, the two around it included.
    pub fn longest(&self) -> usize {
        self.longest
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

    /// A text up to its first end token, where that is nothing else.
    pub fn to_first_end<'a>(&self, text: &'a [u32]) -> &'a [u32] {
        let [_, last] = &self.around;
        let end = text.iter().position(|id| last.contains(id));
        match end.filter(|_| !self.ends_are_unknown) {
            Some(end) => &text[..=end],
            None => text,
        }
    }

    /// Refuses texts that a model cannot take.
    pub fn check(&self, texts: &[Vec<u32>]) -> Result<()> {
        let vocabulary = self.vocabulary;
        let problem = texts.iter().find_map(|text| {
            if text.is_empty() {
                return Some("a text has no tokens".to_owned());
            }
            if text.len() > self.longest {
                let (found, most) = (text.len(), self.longest);
                return Some(format!("a text has {found} tokens, the model takes {most}"));
            }
            let unknown = text.iter().find(|&&id| id as usize >= vocabulary)?;
            Some(format!("token {unknown} is not among {vocabulary}"))
        });
        problem.map_or(Ok(()), |problem| {
            Err(tokenizer_error(Path::new("at hand"), problem))
        })
    }

    /// Embeds texts by what embeds their windows.
    pub fn embed(
        &self,
        texts: &[&str],
        long_texts: LongTexts,
        encode: impl FnOnce(&[Vec<u32>]) -> Result<Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<f32>>> {
        let windows = texts.par_iter().map(|text| self.windows(text, long_texts));
        long_texts.pool(windows.collect::<Result<_>>()?, encode)
    }

    /// Token ids of a text's windows, unpadded: one, or with
    /// [`LongTexts::Chunk`] as many as it takes.
    pub fn windows(&self, text: &str, long_texts: LongTexts) -> Result<Vec<Vec<u32>>> {
        let encoding = unpanicked(|| self.tokenizer.encode(text, false))
            .map_err(|problem| tokenizer_error(Path::new("at hand"), problem))?;
        let ids = encoding.get_ids();
        let room = self.room.get();
        let [first, last] = &self.around;
        let framed = |ids: &[u32]| [first, ids, last].concat();
        if ids.len() <= room || long_texts == LongTexts::Truncate {
            return Ok(vec![framed(&ids[..ids.len().min(room)])]);
        }
        let starts = sentence_starts(text, encoding.get_offsets());
        let words = encoding.get_word_ids();
        let word_starts: Vec<usize> = (1..ids.len())
            .filter(|&i| words[i] != words[i - 1])
            .collect();
        let mut windows = Vec::new();
        let mut from = 0;
        while from < ids.len() {
            let to = cut(from, room, ids.len(), &starts, &word_starts);
            windows.push(framed(&ids[from..to]));
            from = to;
        }
        Ok(windows)
    }
}

/// Two tokens, or one behind a text, where the tokenizer has them.
fn named_frame(
    tokenizer: &Tokenizer,
    (first, last): (Option<&str>, &str),
) -> Option<[Vec<u32>; 2]> {
    let id = |token: &str| tokenizer.token_to_id(token);
    let first = match first {
        None => Vec::new(),
        Some(first) => vec![id(first)?],
    };
    Some([first, vec![id(last)?]])
}

/// What a tokenizer puts around a text.
fn frame_of(
    tokenizer: &Tokenizer,
    usual: &[UsualFrame],
) -> std::result::Result<[Vec<u32>; 2], Cause> {
    if tokenizer.get_post_processor().is_some() {
        let framed = unpanicked(|| tokenizer.encode("a", true))?;
        let is_special = framed.get_special_tokens_mask();
        let ids: Vec<(u32, u32)> = (framed.get_ids().iter().copied())
            .zip(is_special.iter().copied())
            .collect();
        let specials = |ids: &mut dyn Iterator<Item = &(u32, u32)>| -> Vec<u32> {
            let specials = ids.take_while(|(_, is_special)| *is_special == 1);
            specials.map(|(id, _)| *id).collect()
        };
        let first = specials(&mut ids.iter());
        let mut last = specials(&mut ids[first.len()..].iter().rev());
        last.reverse();
        if !first.is_empty() || !last.is_empty() {
            return Ok([first, last]);
        }
    }
    let found = usual
        .iter()
        .find_map(|&frame| named_frame(tokenizer, frame));
    found.ok_or_else(|| {
        let frames = usual.iter().map(|(first, last)| match first {
            Some(first) => format!("{first} and {last}"),
            None => (*last).to_owned(),
        });
        let frames: Vec<String> = frames.collect();
        let frames = frames.join(", or ");
        format!("it puts no tokens around a text, and has no {frames}; is it this model's?").into()
    })
}

/// Where a window from token `from` ends: before the last sentence that does
/// not fit, or where a sentence is longer than a window, before the last word.
fn cut(from: usize, room: usize, end: usize, sentences: &[usize], words: &[usize]) -> usize {
    if end - from <= room {
        return end;
    }
    let last_of = |starts: &[usize]| {
        let fitting = starts.partition_point(|&start| start <= from + room);
        starts[..fitting].last().copied().filter(|&at| at > from)
    };
    last_of(sentences)
        .or_else(|| last_of(words))
        .unwrap_or(from + room)
}

/// The numbers of tokens, given by where they lie in `text`, that begin a
/// sentence: those after an end mark and a space, or after a line's end.
fn sentence_starts(text: &str, offsets: &[(usize, usize)]) -> Vec<usize> {
    let closed = marks_before(text);
    let begins = |end_of_last: usize, start: usize| {
        let between = text.get(end_of_last..start).unwrap_or("");
        let spaced = between.contains(char::is_whitespace);
        between.contains('\n')
            || match closed.get(end_of_last).copied().flatten() {
                Some('。' | '！' | '？') => true,
                Some('.' | '!' | '?' | '…') => spaced,
                _ => false,
            }
    };
    (1..offsets.len())
        .filter(|&token| begins(offsets[token - 1].1, offsets[token].0))
        .collect()
}

/// For each place of a text the last character before it, quotes and brackets that
/// close after a mark, and spaces after them, left out; `None` within a character. One
/// pass, so that a text of nothing but quotes takes no longer than another.
fn marks_before(text: &str) -> Vec<Option<char>> {
    let mut before = vec![None; text.len() + 1];
    let mut mark = None;
    let mut spaced = false;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            spaced = true;
        } else if CLOSING.contains(&c) {
            // After a space it does not close what is before that.
            mark = if spaced { None } else { mark };
            spaced = false;
        } else {
            (mark, spaced) = (Some(c), false);
        }
        before[at + c.len_utf8()] = mark;
    }
    before
}

/// Quotes and brackets that may stand between an end mark and the next sentence.
const CLOSING: [char; 7] = ['"', '\'', '”', '’', '»', ')', ']'];

/// What the tokenizer says, which panics on some files and texts.
fn unpanicked<T>(
    tokenize: impl FnOnce() -> tokenizers::Result<T>,
) -> std::result::Result<T, Cause> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tokenize));
    result.unwrap_or_else(|_| Err("the tokenizer panicked".into()))
}

fn tokenizer_error(path: &Path, problem: impl Into<Cause>) -> Error {
    Error::Tokenizer {
        tokenizer: path.display().to_string(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_words(text: &str, longest: usize) -> Tokens {
        Tokens::of_words([text], longest).unwrap()
    }

    /// The words of each window.
    fn chunks(text: &str, longest: usize) -> Vec<String> {
        let tokens = of_words(text, longest);
        let windows = tokens.windows(text, LongTexts::Chunk).unwrap();
        for window in &windows {
            assert!(window.len() <= longest, "{window:?}");
            let [first, last] = &tokens.around;
            assert!(window.starts_with(first) && window.ends_with(last));
        }
        let words =
            |window: &Vec<u32>| tokens.tokenizer.decode(&window[1..window.len() - 1], false);
        windows
            .iter()
            .map(|window| words(window).unwrap())
            .collect()
    }

    #[test]
    fn texts_are_cut_so_that_the_end_token_stays() {
        let tokens = of_words("a robot meets a Witch", 5);
        let one = |text| tokens.windows(text, LongTexts::Truncate).unwrap();
        let ids = &one("a witch meets a robot")[0];
        assert_eq!(ids.len(), 5);
        let [first, last] = tokens.around.clone().map(|around| around[0]);
        assert_eq!((ids[0], ids[4]), (first, last));
        assert_eq!(one("WITCH")[0][1], ids[2]);
        assert_eq!(one(""), [[first, last]]);
    }

    #[test]
    fn what_fits_is_one_window() {
        assert_eq!(chunks("one two three", 5), ["one two three"]);
    }

    #[test]
    fn windows_hold_whole_sentences_where_they_fit() {
        // The unknown full stops are tokens too.
        let text = "one two. three four five. six. seven eight";
        assert_eq!(
            chunks(text, 9).len(),
            2,
            "three sentences of seven tokens and two more"
        );
        assert!(chunks(text, 9)[1].starts_with("six") || chunks(text, 9)[1].starts_with("seven"));
    }

    #[test]
    fn a_sentence_longer_than_a_window_is_cut_between_words() {
        assert_eq!(
            chunks("one two three four five six seven", 5),
            ["one two three", "four five six", "seven"]
        );
    }

    #[test]
    fn sentences_end_at_marks_followed_by_space_and_at_line_ends() {
        let text = "He said \"no.\" She left 3.5 hours\nlater";
        let words = [
            (0, 2),
            (3, 7),
            (8, 13),
            (14, 17),
            (18, 22),
            (23, 26),
            (27, 32),
            (33, 38),
        ];
        assert_eq!(sentence_starts(text, &words), [3, 7]);
    }

    #[test]
    fn texts_of_nothing_but_quotes_take_no_longer_than_others() {
        let text = "a.".to_owned() + &"\"".repeat(300_000) + " b";
        let offsets = (0..text.len() - 2).map(|at| (at, at + 1));
        let last = (text.len() - 1, text.len());
        let offsets: Vec<(usize, usize)> = offsets.chain([last]).collect();
        let start = std::time::Instant::now();
        assert_eq!(sentence_starts(&text, &offsets), [offsets.len() - 1]);
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_tokenizer_without_room_for_a_text_or_with_ids_beyond_the_model_s_is_refused() {
        for longest in 0..LEAST_TOKENS {
            let refused = Tokens::of_words(["robot"], longest);
            let error = refused.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("no room"), "{error}");
        }
        let tokenizer = |robot: u32| SmallFile {
            path: "tokenizer.json".into(),
            bytes: format!(
                r#"{{"version": "1.0", "added_tokens": [], "normalizer": null,
                    "pre_tokenizer": {{"type": "Whitespace"}}, "post_processor": null,
                    "decoder": null, "truncation": null, "padding": null,
                    "model": {{"type": "WordLevel", "unk_token": "robot", "vocab":
                    {{"<|startoftext|>": 0, "<|endoftext|>": 1, "robot": {robot}}}}}}}"#
            )
            .into_bytes(),
        };
        let read = |robot| Tokens::read(&tokenizer(robot), Frame::Clip, 9, 5);
        let error = read(9).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("token 9"), "{error}");
        // Ids need not be without gaps.
        let tokens = read(8).unwrap();
        let windows = tokens.windows("robot", LongTexts::Truncate).unwrap();
        assert_eq!(windows, [[0, 8, 1]]);
        tokens.check(&windows).unwrap();
    }
}
