//! What the headers of an answer say.

use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::http::header::{self, HeaderName};

use super::cache::is_name;

pub(super) const COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");
pub(super) const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
pub(super) const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// How the bytes are compressed, if they are.
pub(super) fn encoding(headers: &HeaderMap) -> Option<&str> {
    let encoding = text(headers, &header::CONTENT_ENCODING)?.trim();
    (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
}

/// `"ab"`, `W/"ab"` or `ab` in a header.
pub(super) fn etag(headers: &HeaderMap, name: &HeaderName, is_encoded: bool) -> Option<String> {
    let etag = text(headers, name)?.trim();
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    // Some servers mark what they have compressed.
    let etag = match is_encoded {
        true => etag.strip_suffix("-gzip").unwrap_or(etag),
        false => etag,
    };
    is_name(etag).then(|| etag.to_owned())
}

/// First byte and length of the whole in `Content-Range: bytes 5-9/10`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = text(headers, &header::CONTENT_RANGE)?
        .trim()
        .strip_prefix("bytes ")?;
    let (part, total) = range.split_once('/')?;
    Some((part.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// How long a server asks to wait: `Retry-After` of seconds or a date, or the hub's
/// `RateLimit: "api";r=0;t=55`.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    if let Some(after) = text(headers, &header::RETRY_AFTER).map(str::trim) {
        let seconds = after.parse().ok().map(Duration::from_secs);
        return seconds.or_else(|| {
            let until = httpdate::parse_http_date(after).ok()?;
            Some(
                until
                    .duration_since(std::time::SystemTime::now())
                    .unwrap_or_default(),
            )
        });
    }
    let limit = text(headers, &RATE_LIMIT)?;
    let mut parts = limit.split(';').map(str::trim);
    let is_spent = parts.clone().any(|part| part == "r=0");
    let seconds = parts.find_map(|part| part.strip_prefix("t=")?.parse().ok())?;
    is_spent.then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_of_seconds_or_until_a_date() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            asked_wait(&headers)
        };
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "soon"), None);
        let past = wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        let limit = wait("ratelimit", "\"resolvers\";r=0;t=55");
        assert_eq!(limit, Some(Duration::from_secs(55)));
        assert_eq!(wait("ratelimit", "\"resolvers\";r=9;t=55"), None);
    }
}
