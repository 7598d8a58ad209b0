//! What happens to a picture before a model sees it.

use crate::models::limits::MOST_PIXELS;
use crate::picture::LONGEST_SIDE;

/// What happens to a picture before a model sees it: checked by [`PictureRecipe::checked`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PictureRecipe {
    pub resize: Resize,
    pub resample: Resample,
    /// Side of the square that is cut out of the middle.
    pub crop: u32,
    /// Where the middle lies if what is left over is odd.
    pub middle: Middle,
    /// What a byte is divided by.
    pub divisor: f32,
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

/// The largest byte.
pub(super) const BRIGHTEST: f32 = 255.0;

/// Of what is left over on both sides, which may be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Middle {
    /// Less is cut away before: transformers.
    Floor,
    /// As many as the nearest even number: torchvision.
    HalfToEven,
}

impl Middle {
    /// How much of `over` is cut away before.
    pub(super) fn before(self, over: u32) -> u32 {
        match self {
            Self::Floor => over / 2,
            Self::HalfToEven => over / 2 + u32::from(over % 4 == 3),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resize {
    /// The shorter side becomes this long.
    ShorterSide(u32),
    /// Both sides do.
    Square(u32),
    /// It stays as it is.
    Keep,
}

/// Pillow's filters of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    Nearest,
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

impl Resample {
    /// At most how many pixels on either side of one are looked at, where none are left out.
    pub(super) fn reach(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            _ => 2.0,
        }
    }
}

impl PictureRecipe {
    /// CLIP's, for pictures of `side`.
    pub fn clip(side: u32) -> Self {
        Self {
            resize: Resize::ShorterSide(side),
            resample: Resample::Bicubic,
            crop: side,
            middle: Middle::Floor,
            divisor: BRIGHTEST,
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
            middle: Middle::HalfToEven,
            divisor: BRIGHTEST,
            mean: [0.485, 0.456, 0.406],
            deviation: [0.229, 0.224, 0.225],
        }
    }

    /// DINOv2's files': 256 pixels, 224 of them cut out, bicubic.
    pub fn dinov2() -> Self {
        Self {
            resample: Resample::Bicubic,
            middle: Middle::Floor,
            ..Self::imagenet()
        }
    }

    /// SigLIP's, for pictures of `side`.
    pub fn siglip(side: u32) -> Self {
        Self {
            resize: Resize::Square(side),
            resample: Resample::Bicubic,
            crop: side,
            middle: Middle::Floor,
            divisor: BRIGHTEST,
            mean: [0.5; 3],
            deviation: [0.5; 3],
        }
    }

    /// transformers' `ConvNextImageProcessor`, which ResNets have too: what is resized is larger
    /// than what is cut out, or from 384 pixels on as large.
    pub(super) fn convnext() -> Self {
        Self {
            resize: Resize::Square(384),
            resample: Resample::Bicubic,
            crop: 384,
            middle: Middle::Floor,
            divisor: BRIGHTEST,
            mean: [0.5; 3],
            deviation: [0.5; 3],
        }
    }

    /// The same, cut out as torchvision does.
    pub fn cut_as_torchvision(self) -> Self {
        let middle = Middle::HalfToEven;
        Self { middle, ..self }
    }

    /// The same of pictures that are resized to a square, all of which is kept.
    pub fn squared(self, side: usize) -> std::result::Result<Self, String> {
        let side = pixels("the image size", side as u64)?;
        let recipe = Self {
            resize: Resize::Square(side),
            crop: side,
            ..self
        };
        recipe.checked()
    }

    /// A recipe that can be followed, or what is wrong with it.
    pub fn checked(self) -> std::result::Result<Self, String> {
        if let Resize::ShorterSide(side) | Resize::Square(side) = self.resize
            && side < self.crop
        {
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
        let brightest = BRIGHTEST / self.divisor;
        let levels = (mean.iter().zip(deviation))
            .flat_map(|(mean, deviation)| [0.0, brightest].map(|level| (level - mean) / deviation));
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
            Resize::Keep => "as it is,".to_owned(),
        };
        // As stores have it: in another spelling it would be another model.
        let scale = match self.divisor == BRIGHTEST {
            true => String::new(),
            false => format!(", over {}", self.divisor),
        };
        let filter = match self.resample {
            Resample::Nearest => "nearest",
            Resample::Box => "box",
            Resample::Bilinear => "bilinear",
            Resample::Hamming => "hamming",
            Resample::Bicubic => "bicubic",
            Resample::Lanczos => "lanczos",
        };
        let rounded = match self.middle {
            Middle::Floor => "",
            Middle::HalfToEven => " rounded to even",
        };
        format!(
            "{resize} {filter}, centre {}{rounded}, mean {:?}, deviation {:?}{scale}",
            self.crop, self.mean, self.deviation
        )
    }
}

/// The side of a picture.
pub(super) fn pixels(name: &str, side: u64) -> std::result::Result<u32, String> {
    match u32::try_from(side) {
        Ok(0) => Err(format!("{name} is 0")),
        Ok(side) if side <= LONGEST_SIDE => Ok(side),
        _ => Err(format!(
            "{name} is {side}; at most {LONGEST_SIDE} pixels are supported"
        )),
    }
}
