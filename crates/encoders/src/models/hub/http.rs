//! Requests to the hub, and on to where it sends them.

use std::time::Duration;

use ureq::http::header::{self, HeaderName, HeaderValue};
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use super::Asked;
use super::address::{joined, origin, quoted, shown};
use super::cache::is_name;
use super::error::HubError;
use super::failure::{Failure, unanswered};
use super::headers::{COMMIT, LINKED_ETAG, LINKED_SIZE, encoding, etag, text};
use super::settings::Settings;

/// Redirects that are followed; the hub needs two.
const MOST_REDIRECTS: usize = 10;
/// Hubs that a mirror may send on to with the user's token, beside itself.
const HUBS: [&str; 2] = ["https://huggingface.co", "https://hf.co"];

/// What the hub says of a file.
#[derive(Default)]
pub(super) struct Described {
    pub commit: Option<String>,
    pub etag: Option<String>,
    pub size: Option<u64>,
}

impl Described {
    /// Takes what is new in an answer. `speaks_of_bytes` is that with the bytes, or the hub's own
    /// that sends on to where they lie: the `ETag` of others is that of a redirect.
    fn add(&mut self, response: &Response<Body>, speaks_of_bytes: bool) {
        let headers = response.headers();
        let is_encoded = encoding(headers).is_some();
        let commit = || text(headers, &COMMIT).filter(|it| is_name(it));
        self.commit = self.commit.take().or_else(|| commit().map(str::to_owned));
        let own = || etag(headers, &header::ETAG, is_encoded).filter(|_| speaks_of_bytes);
        let linked = || etag(headers, &LINKED_ETAG, false);
        self.etag = self.etag.take().or_else(linked).or_else(own);
        let number = |name: &HeaderName| text(headers, name)?.trim().parse().ok();
        let is_whole = response.status() == StatusCode::OK && !is_encoded;
        let length = || number(&header::CONTENT_LENGTH).filter(|_| is_whole);
        self.size = self.size.or_else(|| number(&LINKED_SIZE)).or_else(length);
    }
}

/// A file that has been found.
pub(super) struct Found {
    pub described: Described,
    pub url: Uri,
    /// Whether it lies with the hub, which may be given the token.
    pub is_own: bool,
    /// Its bytes, where the hub sends them itself.
    pub response: Option<Response<Body>>,
}

pub(super) struct Client {
    agent: Agent,
    pub settings: Settings,
    pub asked: Asked,
    /// What may be sent to the hub; an error where it is no text of a header.
    pub authorization: Option<Result<HeaderValue, ()>>,
}

impl Client {
    pub fn new(settings: Settings, asked: Asked) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here: what they say is needed, and the token is not for other hosts.
            .max_redirects(0)
            .timeout_resolve(Some(settings.answer_timeout))
            .timeout_connect(Some(settings.answer_timeout))
            // A download may take as long as it moves.
            .timeout_per_read(Some(settings.download_timeout))
            // As it is: what is compressed on the way has no length, and cannot be gone on with.
            .accept_encoding("identity")
            .user_agent(concat!("mmdlrm/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = settings.token.as_ref().map(|token| {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            value.map_err(drop).map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        Self {
            agent: config.into(),
            settings,
            asked,
            authorization,
        }
    }

    /// Where the file of a revision is read.
    pub fn url(&self, revision: &str, file: &str) -> Result<Uri, HubError> {
        let (endpoint, id) = (&self.settings.endpoint, &self.asked.id);
        let (revision, path) = (quoted(revision, false), quoted(file, true));
        let url = format!("{endpoint}/{id}/resolve/{revision}/{path}");
        url.parse().map_err(|_| HubError::Path {
            file: file.to_owned(),
        })
    }

    /// Asks the hub for a file, up to where its bytes begin.
    pub fn find(&self, url: &Uri) -> Result<Found, Failure> {
        let mut described = Described::default();
        let (mut at, mut is_own) = (url.clone(), true);
        for _ in 0..=MOST_REDIRECTS {
            let timeout = self.settings.answer_timeout;
            let response = self.request(&at, is_own, None, timeout)?;
            let next = redirect(&response, &at)?;
            let leaves = next.as_ref().is_some_and(|next| !self.is_own(next));
            let is_hub = described.commit.is_some() || response.headers().contains_key(COMMIT);
            described.add(&response, next.is_none() || (leaves && is_hub));
            let Some(next) = next else {
                if !response.status().is_success() {
                    return Err(self.refusal(&response, &at, is_own));
                }
                return Ok(Found {
                    described,
                    url: at,
                    is_own,
                    response: Some(response),
                });
            };
            is_own &= !leaves;
            at = next;
            if leaves && described.commit.is_some() && described.etag.is_some() {
                return Ok(Found {
                    described,
                    url: at,
                    is_own,
                    response: None,
                });
            }
        }
        Err(endless(url, &at).into())
    }

    /// The bytes of a file from `start` on.
    pub fn open(
        &self,
        url: &Uri,
        is_own: bool,
        start: u64,
    ) -> Result<(Response<Body>, Uri), Failure> {
        let (mut at, mut is_own) = (url.clone(), is_own);
        for _ in 0..=MOST_REDIRECTS {
            let timeout = self.settings.download_timeout;
            let response = self.request(&at, is_own, Some(start), timeout)?;
            let Some(next) = redirect(&response, &at)? else {
                return Ok((response, at));
            };
            is_own &= self.is_own(&next);
            at = next;
        }
        Err(endless(url, &at).into())
    }

    fn request(
        &self,
        url: &Uri,
        is_own: bool,
        start: Option<u64>,
        timeout: Duration,
    ) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url);
        match &self.authorization {
            Some(Ok(value)) if is_own => request = request.header(header::AUTHORIZATION, value),
            Some(Err(())) if is_own => return Err(HubError::TokenText.into()),
            _ => {}
        }
        if let Some(start @ 1..) = start {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let request = request
            .config()
            .timeout_recv_response(Some(timeout))
            .build();
        request.call().map_err(|error| unanswered(url, error))
    }

    /// Whether the token may be sent there: the hub's endpoint, or the hub itself behind a mirror.
    fn is_own(&self, url: &Uri) -> bool {
        let endpoint = std::iter::once(self.settings.endpoint.as_str());
        let mut hubs = endpoint.chain(HUBS).filter_map(|it| it.parse().ok());
        hubs.any(|hub: Uri| origin(&hub) == origin(url))
    }
}

/// Where an answer sends on to.
fn redirect(response: &Response<Body>, at: &Uri) -> Result<Option<Uri>, HubError> {
    // 304 and 300 send nowhere.
    if ![301, 302, 303, 307, 308].contains(&response.status().as_u16()) {
        return Ok(None);
    }
    let refused = |to: &str, problem| HubError::Redirect {
        url: shown(at),
        to: to.to_owned(),
        problem,
    };
    let Some(to) = text(response.headers(), &header::LOCATION) else {
        return Err(refused("nowhere", "without a Location"));
    };
    let to = to.trim();
    match joined(at, to) {
        Some(next) => Ok(Some(next)),
        None => Err(refused(to, "which is no address of the web")),
    }
}

fn endless(url: &Uri, at: &Uri) -> HubError {
    HubError::Redirect {
        url: shown(url),
        to: shown(at),
        problem: "and on without end",
    }
}
