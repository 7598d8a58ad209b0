//! What can go wrong between the hub and its cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::StatusCode;

/// Why the hub's file is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    #[error(
        "it is not in the cache and {variable} is set, so that nobody knows whether the \
         model has it; load the model once with a network"
    )]
    Offline { variable: &'static str },
    #[error("the model has no {file} at {commit}{}", newest(*.movable, cache))]
    NoFile {
        file: String,
        commit: String,
        /// Whether a later commit may have it.
        movable: bool,
        cache: PathBuf,
    },
    #[error("'{file}' is no path within a model")]
    Path { file: String },
    #[error(
        "'{name}' is neither a folder here ({} is not there) nor a model of the hub \
         ({url} answered {answer}); check the name, or, if the model is private or gated, {}",
        folder.display(), log_in(*.known)
    )]
    NoModel {
        name: String,
        folder: PathBuf,
        url: String,
        answer: String,
        /// Whether a token was sent.
        known: bool,
    },
    #[error("it has no revision '{revision}' ({url} answered {answer}); check what is behind '@'")]
    NoRevision {
        revision: String,
        url: String,
        answer: String,
    },
    #[error(
        "the cache in {} holds '{revision}' at {commit}, which the hub no longer has; delete that \
         folder to load the newest, or name another revision", cache.display()
    )]
    Moved {
        revision: String,
        commit: String,
        cache: PathBuf,
    },
    #[error(
        "the model is gated ({url} answered {answer}): accept its terms at {page}, and {}",
        log_in(*.known)
    )]
    Gated {
        url: String,
        answer: String,
        page: String,
        known: bool,
    },
    #[error("{url} answered {answer}: the token is not valid; {}", log_in(true))]
    Token { url: String, answer: String },
    #[error("{url} answered {answer}: the token may not read the model; {}", log_in(*.known))]
    Forbidden {
        url: String,
        answer: String,
        known: bool,
    },
    #[error("{url} answered {answer}")]
    Answer { url: String, answer: String },
    #[error(
        "{url} answered without {what}, as no hub does; check HF_ENDPOINT, the proxy and the firewall"
    )]
    NoHub { url: String, what: &'static str },
    #[error("{url} cannot be asked: {problem}; check the network, HF_ENDPOINT and the proxy")]
    Unreachable {
        url: String,
        #[source]
        problem: Box<ureq::Error>,
    },
    #[error("{url} sent on to {to}, {problem}")]
    Redirect {
        url: String,
        to: String,
        problem: &'static str,
    },
    #[error(
        "{url} asks to wait {} s before the next try; {} s are waited for at most; try again later{}",
        .wait.as_secs(), .most.as_secs(), if *.known { "" } else { ", or log in (HF_TOKEN), which allows more" }
    )]
    Busy {
        url: String,
        wait: Duration,
        most: Duration,
        known: bool,
    },
    #[error("{problem} ({attempts} tries brought nothing new; try again later)")]
    GaveUp {
        attempts: u32,
        #[source]
        problem: Box<HubError>,
    },
    #[error("{url} broke off: {problem}")]
    Broken { url: String, problem: String },
    #[error("{url} sends more than {most} bytes, as no such file has")]
    TooLong { url: String, most: u64 },
    #[error("what {url} sent is damaged: {problem}; it is not kept; try again later")]
    Damaged { url: String, problem: String },
    #[error("the token has characters that no token has; check HF_TOKEN, or the file of the token")]
    TokenText,
    #[error("cannot write {}: {source}; check the free space and the permissions, or name another folder (HF_HUB_CACHE)", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl HubError {
    /// For `map_err` on anything that writes `path`.
    pub fn write(path: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// A status with what the hub says of it.
pub(super) fn answer(status: StatusCode, said: &str) -> String {
    match said {
        "" => status.to_string(),
        said => format!("{status}: {said}"),
    }
}

fn log_in(known: bool) -> &'static str {
    match known {
        false => "log in with `hf auth login` or HF_TOKEN",
        true => "log in as who may read it: the token is that of HF_TOKEN or `hf auth login`",
    }
}

fn newest(movable: bool, cache: &Path) -> String {
    match movable {
        true => format!("; to load a later commit, delete {}", cache.display()),
        false => String::new(),
    }
}
