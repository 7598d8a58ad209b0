//! `processor_config.json` and `preprocessor_config.json` in Hugging Face's layout.

use serde::Deserialize;

use super::config::{BRIGHTEST, Middle, PictureRecipe, Resample, Resize, pixels};
use crate::Result;
use crate::models::json::{parse, unusable};
use crate::models::source::{ModelFiles, PREPROCESSOR, PROCESSOR, SmallFile};

/// Which of transformers' processors prepares pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processor {
    /// Resizes, then cuts out; `Bit`'s, which DINOv2's files name, is the same.
    Clip,
    /// Does both by one size.
    ConvNext,
    /// Resizes to a square, bicubic.
    Siglip,
    /// The same, bilinear.
    Vit,
}

/// What a model's files say of pictures.
pub(crate) struct Preprocessor {
    pub file: SmallFile,
    config: PreprocessorConfig,
}

impl Preprocessor {
    /// Looks for it in `folder`, which is empty or ends with `/`, as transformers does: of
    /// `processor_config.json` what it says of pictures, or else `preprocessor_config.json`.
    pub fn find(files: &ModelFiles, folder: &str) -> Result<Option<Self>> {
        if let Some(file) = files.read_optional(&format!("{folder}{PROCESSOR}"))? {
            let processor: ProcessorConfig = parse(&file)?;
            if let Some(config) = processor.image_processor {
                return Ok(Some(Self { file, config }));
            }
        }
        let Some(file) = files.read_optional(&format!("{folder}{PREPROCESSOR}"))? else {
            return Ok(None);
        };
        let config = parse(&file)?;
        Ok(Some(Self { file, config }))
    }

    /// What is done with a picture by the processor that is named, or else by the `usual` one; what
    /// the file leaves out is as in `default` for CLIP's, which holds without a file too.
    pub fn recipe(
        found: Option<&Self>,
        usual: Processor,
        default: PictureRecipe,
    ) -> Result<PictureRecipe> {
        let Some(Self { file, config }) = found else {
            return Ok(default);
        };
        let recipe = config.recipe(usual, default);
        recipe.map_err(|problem| unusable(file, problem))
    }

    /// The same for a model that takes pictures of the size that `default` leaves.
    ///
    /// # Errors
    /// A file that leaves another, which it calls `size`.
    pub fn recipe_of_one_size(
        found: Option<&Self>,
        usual: Processor,
        default: PictureRecipe,
        size: &str,
    ) -> Result<PictureRecipe> {
        let side = default.crop;
        let recipe = Self::recipe(found, usual, default)?;
        match found {
            Some(Self { file, .. }) if recipe.crop != side => {
                let crop = recipe.crop;
                let problem = format!("{size} is {crop}, but config.json has image_size {side}");
                Err(unusable(file, problem))
            }
            _ => Ok(recipe),
        }
    }
}

/// transformers 5 writes what it knows of pictures and of texts into one file.
#[derive(Deserialize)]
struct ProcessorConfig {
    image_processor: Option<PreprocessorConfig>,
}

/// The file's own words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PreprocessorConfig {
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    resample: Option<u32>,
    size: Option<Side>,
    crop_size: Option<Side>,
    crop_pct: Option<f64>,
    do_resize: Option<bool>,
    do_center_crop: Option<bool>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
}

/// Older files write a number where newer ones write an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Side {
    Number(u64),
    Shortest { shortest_edge: u64 },
    Box { height: u64, width: u64 },
    Other(serde_json::Value),
}

impl PreprocessorConfig {
    fn recipe(
        &self,
        usual: Processor,
        default: PictureRecipe,
    ) -> std::result::Result<PictureRecipe, String> {
        let processor = self.processor(usual)?.unwrap_or(usual);
        let default = match processor {
            Processor::ConvNext => PictureRecipe::convnext(),
            Processor::Clip if usual == Processor::Clip => default,
            Processor::Clip => PictureRecipe::clip(224),
            Processor::Siglip => PictureRecipe::siglip(224),
            Processor::Vit => PictureRecipe {
                resample: Resample::Bilinear,
                ..PictureRecipe::siglip(224)
            },
        };
        let resample = match self.resample {
            None => default.resample,
            // `PIL.Image.Resampling`.
            Some(0) => Resample::Nearest,
            Some(1) => Resample::Lanczos,
            Some(2) => Resample::Bilinear,
            Some(3) => Resample::Bicubic,
            Some(4) => Resample::Box,
            Some(5) => Resample::Hamming,
            Some(other) => return Err(format!("resample is {other}; filters are 0 to 5")),
        };
        let (resize, crop) = match processor {
            Processor::Clip => self.resized_and_cut(&default)?,
            Processor::Siglip | Processor::Vit => self.resized_to_square(&default)?,
            Processor::ConvNext => self.cut_by_share(&default)?,
        };
        let (mean, deviation) = match self.do_normalize {
            Some(false) => ([0.0; 3], [1.0; 3]),
            _ => (
                self.image_mean.unwrap_or(default.mean),
                self.image_std.unwrap_or(default.deviation),
            ),
        };
        let recipe = PictureRecipe {
            resize,
            resample,
            crop,
            // All of these are of transformers.
            middle: Middle::Floor,
            divisor: self.divisor()?,
            mean,
            deviation,
        };
        recipe.checked()
    }

    /// The one that the file names, or speaks the language of.
    fn processor(&self, usual: Processor) -> std::result::Result<Option<Processor>, String> {
        let named = self.image_processor_type.as_ref();
        if let Some(name) = named.or(self.feature_extractor_type.as_ref()) {
            return match name {
                _ if name.starts_with("ConvNext") => Ok(Some(Processor::ConvNext)),
                _ if name.starts_with("CLIP") => Ok(Some(Processor::Clip)),
                _ if name.starts_with("Bit") => Ok(Some(Processor::Clip)),
                _ if name.starts_with("SiglipI") => Ok(Some(Processor::Siglip)),
                _ if name.starts_with("ViTI") || name.starts_with("ViTF") => {
                    Ok(Some(Processor::Vit))
                }
                _ => Err(format!(
                    "pictures are to be prepared by {name}; supported are BitImageProcessor, \
                     CLIPImageProcessor, ConvNextImageProcessor, SiglipImageProcessor and \
                     ViTImageProcessor"
                )),
            };
        }
        // Of models whose processor is known nothing is to be told apart.
        if usual != Processor::ConvNext && self.crop_pct.is_none() {
            return Ok(None);
        }
        let is_box = matches!(self.size, Some(Side::Box { .. }));
        Ok(match (self.crop_pct, &self.crop_size) {
            (Some(_), _) => Some(Processor::ConvNext),
            (None, Some(_)) => Some(Processor::Clip),
            (None, None) => is_box.then_some(Processor::Clip),
        })
    }

    /// CLIP's: the shorter side, or both, become `size`, and `crop_size` is cut out.
    fn resized_and_cut(
        &self,
        default: &PictureRecipe,
    ) -> std::result::Result<(Resize, u32), String> {
        let size = side(&self.size, "size")?;
        let resize = match (self.do_resize, &self.size, size) {
            (Some(false), ..) => Resize::Keep,
            (_, Some(Side::Box { .. }), Some(side)) => Resize::Square(side),
            (_, _, Some(side)) => Resize::ShorterSide(side),
            (_, _, None) => default.resize,
        };
        if self.do_center_crop != Some(false) {
            let crop = side(&self.crop_size, "crop_size")?;
            return Ok((resize, crop.unwrap_or(default.crop)));
        }
        match resize {
            Resize::Square(side) => Ok((resize, side)),
            _ => Err(
                "do_center_crop is false: pictures that are not square would not be as the model \
                 takes them; give a size of height and width"
                    .to_owned(),
            ),
        }
    }

    /// SigLIP's and ViT's: both sides become `size`, and nothing is cut away.
    fn resized_to_square(
        &self,
        default: &PictureRecipe,
    ) -> std::result::Result<(Resize, u32), String> {
        for (name, found, supported) in [
            ("do_resize", self.do_resize, true),
            ("do_center_crop", self.do_center_crop, false),
        ] {
            if found.is_some_and(|found| found != supported) {
                return Err(format!(
                    "{name} is {}, which is not supported of pictures that become a square",
                    !supported
                ));
            }
        }
        if let Some(Side::Shortest { .. }) = self.size {
            return Err("size has to be height and width".to_owned());
        }
        let side = side(&self.size, "size")?.unwrap_or(default.crop);
        Ok((Resize::Square(side), side))
    }

    /// ConvNeXt's and ResNet's: what is cut out is `size`, which is a share of the shorter side.
    fn cut_by_share(&self, default: &PictureRecipe) -> std::result::Result<(Resize, u32), String> {
        for (name, found, supported) in [
            ("do_resize", self.do_resize, true),
            ("do_center_crop", self.do_center_crop, false),
        ] {
            if found.is_some_and(|found| found != supported) {
                return Err(format!(
                    "{name} is {}, which is not supported of ConvNextImageProcessor",
                    !supported
                ));
            }
        }
        if let Some(Side::Box { .. }) = self.size {
            return Err("size has to be that of the shorter side".to_owned());
        }
        let size = side(&self.size, "size")?.unwrap_or(default.crop);
        let share = self.crop_pct.unwrap_or(224.0 / 256.0);
        if !(share > 0.0 && share <= 1.0) {
            return Err(format!("crop_pct is {share}, not within 0 and 1"));
        }
        if size >= WARPED_FROM {
            return Ok((Resize::Square(size), size));
        }
        let short = pixels("size / crop_pct", (f64::from(size) / share) as u64)?;
        Ok((Resize::ShorterSide(short), size))
    }

    fn divisor(&self) -> std::result::Result<f32, String> {
        if self.do_rescale == Some(false) {
            return Ok(1.0);
        }
        let Some(factor) = self.rescale_factor else {
            return Ok(BRIGHTEST);
        };
        let divisor = (1.0 / factor) as f32;
        match factor > 0.0 && divisor.is_normal() {
            true => Ok(divisor),
            false => Err(format!(
                "rescale_factor is {factor}, which leaves no picture"
            )),
        }
    }
}

/// The side of a square, if it is given.
fn side(side: &Option<Side>, name: &str) -> std::result::Result<Option<u32>, String> {
    if let Some(Side::Other(found)) = side {
        return Err(format!(
            "{name} is {found}; supported are shortest_edge, or height and width"
        ));
    }
    match side.as_ref().map(Side::pixels) {
        Some(None) => Err(format!("{name} is not square")),
        Some(Some(side)) => pixels(name, side).map(Some),
        None => Ok(None),
    }
}

/// Pixels from which on ConvNeXt's processor cuts nothing away.
const WARPED_FROM: u32 = 384;

impl Side {
    /// `None` for a box that is not square.
    fn pixels(&self) -> Option<u64> {
        match self {
            Self::Number(pixels)
            | Self::Shortest {
                shortest_edge: pixels,
            } => Some(*pixels),
            Self::Box { height, width } => (height == width).then_some(*height),
            Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(json: &str) -> std::result::Result<PictureRecipe, String> {
        let config: PreprocessorConfig = serde_json::from_str(json).unwrap();
        config.recipe(Processor::Clip, PictureRecipe::clip(224))
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

    /// Made by `make_processors.py`.
    #[derive(Deserialize)]
    struct Golden {
        width: u32,
        height: u32,
        pixels: Vec<u8>,
        cases: Vec<Case>,
        warped_at_384: Corner,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        config: PreprocessorConfig,
        values: Vec<f32>,
    }

    /// Each so many pixels across and down.
    #[derive(Deserialize)]
    struct Corner {
        every: usize,
        values: Vec<f32>,
    }

    #[test]
    fn pictures_are_prepared_as_by_transformers_whatever_the_file_says() {
        let path = "../../tests/golden/encoders/processors.json";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let golden = std::fs::read(path).unwrap();
        let golden: Golden = serde_json::from_slice(&golden).unwrap();
        let picture = image::RgbImage::from_raw(golden.width, golden.height, golden.pixels);
        let picture = picture.unwrap();
        for case in golden.cases {
            let recipe = case.config.recipe(Processor::Clip, PictureRecipe::clip(8));
            let recipe = recipe.unwrap();
            let found = recipe.prepare_pixels(&picture).unwrap();
            // Two steps of a byte.
            let step = 2.0 / recipe.divisor;
            for (plane, (found, expected)) in
                (found.chunks(64).zip(case.values.chunks(64))).enumerate()
            {
                let most = 1.001 * step / recipe.deviation[plane];
                for (found, expected) in found.iter().zip(expected) {
                    let name = &case.name;
                    assert!(
                        (found - expected).abs() < most,
                        "{name}: {found} {expected}"
                    );
                }
            }
            assert_eq!(found.len(), case.values.len());
        }
        let config: PreprocessorConfig =
            serde_json::from_str(r#"{"size": {"shortest_edge": 384}}"#).unwrap();
        let recipe = config.recipe(Processor::ConvNext, PictureRecipe::imagenet());
        let found = recipe.unwrap().prepare_pixels(&picture).unwrap();
        let Corner { every, values } = golden.warped_at_384;
        let places = (0..3 * 384).filter(|row| row % every == 0);
        let places = places.flat_map(|row| (0..384).step_by(every).map(move |at| row * 384 + at));
        assert_eq!(places.clone().count(), values.len());
        for (place, expected) in places.zip(values) {
            let found = found[place];
            assert!(
                (found - expected).abs() < 4.01 / 255.0,
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (json, word) in [
            (r#"{"resample": 6}"#, "resample"),
            (r#"{"size": 100, "crop_size": 224}"#, "smaller"),
            (r#"{"size": 0}"#, "size is 0"),
            (r#"{"size": {"height": 3, "width": 4}}"#, "square"),
            (r#"{"size": {"longest_edge": 224}}"#, "longest_edge"),
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
            (
                r#"{"image_processor_type": "BlipImageProcessor"}"#,
                "by BlipImageProcessor",
            ),
            (r#"{"do_center_crop": false}"#, "do_center_crop"),
            (
                r#"{"crop_pct": 0.5, "do_resize": false}"#,
                "do_resize is false",
            ),
            (
                r#"{"crop_pct": 0.5, "do_center_crop": true}"#,
                "do_center_crop is true",
            ),
            (r#"{"rescale_factor": 0}"#, "rescale_factor"),
            (r#"{"rescale_factor": -1}"#, "rescale_factor"),
            (r#"{"image_mean": [0.5, 3e38, 0.5]}"#, "image_mean"),
            (r#"{"image_std": [1, 1e-45, 1]}"#, "image_std"),
        ] {
            let problem = recipe(json).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
