//! `preprocessor_config.json` in Hugging Face's layout.

use std::path::Path;

use serde::Deserialize;

use crate::json::read_json;
use crate::{Error, Result};

/// What happens to a picture before a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recipe {
    pub resize: Resize,
    pub resample: Resample,
    /// Side of the square that is cut out of the middle.
    pub crop: usize,
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// The shorter side becomes this long.
    ShorterSide(usize),
    /// Both sides do.
    Square(usize),
}

/// Pillow's filters of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    Bilinear,
    Bicubic,
}

impl Recipe {
    /// CLIP's, for pictures of `side`.
    pub fn clip(side: usize) -> Self {
        Self {
            resize: Resize::ShorterSide(side),
            resample: Resample::Bicubic,
            crop: side,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            deviation: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }

    /// torchvision's for models of ImageNet: 256 pixels, 224 of them cut out.
    pub fn imagenet() -> Self {
        Self {
            resize: Resize::ShorterSide(256),
            resample: Resample::Bilinear,
            crop: 224,
            mean: [0.485, 0.456, 0.406],
            deviation: [0.229, 0.224, 0.225],
        }
    }

    /// In words, for an identity.
    pub fn describe(&self) -> String {
        let resize = match self.resize {
            Resize::ShorterSide(side) => format!("shorter side {side}"),
            Resize::Square(side) => format!("{side} × {side}"),
        };
        let filter = match self.resample {
            Resample::Bilinear => "bilinear",
            Resample::Bicubic => "bicubic",
        };
        format!(
            "{resize} {filter}, centre {}, mean {:?}, deviation {:?}",
            self.crop, self.mean, self.deviation
        )
    }
}

/// The file's own words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PreprocessorConfig {
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    resample: Option<u32>,
    size: Option<Side>,
    crop_size: Option<Side>,
    do_center_crop: Option<bool>,
    crop_pct: Option<f64>,
}

/// Older files write a number where newer ones write an object.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Side {
    Number(usize),
    Shortest { shortest_edge: usize },
    Box { height: usize, width: usize },
}

impl PreprocessorConfig {
    /// Reads and checks the file; what it leaves out is as in `default`.
    pub fn read(path: &Path, default: Recipe) -> Result<Recipe> {
        let config: Self = read_json(path)?;
        config.recipe(default).map_err(|problem| Error::Config {
            path: path.to_owned(),
            problem,
        })
    }

    fn recipe(&self, default: Recipe) -> std::result::Result<Recipe, String> {
        let resample = match self.resample {
            None => default.resample,
            // `PIL.Image.Resampling`.
            Some(2) => Resample::Bilinear,
            Some(3) => Resample::Bicubic,
            Some(other) => {
                return Err(format!(
                    "resample is {other}; only 2 (bilinear) and 3 (bicubic) are supported"
                ));
            }
        };
        let pixels = |side: Option<Side>, name: &str| match side.map(Side::pixels) {
            Some(None) => Err(format!("{name} is not square")),
            Some(Some(0)) => Err(format!("{name} is 0")),
            Some(side) => Ok(side),
            None => Ok(None),
        };
        let size = pixels(self.size, "size")?;
        let (resize, crop) = match (self.crop_pct, size) {
            // ConvNeXt's and ResNet's: what is cut out is `size`.
            (Some(share), Some(size)) if share > 0.0 && share <= 1.0 => {
                (Resize::ShorterSide((size as f64 / share) as usize), size)
            }
            (Some(share), _) => return Err(format!("crop_pct is {share}, not within 0 and 1")),
            (None, size) => {
                let crop = pixels(self.crop_size, "crop_size")?;
                let crop = match (crop, self.do_center_crop) {
                    (Some(crop), _) => crop,
                    (None, Some(false)) => size.unwrap_or(default.crop),
                    (None, _) => default.crop,
                };
                let resize = match (self.size, size) {
                    (Some(Side::Box { .. }), Some(side)) => Resize::Square(side),
                    (_, Some(side)) => Resize::ShorterSide(side),
                    (_, None) => default.resize,
                };
                (resize, crop)
            }
        };
        let (Resize::ShorterSide(side) | Resize::Square(side)) = resize;
        if side < crop {
            return Err(format!("size {side} is smaller than crop_size {crop}"));
        }
        let deviation = self.image_std.unwrap_or(default.deviation);
        if !deviation.iter().all(|&deviation| deviation > 0.0) {
            return Err(format!("image_std {deviation:?} is not positive"));
        }
        Ok(Recipe {
            resize,
            resample,
            crop,
            mean: self.image_mean.unwrap_or(default.mean),
            deviation,
        })
    }
}

impl Side {
    /// `None` for a box that is not square.
    fn pixels(self) -> Option<usize> {
        match self {
            Self::Number(pixels)
            | Self::Shortest {
                shortest_edge: pixels,
            } => Some(pixels),
            Self::Box { height, width } => (height == width).then_some(height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(json: &str) -> std::result::Result<Recipe, String> {
        let config: PreprocessorConfig = serde_json::from_str(json).unwrap();
        config.recipe(Recipe::clip(224))
    }

    #[test]
    fn sizes_come_as_numbers_and_as_objects() {
        for json in [
            "{}",
            r#"{"size": 224, "crop_size": 224}"#,
            r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}"#,
        ] {
            assert_eq!(recipe(json), Ok(Recipe::clip(224)));
        }
    }

    #[test]
    fn a_share_of_the_picture_is_cut_out_as_resnet_s_files_say() {
        let found = recipe(r#"{"size": 224, "crop_pct": 0.875, "resample": 2}"#).unwrap();
        assert_eq!((found.resize, found.crop), (Resize::ShorterSide(256), 224));
        assert_eq!(found.resample, Resample::Bilinear);
    }

    #[test]
    fn nonsense_is_named() {
        for (json, word) in [
            (r#"{"resample": 0}"#, "resample"),
            (r#"{"size": 100, "crop_size": 224}"#, "smaller"),
            (r#"{"size": 0}"#, "size is 0"),
            (r#"{"size": {"height": 3, "width": 4}}"#, "square"),
            (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
            (r#"{"crop_pct": 7}"#, "crop_pct"),
        ] {
            let problem = recipe(json).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
