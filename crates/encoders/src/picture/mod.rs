//! From the bytes of a picture to its pixels.

mod decode;
mod format;
mod jpeg;
mod short;
mod webp;

use image::codecs::jpeg::JpegEncoder;

#[cfg(feature = "models")]
pub(crate) use decode::LONGEST_SIDE;
pub(crate) use decode::decode;

use crate::{Error, Result};

/// Of the JPEGs that thumbnails are.
const THUMBNAIL_QUALITY: u8 = 80;

/// A small JPEG of a picture, the bytes of a JPEG, PNG, WebP, GIF or BMP file, to be looked at:
/// `height` pixels high, or as high as it is where it is smaller.
///
/// # Errors
/// [`Error::Picture`] for what is not a whole picture of a sane size.
pub fn thumbnail(bytes: &[u8], height: u32) -> Result<Vec<u8>> {
    let picture = decode(bytes)?;
    let height = height.clamp(1, picture.height());
    let width = u64::from(picture.width()) * u64::from(height);
    let width = (width / u64::from(picture.height())).max(1) as u32;
    let small = image::imageops::thumbnail(&picture, width, height);
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY);
    small
        .write_with_encoder(encoder)
        .map_err(|error| Error::Picture {
            problem: error.into(),
        })?;
    Ok(jpeg)
}
