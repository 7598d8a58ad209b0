//! The page: what a person sees of the recommender, as files within the program.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::ApiError;
use crate::extract::Path;

/// Nothing comes from another host, and nothing that stands in the page itself runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' blob: data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        [$(($name, $kind, include_str!(concat!("page/", $name)))),*]
    };
}

/// Name, type and text.
const FILES: &[(&str, &str, &str)] = &files! {
    "icon.svg": "image/svg+xml",
    "style.css": CSS,
    "films.css": CSS,
    "controls.css": CSS,
    "main.js": SCRIPT,
    "address.js": SCRIPT,
    "details.js": SCRIPT,
    "dom.js": SCRIPT,
    "films.js": SCRIPT,
    "filters.js": SCRIPT,
    "newcomer.js": SCRIPT,
    "search.js": SCRIPT,
    "server.js": SCRIPT,
    "shelves.js": SCRIPT,
    "titles.js": SCRIPT,
    "user.js": SCRIPT,
    "visitor.js": SCRIPT,
    "words.js": SCRIPT,
};

/// The page at `/`, and its files under `/page/`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = || async { answer(HTML, include_str!("page/index.html")) };
    Router::new()
        .route("/", get(page))
        .route("/page/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = found.ok_or_else(|| ApiError::not_found("there is nothing here"))?;
    Ok(answer(kind, text))
}

/// Browsers ask again each time: a newer program may have another page.
fn answer(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_file_that_the_page_names_is_there_and_no_other() {
        let page = include_str!("page/index.html");
        let named = |text: &str, before: &str| -> Vec<String> {
            let parts = text.split(before).skip(1);
            let names = parts.filter_map(|part| part.split_once('"'));
            names.map(|(name, _)| name.to_owned()).collect()
        };
        let mut wanted = named(page, "=\"page/");
        wanted.sort_unstable();
        let mut known: Vec<&str> = FILES.iter().map(|(name, ..)| *name).collect();
        known.sort_unstable();
        assert_eq!(wanted, known);
        for (name, _, text) in FILES {
            for import in named(text, "from \"./") {
                assert!(known.contains(&import.as_str()), "{import} of {name}");
            }
        }
    }
}
