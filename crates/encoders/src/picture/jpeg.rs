//! JPEG, as libjpeg-turbo and so Pillow decode it.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use libjpeg_turbo_rs::{Decoder, JpegError, PixelFormat};

use super::decode::{CutOff, LONGEST_SIDE, MOST_MEMORY, MOST_PIXELS};
use crate::error::Cause;

/// The most passes of a progressive JPEG: encoders make about ten, and a file
/// of a few kilobytes can ask for thousands.
const MOST_SCANS: u32 = 100;

/// The marker that ends a JPEG.
const END: [u8; 2] = [0xff, 0xd9];

/// How much is borne with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    /// What libjpeg warns of and goes on from: grey where data are missing.
    Some,
}

/// Equal to libjpeg-turbo's to the bit, and so to Pillow's: decoders differ by
/// up to 14 steps of 255 otherwise. As there, a file that is damaged but has its end is decoded
/// as far as its data go, and one that lacks pixels is refused as cut off.
pub(super) fn decode(bytes: &[u8]) -> Result<RgbImage, Cause> {
    match pixels(bytes, Damage::None) {
        // Of one that is cut off no more than its end may be missing.
        Ok(picture) => Ok(picture),
        Err(strict) if !reaches_its_end(bytes) => Err(CutOff::told_by(strict).into()),
        Err(strict) => match strict.downcast_ref::<JpegError>() {
            Some(JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. }) => {
                Err(strict)
            }
            _ => pixels(bytes, Damage::Some),
        },
    }
}

fn pixels(bytes: &[u8], damage: Damage) -> Result<RgbImage, Cause> {
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
        .with_stop_on_warning(damage == Damage::None)
        .with_lenient(damage == Damage::Some)
        // Of a progressive JPEG whose later passes are missing, as libjpeg does by itself.
        .with_block_smoothing(damage == Damage::Some)
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

/// Whether the marker that ends a JPEG is found where libjpeg looks for it: behind a scan, not
/// within a segment, as a thumbnail's is.
fn reaches_its_end(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((marker, behind)) = next_marker(rest) {
        rest = match marker {
            _ if marker == END[1] => return true,
            // Those that stand alone: TEM, restarts, the start.
            0x01 | 0xd0..=0xd8 => behind,
            _ => {
                let Some(length) = behind.first_chunk::<2>() else {
                    return false;
                };
                let length = usize::from(u16::from_be_bytes(*length));
                match behind.get(length.max(2)..) {
                    Some(behind) => behind,
                    None => return false,
                }
            }
        };
    }
    false
}

/// The next marker, and what is behind it; what scans hold is passed over.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut pairs = bytes.windows(2).enumerate();
    let (at, pair) = pairs.find(|(_, pair)| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((pair[1], &bytes[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTER: &[u8] = include_bytes!("../../fuzz/corpus/picture/poster.jpg");
    const GREY: &[u8] = include_bytes!("../../fuzz/corpus/picture/grey.jpg");

    #[test]
    fn what_is_cut_off_is_refused_and_what_has_its_end_is_read() {
        for whole in [POSTER, GREY] {
            let picture = decode(whole).unwrap();
            for missing in (1..400).chain((400..whole.len()).step_by(97)) {
                match decode(&whole[..whole.len() - missing]) {
                    // The marker's own bytes.
                    Ok(all) => assert!(missing <= 2 && all == picture, "{missing}"),
                    Err(error) => assert!(error.is::<CutOff>(), "{missing}"),
                }
            }
            for missing in [3, 400, whole.len() / 2] {
                let ended = [&whole[..whole.len() - missing], b"\xff\xd9"].concat();
                assert_eq!(decode(&ended).unwrap().dimensions(), picture.dimensions());
            }
            for junk in [&b"\0"[..], b"\xff", b"\xff\xd8\xff", &[7; 300]] {
                assert_eq!(decode(&[whole, junk].concat()).unwrap(), picture);
            }
        }
    }
}
