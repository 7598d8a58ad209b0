//! `preprocessor_config.json` in Hugging Face's layout.

use serde::Deserialize;

use crate::models::json::parse;
use crate::models::limits::MOST_PIXELS;
use crate::models::source::SmallFile;
use crate::picture::LONGEST_SIDE;
use crate::{Error, Result};

/// What happens to a picture before a model sees it: checked by [`PictureRecipe::checked`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PictureRecipe {
    pub resize: Resize,
    pub resample: Resample,
    /// Side of the square that is cut out of the middle.
    pub crop: u32,
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// The shorter side becomes this long.
    ShorterSide(u32),
    /// Both sides do.
    Square(u32),
}

/// Pillow's filters of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    Bilinear,
    Bicubic,
}

impl PictureRecipe {
    /// CLIP's, for pictures of `side`.
    pub fn clip(side: u32) -> Self {
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

    /// torchvision's `Resize((side, side))`.
    pub fn square(side: usize) -> std::result::Result<Self, String> {
        let side = pixels("the image size", side as u64)?;
        let recipe = Self {
            resize: Resize::Square(side),
            crop: side,
            ..Self::imagenet()
        };
        recipe.checked()
    }

    /// A recipe that can be followed, or what is wrong with it.
    fn checked(self) -> std::result::Result<Self, String> {
        let (Resize::ShorterSide(side) | Resize::Square(side)) = self.resize;
        if side < self.crop {
            return Err(format!(
                "size {side} is smaller than crop_size {}",
                self.crop
            ));
        }
        if self.crop as usize > MOST_PIXELS {
            return Err(format!(
                "pictures have {} pixels a side; at most {MOST_PIXELS} are supported",
                self.crop
            ));
        }
        let (mean, deviation) = (self.mean, self.deviation);
        if !deviation.iter().all(|&deviation| deviation > 0.0) {
            return Err(format!("image_std {deviation:?} is not positive"));
        }
        // The darkest and the brightest.
        let levels = (mean.iter().zip(deviation))
            .flat_map(|(mean, deviation)| [0.0, 1.0].map(|level| (level - mean) / deviation));
        match levels.into_iter().all(f32::is_finite) {
            true => Ok(self),
            false => Err(format!(
                "image_mean {mean:?} and image_std {deviation:?} leave no numbers of a picture"
            )),
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
    Number(u64),
    Shortest { shortest_edge: u64 },
    Box { height: u64, width: u64 },
}

impl PreprocessorConfig {
    /// Parses and checks the file; what it leaves out is as in `default`.
    pub fn read(file: &SmallFile, default: PictureRecipe) -> Result<PictureRecipe> {
        let config: Self = parse(file)?;
        config.recipe(default).map_err(|problem| Error::Config {
            path: file.path.clone(),
            problem: problem.into(),
        })
    }

    fn recipe(&self, default: PictureRecipe) -> std::result::Result<PictureRecipe, String> {
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
        let side = |side: Option<Side>, name: &str| match side.map(Side::pixels) {
            Some(None) => Err(format!("{name} is not square")),
            Some(Some(side)) => pixels(name, side).map(Some),
            None => Ok(None),
        };
        let size = side(self.size, "size")?;
        let (resize, crop) = match (self.crop_pct, size) {
            // ConvNeXt's and ResNet's: what is cut out is `size`.
            (Some(share), Some(size)) if share > 0.0 && share <= 1.0 => {
                let short = pixels("size / crop_pct", (f64::from(size) / share) as u64)?;
                (Resize::ShorterSide(short), size)
            }
            (Some(share), _) => return Err(format!("crop_pct is {share}, not within 0 and 1")),
            (None, size) => {
                let crop = side(self.crop_size, "crop_size")?;
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
        let recipe = PictureRecipe {
            resize,
            resample,
            crop,
            mean: self.image_mean.unwrap_or(default.mean),
            deviation: self.image_std.unwrap_or(default.deviation),
        };
        recipe.checked()
    }
}

/// The side of a picture.
fn pixels(name: &str, side: u64) -> std::result::Result<u32, String> {
    match u32::try_from(side) {
        Ok(0) => Err(format!("{name} is 0")),
        Ok(side) if side <= LONGEST_SIDE => Ok(side),
        _ => Err(format!(
            "{name} is {side}; at most {LONGEST_SIDE} pixels are supported"
        )),
    }
}

impl Side {
    /// `None` for a box that is not square.
    fn pixels(self) -> Option<u64> {
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

    fn recipe(json: &str) -> std::result::Result<PictureRecipe, String> {
        let config: PreprocessorConfig = serde_json::from_str(json).unwrap();
        config.recipe(PictureRecipe::clip(224))
    }

    #[test]
    fn sizes_come_as_numbers_and_as_objects() {
        for json in [
            "{}",
            r#"{"size": 224, "crop_size": 224}"#,
            r#"{"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}"#,
        ] {
            assert_eq!(recipe(json), Ok(PictureRecipe::clip(224)));
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
            (r#"{"size": 224, "crop_pct": 1e-300}"#, "crop_pct"),
            (
                r#"{"size": 4294967396, "crop_size": 100}"#,
                "size is 4294967396",
            ),
            (r#"{"size": 4294967396}"#, "size is 4294967396"),
            (r#"{"crop_size": 18446744073709551615}"#, "crop_size is"),
            (r#"{"size": {"shortest_edge": 4294967396}}"#, "size is"),
            (r#"{"size": {"height": 20001, "width": 20001}}"#, "size is"),
            (r#"{"size": 2000, "crop_size": 2000}"#, "2000 pixels a side"),
            (r#"{"image_mean": [0.5, 3e38, 0.5]}"#, "image_mean"),
            (r#"{"image_std": [1, 1e-45, 1]}"#, "image_std"),
        ] {
            let problem = recipe(json).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
