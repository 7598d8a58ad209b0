//! Posters, by the number of their movie: no name of a file ever comes from outside.

use std::path::Path;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// Bytes of a poster, at most.
pub const LARGEST: u64 = 10 << 20;

/// The picture, if it is one.
pub fn read(path: &Path) -> Result<Response, ApiError> {
    let gone = |_| ApiError::not_found("the poster cannot be read");
    let size = std::fs::metadata(path).map_err(gone)?.len();
    if size > LARGEST {
        return Err(ApiError::not_found("the poster is too large"));
    }
    let bytes = std::fs::read(path).map_err(gone)?;
    let kind = match bytes.as_slice() {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        _ => return Err(ApiError::not_found("the poster is no JPEG or PNG")),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}
