//! From the bytes of a picture to the pixels that CLIP takes.

use std::io::Cursor;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};

use crate::config::PreprocessorConfig;
use crate::{Error, Result};

/// The longest side of a picture that is decoded, in pixels.
const LONGEST_SIDE: u32 = 20_000;
/// The most memory that one picture may take while it is decoded, in bytes.
const MOST_MEMORY: u64 = 512 << 20;

/// Prepares pictures as `CLIPImageProcessor` does: the shorter side resized
/// (bicubic, antialiased, as Pillow does it), the centre cut out, channels
/// normalised.
pub(crate) struct Preprocessor {
    config: PreprocessorConfig,
    crop: usize,
}

impl Preprocessor {
    pub fn new(config: PreprocessorConfig, crop: usize) -> Self {
        Self { config, crop }
    }

    /// `[3, crop, crop]` from the bytes of a JPEG or PNG file.
    pub fn prepare(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.prepare_rgb(&decode(bytes)?)
    }

    fn prepare_rgb(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let short = self.config.shortest_edge();
        // transformers truncates the longer side.
        let (new_width, new_height) = if width <= height {
            (short, short * height / width)
        } else {
            (short * width / height, short)
        };
        let resized = resize(picture, new_width, new_height)?;
        let left = (new_width - self.crop) / 2;
        let top = (new_height - self.crop) / 2;
        let mut pixels = vec![0.0; 3 * self.crop * self.crop];
        for (channel, plane) in pixels.chunks_exact_mut(self.crop * self.crop).enumerate() {
            let (mean, deviation) = (
                self.config.image_mean[channel],
                self.config.image_std[channel],
            );
            for (y, row) in plane.chunks_exact_mut(self.crop).enumerate() {
                let start = ((top + y) * new_width + left) * 3 + channel;
                for (out, &byte) in row.iter_mut().zip(resized[start..].iter().step_by(3)) {
                    *out = (f32::from(byte) / 255.0 - mean) / deviation;
                }
            }
        }
        Ok(pixels)
    }
}

/// Decodes to upright RGB, within limits on size and memory.
fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let picture_error = |error: image::ImageError| Error::Picture {
        problem: error.to_string(),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Error::Picture {
            problem: error.to_string(),
        })?;
    if reader.format().is_none() {
        return Err(Error::Picture {
            problem: "not a JPEG or PNG picture".to_owned(),
        });
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(picture_error)?;
    let orientation = decoder.orientation().map_err(picture_error)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(picture_error)?;
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    if picture.is_empty() {
        return Err(Error::Picture {
            problem: "the picture has no pixels".to_owned(),
        });
    }
    Ok(picture)
}

/// Pillow's `BICUBIC`: Catmull–Rom, its support widened when shrinking.
fn resize(picture: &RgbImage, width: usize, height: usize) -> Result<Vec<u8>> {
    let error = |problem: String| Error::Picture { problem };
    let (width, height) = (u32::try_from(width), u32::try_from(height));
    let (Ok(width), Ok(height)) = (width, height) else {
        return Err(error("the picture is too long for its width".to_owned()));
    };
    if width > LONGEST_SIDE || height > LONGEST_SIDE {
        return Err(error("the picture is too long for its width".to_owned()));
    }
    let source =
        TypedImageRef::<U8x3>::from_buffer(picture.width(), picture.height(), picture.as_raw())
            .map_err(|e| error(e.to_string()))?;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut resized = TypedImage::<U8x3>::from_buffer(width, height, &mut pixels)
        .map_err(|e| error(e.to_string()))?;
    let bicubic = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    // Typed, so that the code for a dozen other pixels is not built.
    Resizer::new()
        .resize_typed(&source, &mut resized, &bicubic)
        .map_err(|e| error(e.to_string()))?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessor() -> Preprocessor {
        Preprocessor::new(PreprocessorConfig::default(), 224)
    }

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_plain_picture_of_any_shape_becomes_its_normalised_colour() {
        for (width, height) in [(1, 1), (300, 100), (50, 400), (224, 224)] {
            let picture = RgbImage::from_pixel(width, height, image::Rgb([255, 0, 51]));
            let pixels = preprocessor().prepare(&png(&picture.into())).unwrap();
            let expected = [1.0f32, 0.0, 0.2];
            for (channel, plane) in pixels.chunks(224 * 224).enumerate() {
                let config = PreprocessorConfig::default();
                let value =
                    (expected[channel] - config.image_mean[channel]) / config.image_std[channel];
                assert!(plane.iter().all(|x| (x - value).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn what_is_not_a_picture_is_refused() {
        let whole = png(&DynamicImage::new_rgb8(40, 40));
        let halved = &whole[..whole.len() / 2];
        for bytes in [&b"a text"[..], b"", halved] {
            assert!(matches!(
                preprocessor().prepare(bytes),
                Err(Error::Picture { .. })
            ));
        }
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
        let mut bytes = png(&DynamicImage::new_rgb8(1, 1));
        // Width and height of the header chunk, and its checksum.
        bytes[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = preprocessor().prepare(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("limit") || error.contains("dimension"),
            "{error}"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 {
                    crc >> 1 ^ 0xEDB8_8320
                } else {
                    crc >> 1
                }
            })
        })
    }
}
