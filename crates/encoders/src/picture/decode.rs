//! From the bytes of a picture to upright RGB.

use std::io::Cursor;

use image::error::{LimitError, LimitErrorKind};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits,
    RgbImage, Rgba, RgbaImage,
};

use super::{format, jpeg, short, webp};
use crate::error::Cause;
use crate::{Error, Result};

/// The longest side of a picture that is decoded, in pixels.
pub(crate) const LONGEST_SIDE: u32 = 20_000;
/// The most pixels of a picture that is decoded.
pub(super) const MOST_PIXELS: usize = 100_000_000;
/// The most memory that one picture may take while it is decoded, in bytes.
pub(super) const MOST_MEMORY: usize = 512 << 20;

/// A file that ends too early.
#[derive(Debug, thiserror::Error)]
#[error("the file is cut off; copy or download it again")]
pub(super) struct CutOff(#[source] Option<Cause>);

impl CutOff {
    /// Found without a decoder.
    pub(super) const fn plain() -> Self {
        Self(None)
    }

    /// Found by a decoder.
    pub(super) fn told_by(decoder: impl Into<Cause>) -> Self {
        Self(Some(decoder.into()))
    }
}

/// Decodes a JPEG, PNG, WebP, GIF or BMP file, of animations the first frame, within limits on
/// size and memory, turned as its EXIF data says. What is transparent is laid on white, as
/// transformers 5 does.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let picture = format::of(bytes)
        .map_err(Cause::from)
        .and_then(|format| guarded(bytes, format));
    match picture {
        Ok(picture) if picture.is_empty() => Err("the picture has no pixels".into()),
        other => other,
    }
    .map_err(|problem| Error::Picture { problem })
}

/// A picture from anywhere must not end a run of a day, whatever a decoder makes of it.
fn guarded(bytes: &[u8], format: ImageFormat) -> std::result::Result<RgbImage, Cause> {
    let decoded = std::panic::catch_unwind(|| match format {
        ImageFormat::Jpeg => jpeg::decode(bytes),
        ImageFormat::WebP => webp::whole(bytes).and_then(|bytes| by_image(bytes, format)),
        _ => by_image(bytes, format),
    });
    decoded.unwrap_or_else(|_| Err("the decoder panicked; save it as JPEG or PNG anew".into()))
}

/// What the decoders of `image` make of it, though its end may be missing where no pixel is.
fn by_image(bytes: &[u8], format: ImageFormat) -> std::result::Result<RgbImage, Cause> {
    match pixels(bytes, format) {
        Err(error) if is_early_end(&error) => {
            let ended = short::ended(bytes, format).and_then(|it| pixels(&it, format).ok());
            ended.ok_or_else(|| CutOff::told_by(error).into())
        }
        other => Ok(other?),
    }
}

fn pixels(bytes: &[u8], format: ImageFormat) -> ImageResult<RgbImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY as u64);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // Some decoders ask no leave for what they allocate, …
    limits.reserve(decoder.total_bytes())?;
    // … and use as much again on their way.
    let (width, height) = decoder.dimensions();
    if format != ImageFormat::Png && width as usize * height as usize > MOST_PIXELS {
        return Err(ImageError::Limits(LimitError::from_kind(
            LimitErrorKind::DimensionError,
        )));
    }
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(match picture.color().has_alpha() {
        true => on_white(&picture.into_rgba8()),
        false => picture.into_rgb8(),
    })
}

/// Whether a decoder wanted more bytes than there are.
fn is_early_end(error: &ImageError) -> bool {
    match error {
        ImageError::IoError(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        // What the decoder of GIF says; its type is its own.
        ImageError::Decoding(_) => error.to_string().ends_with("Unexpected End of File"),
        _ => false,
    }
}

/// Rounded as Pillow's `alpha_composite` does.
fn on_white(picture: &RgbaImage) -> RgbImage {
    const HALF: u32 = 128;
    let blend = |&Rgba([r, g, b, alpha]): &Rgba<u8>| {
        let alpha = u32::from(alpha);
        let mix = |colour: u8| {
            let sum = u32::from(colour) * alpha + 255 * (255 - alpha) + HALF;
            // Over 255, in place of a division.
            (((sum >> 8) + sum) >> 8) as u8
        };
        [mix(r), mix(g), mix(b)]
    };
    let mut out = RgbImage::new(picture.width(), picture.height());
    for (out, pixel) in out.pixels_mut().zip(picture.pixels()) {
        out.0 = blend(pixel);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// Of what is behind an error, the first that a decoder said.
    fn told(bytes: &[u8]) -> Box<dyn std::error::Error> {
        let error = decode(bytes).unwrap_err();
        let Error::Picture { problem } = error else {
            panic!("{error}");
        };
        match problem.downcast::<CutOff>() {
            Ok(cut_off) => cut_off.0.unwrap(),
            Err(other) => other,
        }
    }

    #[test]
    fn what_the_decoder_said_is_behind_the_error() {
        assert!(decode(b"\xff\xd8\xff\xe0").unwrap_err().source().is_some());
        assert!(told(b"\xff\xd8\xff\xe0").is::<libjpeg_turbo_rs::JpegError>());
        assert!(told(b"\x89PNG\r\n\x1a\n").is::<ImageError>());
        assert!(told(b"BM").is::<ImageError>());
    }

    /// By as many bytes as Pillow 13 does without.
    #[test]
    fn what_is_cut_off_is_read_where_no_pixel_is_missing() {
        const PNG: &[u8] = include_bytes!("../../fuzz/corpus/picture/small.png");
        const GIF: &[u8] = include_bytes!("../../fuzz/corpus/picture/palette.gif");
        const ANIMATED_GIF: &[u8] = include_bytes!("../../fuzz/corpus/picture/animated.gif");
        const BMP: &[u8] = include_bytes!("../../fuzz/corpus/picture/palette.bmp");
        const WEBP: &[u8] = include_bytes!("../../fuzz/corpus/picture/lossy.webp");
        const ANIMATED_WEBP: &[u8] = include_bytes!("../../fuzz/corpus/picture/animated.webp");
        for (whole, most, too_many) in [
            (PNG, 20, 40),
            (GIF, 2, 10),
            (ANIMATED_GIF, 1000, ANIMATED_GIF.len() - 500),
            (BMP, 2, 3),
            (WEBP, 0, 1),
            (ANIMATED_WEBP, 0, 1),
        ] {
            let picture = decode(whole).unwrap();
            for missing in 0..=most {
                let cut = &whole[..whole.len() - missing];
                assert_eq!(decode(cut).unwrap(), picture, "{missing}");
            }
            let error = decode(&whole[..whole.len() - too_many]).unwrap_err();
            assert!(error.to_string().contains("cut off"), "{error}");
        }
    }
}
