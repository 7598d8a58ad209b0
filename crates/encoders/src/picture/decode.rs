//! From the bytes of a picture to upright RGB.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, Rgba, RgbaImage,
};
use libjpeg_turbo_rs::{Decoder, PixelFormat};

use crate::error::Cause;
use crate::{Error, Result};

/// The longest side of a picture that is decoded, in pixels.
pub(crate) const LONGEST_SIDE: u32 = 20_000;
/// The most pixels of a picture that is decoded.
const MOST_PIXELS: usize = 100_000_000;
/// The most memory that one picture may take while it is decoded, in bytes.
const MOST_MEMORY: usize = 512 << 20;
/// The most passes of a progressive JPEG: encoders make about ten, and a file
/// of a few kilobytes can ask for thousands.
const MOST_SCANS: u32 = 100;

/// Decodes a JPEG or PNG file within limits on size and memory, turned as its
/// EXIF data says. What is transparent is laid on white, as transformers 5 does.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let picture = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes),
        Ok(ImageFormat::Png) => png(bytes).map_err(Cause::from),
        _ if bytes.is_empty() => Err("the file is empty".into()),
        _ => Err("not a JPEG or PNG picture".into()),
    };
    match picture {
        Ok(picture) if picture.is_empty() => Err("the picture has no pixels".into()),
        other => other,
    }
    .map_err(|problem| Error::Picture { problem })
}

/// Equal to libjpeg-turbo's to the bit, and so to Pillow's: decoders differ by
/// up to 14 steps of 255 otherwise.
fn jpeg(bytes: &[u8]) -> std::result::Result<RgbImage, Cause> {
    // A picture from anywhere must not end a run of a day, whatever a decoder
    // makes of it.
    let decoded = std::panic::catch_unwind(|| jpeg_pixels(bytes));
    decoded.unwrap_or_else(|_| Err("the decoder panicked".into()))
}

fn jpeg_pixels(bytes: &[u8]) -> std::result::Result<RgbImage, Cause> {
    let info = libjpeg_turbo_rs::probe(bytes)?;
    let longest = info.width.max(info.height);
    if longest > LONGEST_SIDE as usize || info.width * info.height > MOST_PIXELS {
        let size = format!("{} × {}", info.width, info.height);
        return Err(format!("{size} pixels exceed the limit").into());
    }
    let four_inks = info.components == 4;
    let format = match four_inks {
        true => PixelFormat::Cmyk,
        false => PixelFormat::Rgb,
    };
    let decoded = Decoder::new(bytes)?
        .with_output_format(format)
        .with_max_memory(MOST_MEMORY)
        .with_scan_limit(MOST_SCANS)
        .with_stop_on_warning(true)
        .decode_image()?;
    let pixels = match four_inks {
        true => rgb_of_inks(&decoded.data),
        false => decoded.data,
    };
    let picture = RgbImage::from_raw(decoded.width as u32, decoded.height as u32, pixels)
        .ok_or("the decoder gave another number of pixels than it said")?;
    Ok(
        match info.exif_orientation.and_then(Orientation::from_exif) {
            None | Some(Orientation::NoTransforms) => picture,
            Some(orientation) => {
                let mut picture = DynamicImage::from(picture);
                picture.apply_orientation(orientation);
                picture.into_rgb8()
            }
        },
    )
}

/// Cyan, magenta, yellow and black, stored as how much light they leave (as
/// Adobe's programs do, and Pillow takes for granted), to RGB.
fn rgb_of_inks(inks: &[u8]) -> Vec<u8> {
    let (pixels, _) = inks.as_chunks::<4>();
    pixels
        .iter()
        .flat_map(|&[c, m, y, k]| {
            [c, m, y].map(|light| ((u32::from(light) * u32::from(k) + 127) / 255) as u8)
        })
        .collect()
}

fn png(bytes: &[u8]) -> image::ImageResult<RgbImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY as u64);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(match picture.color().has_alpha() {
        true => on_white(&picture.into_rgba8()),
        false => picture.into_rgb8(),
    })
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

    #[test]
    fn what_the_decoder_said_is_behind_the_error() {
        let jpeg = decode(b"\xff\xd8\xff\xe0").unwrap_err();
        assert!(jpeg.source().unwrap().is::<libjpeg_turbo_rs::JpegError>());
        let png = decode(b"\x89PNG\r\n\x1a\n").unwrap_err();
        assert!(png.source().unwrap().is::<image::ImageError>());
    }
}
