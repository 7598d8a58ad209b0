//! What came of a request instead of a file.

use std::time::Duration;

use ureq::Body;
use ureq::http::header::HeaderName;
use ureq::http::{Response, StatusCode, Uri};

use super::address::shown;
use super::cache::is_name;
use super::error::{HubError, answer};
use super::headers::{COMMIT, asked_wait, text};
use super::http::Client;

/// Characters of what a server says that are told on.
const LONGEST_SAYING: usize = 300;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");
const ERROR_MESSAGE: HeaderName = HeaderName::from_static("x-error-message");

/// What came of a request instead of a file.
pub(super) enum Failure {
    /// The revision has no such file.
    Absent {
        commit: Option<String>,
    },
    /// Not found, and the server does not say what.
    Unclear(HubError),
    /// Worth another try.
    Passing(Passing),
    Final(HubError),
}

/// What may be better in a while.
pub(super) struct Passing {
    pub problem: Box<HubError>,
    /// How long the server asks to wait.
    pub wait: Option<Duration>,
    /// Tries without progress after which it is given up.
    pub tries: u32,
}

impl Passing {
    /// A break, a time that is up, a server that fails.
    const TRIES: u32 = 5;
    /// Nobody there, or an address that has run out.
    pub const FEW_TRIES: u32 = 3;

    pub fn broken(url: &Uri, problem: impl ToString) -> Self {
        Self {
            problem: Box::new(HubError::Broken {
                url: shown(url),
                problem: problem.to_string(),
            }),
            wait: None,
            tries: Self::TRIES,
        }
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

impl From<Passing> for Failure {
    fn from(passing: Passing) -> Self {
        Self::Passing(passing)
    }
}

impl Client {
    /// What a status that is no success means.
    pub fn refusal(&self, response: &Response<Body>, url: &Uri, is_own: bool) -> Failure {
        let (status, headers) = (response.status(), response.headers());
        let code = text(headers, &ERROR_CODE).unwrap_or_default();
        let said = text(headers, &ERROR_MESSAGE).filter(|said| !said.is_empty());
        let said: String = said.unwrap_or(code).chars().take(LONGEST_SAYING).collect();
        let (address, answer) = (shown(url), answer(status, &said));
        let known = self.authorization.is_some();
        let passing = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        // A signed address runs out; the hub gives another.
        let elsewhere = !is_own && code.is_empty();
        if passing || elsewhere {
            return Failure::Passing(Passing {
                problem: Box::new(HubError::Answer {
                    url: address,
                    answer,
                }),
                wait: asked_wait(headers),
                tries: if passing {
                    Passing::TRIES
                } else {
                    Passing::FEW_TRIES
                },
            });
        }
        let invalid = known && said.starts_with("Invalid credentials");
        Failure::Final(match (status, code) {
            (_, "EntryNotFound") => {
                let commit = text(headers, &COMMIT).filter(|it| is_name(it));
                let commit = commit.map(str::to_owned);
                return Failure::Absent { commit };
            }
            (_, "RevisionNotFound") => HubError::NoRevision {
                revision: self.asked.revision.clone(),
                url: address,
                answer,
            },
            (_, "GatedRepo") => HubError::Gated {
                url: address,
                answer,
                page: format!("{}/{}", self.settings.endpoint, self.asked.id),
                known,
            },
            (StatusCode::UNAUTHORIZED, _) if invalid => HubError::Token {
                url: address,
                answer,
            },
            (_, "RepoNotFound") | (StatusCode::UNAUTHORIZED, _) => HubError::NoModel {
                name: self.asked.name.clone(),
                folder: self.asked.folder.clone(),
                url: address,
                answer,
                known,
            },
            (StatusCode::FORBIDDEN, _) => HubError::Forbidden {
                url: address,
                answer,
                known,
            },
            (StatusCode::NOT_FOUND, "") => {
                return Failure::Unclear(HubError::Answer {
                    url: address,
                    answer,
                });
            }
            _ => HubError::Answer {
                url: address,
                answer,
            },
        })
    }
}

/// What a request that got no answer means.
pub(super) fn unanswered(url: &Uri, error: ureq::Error) -> Failure {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let is_nobody = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Io(io) => {
            [ConnectionRefused, HostUnreachable, NetworkUnreachable].contains(&io.kind())
        }
        _ => false,
    };
    let passes = is_nobody
        || matches!(
            &error,
            ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::Protocol(_)
        );
    let tries = match is_nobody {
        true => Passing::FEW_TRIES,
        false => Passing::TRIES,
    };
    let problem = HubError::Unreachable {
        url: shown(url),
        problem: Box::new(error),
    };
    match passes {
        true => Failure::Passing(Passing {
            problem: Box::new(problem),
            wait: None,
            tries,
        }),
        false => problem.into(),
    }
}
