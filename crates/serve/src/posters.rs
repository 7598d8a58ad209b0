//! Posters, by the number of their movie: no name of a file ever comes with a request. They lie
//! where the run's folder says.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::limits::LARGEST_POSTER;

/// A picture, and its part of the memory for those that clients have not taken yet.
struct Picture {
    bytes: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Picture {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The picture, if it is one; `memory` counts KiB.
pub fn read(path: &Path, memory: Arc<Semaphore>) -> Result<Response, ApiError> {
    let gone = |_| ApiError::not_found("the poster cannot be read");
    // To open a pipe would wait for somebody who writes into it.
    if !path.is_file() {
        return Err(ApiError::not_found("the poster cannot be read"));
    }
    let file = File::open(path).map_err(gone)?;
    let size = file.metadata().map_err(gone)?.len();
    if size > LARGEST_POSTER as u64 {
        return Err(ApiError::not_found("the poster is too large"));
    }
    let kib = u32::try_from(size / 1024 + 1).unwrap_or(u32::MAX);
    let memory = memory.try_acquire_many_owned(kib);
    let memory = memory.map_err(|_| ApiError::busy("too many posters are asked for at once"))?;
    let mut bytes = Vec::new();
    // A file that grows meanwhile is cut, and no longer a picture.
    file.take(size).read_to_end(&mut bytes).map_err(gone)?;
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let kind = match bytes.as_slice() {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        _ if is_webp => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        _ => {
            let problem = "the poster is no JPEG, PNG, WebP, GIF or BMP";
            return Err(ApiError::not_found(problem));
        }
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let picture = Bytes::from_owner(Picture {
        bytes,
        _memory: memory,
    });
    Ok((headers, Body::from(picture)).into_response())
}
