//! Tokenizers: `tokenizer.json`, or what older models have in its place, `vocab.txt`, or
//! `vocab.json` and `merges.txt`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::models::json::{parse, unusable};
use crate::models::source::{MERGES, ModelFiles, SmallFile, TOKENIZER, TOKENIZER_CONFIG};
use crate::models::source::{SPECIAL_TOKENS, VOCABULARY_JSON, VOCABULARY_TEXT};
use crate::{Error, Result};

/// How a model's vocabulary cuts texts, where it has no `tokenizer.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// CLIP's pairs of bytes, in lower case, that end with a word.
    Clip,
    /// RoBERTa's pairs of bytes.
    BytePairs,
    /// BERT's pieces of words.
    WordPieces,
    /// The same with MPNet's tokens around them.
    MpNet,
    /// SentencePiece's, whose own files are not read.
    SentencePieces,
}

/// What `tokenizer_config.json` says of these.
#[derive(Default, Deserialize)]
struct Words {
    tokenizer_class: Option<String>,
    add_prefix_space: Option<bool>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    cls_token: Option<Token>,
    sep_token: Option<Token>,
    pad_token: Option<Token>,
    unk_token: Option<Token>,
    mask_token: Option<Token>,
}

/// A token by itself, or with how it is split off.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Token {
    /// By itself.
    Plain(String),
    /// With how it is split off.
    Described {
        /// The token.
        content: String,
    },
}

impl Token {
    /// The token itself.
    pub fn content(&self) -> &str {
        match self {
            Self::Plain(content) | Self::Described { content } => content,
        }
    }
}

/// The tokenizer in `folder`, which is empty or ends with `/`: the file, or one made of the
/// vocabulary as transformers makes it.
///
/// # Errors
/// None of these files; one that cannot be used.
pub(crate) fn tokenizer_of(
    files: &ModelFiles,
    folder: &str,
    vocabulary: Vocabulary,
) -> Result<SmallFile> {
    let name = |file: &str| format!("{folder}{file}");
    let read = |file: &str| files.read_optional(&name(file));
    let words = || -> Result<Words> {
        let words = read(TOKENIZER_CONFIG)?;
        words.as_ref().map_or(Ok(Words::default()), parse)
    };
    match (read(TOKENIZER)?, vocabulary) {
        (Some(file), Vocabulary::Clip | Vocabulary::SentencePieces) => return Ok(file),
        (Some(file), _) => return words()?.put_into(file),
        (None, _) => {}
    }
    let words = words()?.with_tokens_of(read(SPECIAL_TOKENS)?.as_ref())?;
    let made = match vocabulary {
        Vocabulary::WordPieces | Vocabulary::MpNet => {
            let tokens = read(VOCABULARY_TEXT)?;
            let made = tokens.map(|tokens| {
                let made = word_pieces(&tokens, &words, vocabulary);
                made.map(|made| (made, tokens))
            });
            made.transpose()?
        }
        Vocabulary::Clip | Vocabulary::BytePairs => {
            let tokens = read(VOCABULARY_JSON)?;
            let made = tokens.map(|tokens| {
                let merges = files.read(&name(MERGES))?;
                let made = byte_pairs(&tokens, &merges, &words, vocabulary);
                made.map(|made| (made, tokens))
            });
            made.transpose()?
        }
        Vocabulary::SentencePieces => None,
    };
    match made {
        Some((made, tokens)) => Ok(SmallFile {
            path: tokens.path,
            bytes: made.to_string().into_bytes(),
        }),
        None => Err(without_tokenizer(files, &name(TOKENIZER))),
    }
}

/// None of the files is there; of models of SentencePiece's, how to come by the one that is read.
fn without_tokenizer(files: &ModelFiles, name: &str) -> Error {
    match files {
        ModelFiles::Folder(dir) => Error::MissingFile {
            dir: dir.clone(),
            file: format!(
                "{name} (transformers writes it: \
                 AutoTokenizer.from_pretrained(MODEL).save_pretrained(MODEL))"
            ),
        },
        ModelFiles::Hub(model) => Error::Hub {
            model: model.id().to_owned(),
            file: name.to_owned(),
            folder: None,
            problem: "the model has none; save its tokenizer by transformers, and name the folder"
                .into(),
        },
    }
}

impl Words {
    /// With the tokens of `special_tokens_map.json` that these leave out.
    fn with_tokens_of(self, map: Option<&SmallFile>) -> Result<Self> {
        let map: Self = map.map_or(Ok(Self::default()), parse)?;
        Ok(Self {
            cls_token: self.cls_token.or(map.cls_token),
            sep_token: self.sep_token.or(map.sep_token),
            pad_token: self.pad_token.or(map.pad_token),
            unk_token: self.unk_token.or(map.unk_token),
            mask_token: self.mask_token.or(map.mask_token),
            ..self
        })
    }

    /// A `tokenizer.json` with what these say otherwise, which holds for transformers unless they
    /// name a tokenizer of no model in particular.
    fn put_into(&self, file: SmallFile) -> Result<SmallFile> {
        let class = self.tokenizer_class.as_deref().unwrap_or_default();
        let starts = |names: &[&str]| names.iter().any(|name| class.starts_with(name));
        let (place, step, wanted) = if starts(&["Roberta"]) {
            let first_space = ("add_prefix_space", self.add_prefix_space);
            ("pre_tokenizer", "ByteLevel", vec![first_space])
        } else if class.is_empty() || starts(&["Bert", "DistilBert", "MPNet"]) {
            let of_bert = vec![
                ("lowercase", self.do_lower_case),
                ("strip_accents", self.strip_accents),
                ("handle_chinese_chars", self.tokenize_chinese_chars),
            ];
            ("normalizer", "BertNormalizer", of_bert)
        } else {
            return Ok(file);
        };
        let mut tokenizer: Value = parse(&file)?;
        let found = tokenizer.get_mut(place).and_then(Value::as_object_mut);
        let Some(found) = found.filter(|it| it.get("type").is_some_and(|it| it == step)) else {
            return Ok(file);
        };
        let mut is_changed = false;
        for (name, wanted) in wanted {
            if let Some(wanted) = wanted {
                let before = found.insert(name.to_owned(), wanted.into());
                is_changed |= before != Some(wanted.into());
            }
        }
        match is_changed {
            false => Ok(file),
            true => Ok(SmallFile {
                path: file.path,
                bytes: tokenizer.to_string().into_bytes(),
            }),
        }
    }
}

/// transformers' `BertTokenizer`, or `MPNetTokenizer`.
fn word_pieces(file: &SmallFile, words: &Words, vocabulary: Vocabulary) -> Result<Value> {
    let text = text_of(file)?;
    let lines = text.lines().zip(0u32..);
    let tokens: BTreeMap<&str, u32> = lines.collect();
    let [first, last, padding, mask] = match vocabulary {
        Vocabulary::MpNet => ["<s>", "</s>", "<pad>", "<mask>"],
        _ => ["[CLS]", "[SEP]", "[PAD]", "[MASK]"],
    };
    let usual = [
        (&words.unk_token, "[UNK]"),
        (&words.cls_token, first),
        (&words.sep_token, last),
        (&words.pad_token, padding),
        (&words.mask_token, mask),
    ];
    let [unknown, first, last, padding, mask] = usual.map(|(token, usual)| {
        let token = token.as_ref().map_or(usual, Token::content);
        token.to_owned()
    });
    let specials = [&unknown, &first, &last, &padding, &mask];
    Ok(json!({
        "version": "1.0",
        "added_tokens": added(&tokens, specials.map(String::as_str)),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": words.tokenize_chinese_chars.unwrap_or(true),
            "strip_accents": words.strip_accents,
            "lowercase": words.do_lower_case.unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": framed(file, &tokens, [&first, &last])?,
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": tokens,
        },
    }))
}

/// transformers' `CLIPTokenizer`, or `RobertaTokenizer`.
fn byte_pairs(
    file: &SmallFile,
    merges: &SmallFile,
    words: &Words,
    vocabulary: Vocabulary,
) -> Result<Value> {
    let is_clip = vocabulary == Vocabulary::Clip;
    let tokens: BTreeMap<String, u32> = parse(file)?;
    let tokens: BTreeMap<&str, u32> = tokens.iter().map(|(token, id)| (&**token, *id)).collect();
    // The first line is the version.
    let lines = text_of(merges)?.lines();
    let merges: Vec<&str> = lines
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .collect();
    let byte_level = json!({
        "type": "ByteLevel",
        "add_prefix_space": !is_clip && words.add_prefix_space == Some(true),
        "trim_offsets": true,
        "use_regex": true,
    });
    let [first, last] = match is_clip {
        true => ["<|startoftext|>", "<|endoftext|>"],
        false => ["<s>", "</s>"],
    };
    let (normalizer, pre_tokenizer) = match is_clip {
        false => (Value::Null, byte_level),
        true => (
            json!({"type": "Sequence", "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ]}),
            json!({"type": "Sequence", "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": CLIP_WORDS},
                    "behavior": "Removed",
                    "invert": true,
                },
                byte_level,
            ]}),
        ),
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": added(&tokens, [first, last, "<unk>", "<pad>", "<mask>"]),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": framed(file, &tokens, [first, last])?,
        "model": {
            "type": "BPE",
            "unk_token": is_clip.then_some(last),
            "continuing_subword_prefix": "",
            "end_of_word_suffix": if is_clip { "</w>" } else { "" },
            "fuse_unk": false,
            "vocab": tokens,
            "merges": merges,
        },
    }))
}

/// What is a word to CLIP.
const CLIP_WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Those of the tokens that are there, as ones that are never cut.
fn added(tokens: &BTreeMap<&str, u32>, specials: [&str; 5]) -> Vec<Value> {
    let there = specials
        .iter()
        .filter_map(|&token| Some((token, *tokens.get(token)?)));
    let mut added: BTreeMap<u32, Value> = BTreeMap::new();
    for (token, id) in there {
        let value = json!({
            "id": id, "content": token, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        });
        added.insert(id, value);
    }
    added.into_values().collect()
}

/// A token before a text, and one after it.
fn framed(file: &SmallFile, tokens: &BTreeMap<&str, u32>, frame: [&str; 2]) -> Result<Value> {
    let id = |token: &str| {
        let id = tokens.get(token);
        id.ok_or_else(|| {
            unusable(
                file,
                format!("it has no token {token}; is it this model's?"),
            )
        })
    };
    let [first, last] = frame;
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": first, "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": last, "type_id": 0}},
        ],
        "pair": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {
            first: {"id": first, "ids": [id(first)?], "tokens": [first]},
            last: {"id": last, "ids": [id(last)?], "tokens": [last]},
        },
    }))
}

fn text_of(file: &SmallFile) -> Result<&str> {
    std::str::from_utf8(&file.bytes).map_err(|error| unusable(file, error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::LongTexts;
    use crate::models::tokens::{ANGLED_FRAMES, Frame, SQUARED_FRAMES, Tokens};

    /// Made by `make_relatives.py`.
    #[derive(Deserialize)]
    struct Golden {
        texts: Vec<String>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        model: String,
        files: BTreeMap<String, String>,
        input_ids: Vec<Vec<u32>>,
    }

    #[test]
    fn texts_are_cut_as_transformers_cuts_them_by_whatever_files_there_are() {
        let path = "../../tests/golden/encoders/relatives/tokens.json";
        let golden = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let golden: Golden = serde_json::from_slice(&golden).unwrap();
        for Case {
            model,
            files,
            input_ids,
        } in golden.cases
        {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in &files {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let (vocabulary, frames) = match &*model {
                "mpnet" => (Vocabulary::MpNet, ANGLED_FRAMES),
                "roberta" => (Vocabulary::BytePairs, ANGLED_FRAMES),
                _ => (Vocabulary::WordPieces, SQUARED_FRAMES),
            };
            let files = ModelFiles::Folder(folder.path().to_owned());
            let file = tokenizer_of(&files, "", vocabulary).unwrap();
            let tokens = Tokens::read(&file, Frame::OfTokenizer(frames), 1000, 64).unwrap();
            for (text, expected) in golden.texts.iter().zip(&input_ids) {
                let windows = tokens.windows(text, LongTexts::Truncate).unwrap();
                assert_eq!(&windows[0], expected, "{model}: {text}");
            }
        }
    }

    #[test]
    fn what_is_no_tokenizer_is_left_to_whom_reads_it() {
        for text in [
            "[1]",
            "7",
            r#"{"normalizer": [1]}"#,
            r#"{"normalizer": null}"#,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| {
                std::fs::write(folder.path().join(name), text).unwrap();
            };
            write(TOKENIZER, text);
            write(TOKENIZER_CONFIG, r#"{"do_lower_case": true}"#);
            let files = ModelFiles::Folder(folder.path().to_owned());
            let file = tokenizer_of(&files, "", Vocabulary::WordPieces).unwrap();
            assert_eq!(file.bytes, text.as_bytes());
        }
    }

    #[test]
    fn a_folder_without_a_tokenizer_says_how_to_come_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = ModelFiles::Folder(folder.path().to_owned());
        for vocabulary in [Vocabulary::WordPieces, Vocabulary::SentencePieces] {
            let error = tokenizer_of(&files, "", vocabulary)
                .map(|_| ())
                .unwrap_err();
            assert!(error.to_string().contains("save_pretrained"), "{error}");
        }
    }
}
