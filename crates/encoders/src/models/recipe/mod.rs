//! From the bytes of a picture to the numbers that an encoder takes.

mod config;
mod preprocessor;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

pub(crate) use config::{PictureRecipe, Resample, Resize};
pub(crate) use preprocessor::{Preprocessor, Processor};

use crate::error::Cause;
use crate::picture::{LONGEST_SIDE, decode};
use crate::{Error, Result};

impl PictureRecipe {
    /// `[3, crop, crop]` from the bytes of a JPEG or PNG file.
    pub fn prepare(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.prepare_pixels(&decode(bytes)?)
    }

    /// The same of its pixels.
    fn prepare_pixels(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        Ok(self.normalize(&self.resize(picture)?))
    }

    /// The pixels that are cut out of the resized picture, as Pillow resizes:
    /// across, rounded to bytes, then down. Only what is cut out is computed.
    fn resize(&self, picture: &RgbImage) -> Result<Vec<u8>> {
        let (width, height) = (picture.width(), picture.height());
        let (new_width, new_height) = self.resized(width, height)?;
        let crop = self.crop;
        // Where the cut lies in the picture.
        let cut = |new: u32, old: u32| {
            let step = f64::from(old) / f64::from(new);
            let first = f64::from(self.middle.before(new - crop)) * step;
            (first, f64::from(crop) * step, step)
        };
        let (left, across, _) = cut(new_width, width);
        let (top, down, step) = cut(new_height, height);
        // Rows that the cut does not touch need no work.
        let reach = self.resample.reach() * step.max(1.0) + 2.0;
        let first_row = (top - reach).max(0.0) as u32;
        let last_row = ((top + down + reach).ceil() as u32).min(height);
        let row = 3 * width as usize;
        let rows = &picture.as_raw()[first_row as usize * row..last_row as usize * row];
        let band = (crop, last_row - first_row);
        let narrowed = self.resample(
            rows,
            (width, band.1),
            band,
            (left, 0.0, across, f64::from(band.1)),
        )?;
        let top = top - f64::from(first_row);
        self.resample(
            &narrowed,
            band,
            (crop, crop),
            (0.0, top, f64::from(crop), down),
        )
    }

    /// Width and height after resizing, before the cut.
    fn resized(&self, width: u32, height: u32) -> Result<(u32, u32)> {
        let short = match self.resize {
            Resize::Square(side) => return Ok((side, side)),
            Resize::Keep if width.min(height) < self.crop => {
                let problem = format!(
                    "the picture is {width} × {height}, smaller than the {} × {} that the model \
                     takes of it",
                    self.crop, self.crop
                );
                return Err(Error::Picture {
                    problem: problem.into(),
                });
            }
            Resize::Keep => return Ok((width, height)),
            Resize::ShorterSide(short) => u64::from(short),
        };
        // transformers and torchvision both truncate the longer side.
        let (width, height) = (u64::from(width), u64::from(height));
        let (width, height) = match width <= height {
            true => (short, short * height / width),
            false => (short * width / height, short),
        };
        match width.max(height) <= u64::from(LONGEST_SIDE) {
            true => Ok((width as u32, height as u32)),
            false => Err(Error::Picture {
                problem: "the picture is too long for its width".into(),
            }),
        }
    }

    /// Resizes the box `(left, top, width, height)` of a picture.
    fn resample(
        &self,
        pixels: &[u8],
        (width, height): (u32, u32),
        (new_width, new_height): (u32, u32),
        (left, top, box_width, box_height): (f64, f64, f64, f64),
    ) -> Result<Vec<u8>> {
        let error = |problem: Cause| Error::Picture { problem };
        let source = TypedImageRef::<U8x3>::from_buffer(width, height, pixels)
            .map_err(|e| error(e.into()))?;
        let mut out = vec![0; new_width as usize * new_height as usize * 3];
        let mut resized = TypedImage::<U8x3>::from_buffer(new_width, new_height, &mut out)
            .map_err(|e| error(e.into()))?;
        // What Pillow's filters of these names are.
        let algorithm = match self.resample {
            Resample::Nearest => ResizeAlg::Nearest,
            Resample::Box => ResizeAlg::Convolution(FilterType::Box),
            Resample::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Resample::Hamming => ResizeAlg::Convolution(FilterType::Hamming),
            // Of Catmull and Rom's coefficient, −½.
            Resample::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Resample::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        let options = ResizeOptions::new()
            .resize_alg(algorithm)
            .crop(left, top, box_width, box_height);
        // Typed, so that the code for a dozen other pixels is not built.
        Resizer::new()
            .resize_typed(&source, &mut resized, &options)
            .map_err(|e| error(e.into()))?;
        Ok(out)
    }

    /// `[3, crop, crop]` of `[crop, crop, 3]`, each channel's mean and
    /// deviation taken out.
    fn normalize(&self, pixels: &[u8]) -> Vec<f32> {
        let (pixels, _) = pixels.as_chunks::<3>();
        let mut planes = vec![0.0; 3 * pixels.len()];
        for (channel, plane) in planes.chunks_exact_mut(pixels.len()).enumerate() {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            let levels: [f32; 256] =
                std::array::from_fn(|byte| (byte as f32 / self.divisor - mean) / deviation);
            for (out, pixel) in plane.iter_mut().zip(pixels) {
                *out = levels[usize::from(pixel[channel])];
            }
        }
        planes
    }
}
