//! Addresses of the web.

use ureq::http::Uri;

/// `to` as it is meant on a page at `at`.
pub(super) fn joined(at: &Uri, to: &str) -> Option<Uri> {
    let to = &to[..to.find('#').unwrap_or(to.len())];
    let (scheme, host) = (at.scheme_str()?, at.authority()?.as_str());
    let has_scheme = to
        .split_once(':')
        .is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?']));
    let address = if has_scheme {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{host}{to}")
    } else {
        let folder = at.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        match to.starts_with('?') || to.is_empty() {
            true => format!("{scheme}://{host}{}{to}", at.path()),
            false => format!("{scheme}://{host}{folder}/{to}"),
        }
    };
    let next: Uri = address.parse().ok()?;
    let is_web = matches!(next.scheme_str(), Some("http" | "https")) && next.host().is_some();
    is_web.then_some(next)
}

pub(super) fn origin(url: &Uri) -> (Option<String>, Option<String>, Option<u16>) {
    let scheme = url.scheme_str().map(str::to_ascii_lowercase);
    let port = url.port_u16().or(match scheme.as_deref() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    });
    (scheme, url.host().map(str::to_ascii_lowercase), port)
}

/// An address without its query and user, which can hold secrets of a signed address.
pub(super) fn shown(url: &Uri) -> String {
    let host = url.authority().map_or("", |it| it.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!(
        "{}://{host}{}",
        url.scheme_str().unwrap_or("http"),
        url.path()
    )
}

/// `%2F` and the like for what an address cannot hold, as Python's `quote` does.
pub(super) fn quoted(text: &str, is_path: bool) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' if is_path => quoted.push('/'),
            b'-' | b'_' | b'.' | b'~' => quoted.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => quoted.push(byte.into()),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_a_browser_would_go() {
        let at: Uri = "https://a.b:8/c/d?e".parse().unwrap();
        for (to, expected) in [
            ("/x/y?z=%2F", "https://a.b:8/x/y?z=%2F"),
            ("x?y", "https://a.b:8/c/x?y"),
            ("?y", "https://a.b:8/c/d?y"),
            ("//h/x", "https://h/x"),
            ("http://h/x#y", "http://h/x"),
            ("x?y=http://z", "https://a.b:8/c/x?y=http://z"),
        ] {
            assert_eq!(joined(&at, to).unwrap(), expected, "{to}");
        }
        for to in ["ftp://h/x", "file:///etc/passwd", "http://", "/a b"] {
            assert_eq!(joined(&at, to), None, "{to}");
        }
    }

    #[test]
    fn secrets_of_an_address_are_not_told() {
        let url: Uri = "https://me:secret@h:1/a?Signature=secret".parse().unwrap();
        assert_eq!(shown(&url), "https://h:1/a");
    }
}
