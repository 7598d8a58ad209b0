mod config;
mod layers;

use candle_core::{DType, Device, Tensor};
use candle_nn::Conv2d;
use std::fmt;

use self::config::ResNetConfig;
use self::layers::ResNet;
use crate::models::cpu::{Convolution, FeatureMap};
use crate::models::json::unusable;
use crate::models::layers::on_cpu;
use crate::models::recipe::{PictureRecipe, Preprocessor, Processor};
use crate::models::side_by_side::pictures_side_by_side;
use crate::models::source::{CONFIG, ModelFiles};
use crate::models::weights::{ModelHash, OF_HUGGING_FACE, weights_of};
use crate::{Identity, ImageEncoder, LoadOptions, Result};

/// The smallest side that survives all strides.
const SMALLEST_SIDE: u32 = 32;

/// ResNet (He et al., 2016) without its classifier: ResNet-50 by default, whose
/// pooled vector has 2048 numbers.
///
/// Weights may be named as transformers (`microsoft/resnet-50`) or as
/// torchvision and timm name them.
///
/// ```no_run
/// use mmdlrm_encoders::{ImageEncoder, LoadOptions, ResNetEncoder};
///
/// let resnet = ResNetEncoder::load("microsoft/resnet-50", &LoadOptions::default())?;
/// let picture = resnet.prepare_image(&std::fs::read("poster.jpg")?)?;
/// let vectors = resnet.encode_images(&[picture])?;
/// assert_eq!(vectors[0].len(), 2048);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ResNetEncoder {
    identity: Identity,
    network: Network,
    width: usize,
    recipe: PictureRecipe,
    device: Device,
    dtype: DType,
}

impl fmt::Debug for ResNetEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResNetEncoder")
            .field("identity", &self.identity)
            .field("width", &self.width)
            .field("device", &self.device)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl ResNetEncoder {
    /// Loads a model from a folder in Hugging Face layout (`config.json`,
    /// `model.safetensors`, `preprocessor_config.json`) or from the hub, as
    /// [`ClipEncoder::load`](crate::ClipEncoder::load) does.
    ///
    /// With an [`image_size`](LoadOptions::image_size) pictures are resized to a square of that
    /// side, all else being as it is without: as
    /// `preprocessor_config.json` or `processor_config.json` says, and where there is none, as torchvision
    /// does for ImageNet (256, of which 224 are cut out).
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others; an
    /// `image_size` below 32 or above 1024; an option that says nothing of pictures.
    pub fn load(dir_or_id: &str, options: &LoadOptions) -> Result<Self> {
        options.refuse_of_texts("a ResNet")?;
        let files = ModelFiles::find(dir_or_id, &[])?;
        let config_file = files.read(CONFIG)?;
        let config = ResNetConfig::read(&config_file)?;
        let weights = weights_of(&files, "", OF_HUGGING_FACE)?;
        let preprocessor = Preprocessor::find(&files, "")?;
        let named_by = preprocessor.as_ref().map_or(&config_file, |it| &it.file);
        let unusable = |problem: String| unusable(named_by, problem);
        let usual = PictureRecipe::imagenet();
        let recipe = Preprocessor::recipe(preprocessor.as_ref(), Processor::ConvNext, usual)?;
        let recipe = match options.image_size {
            Some(side) => recipe.squared(side).map_err(unusable)?,
            None => recipe,
        };
        let side = recipe.crop;
        if side < SMALLEST_SIDE {
            return Err(unusable(format!(
                "pictures of {side} pixels are too small; the network takes {SMALLEST_SIDE}"
            )));
        }
        if let Some(problem) = config.problem_of_pictures(side) {
            return Err(unusable(problem));
        }
        let mut hash = ModelHash::new();
        hash.update(&config_file.bytes);
        let network = options.weights(&files.name(), &weights, &mut hash, |weights| {
            Ok(match on_cpu(&weights) {
                true => Network::Cpu(ResNet::new(&config, &weights)?),
                false => Network::Device(ResNet::new(&config, &weights)?),
            })
        })?;
        let identity = Identity {
            model: files.name(),
            revision: files.revision(),
            pooling: "mean of the last stage".to_owned(),
            preprocessing: recipe.describe(),
            dtype: options.dtype.as_str().to_owned(),
            hash: hash.digest(),
        };
        Ok(Self {
            identity,
            network,
            width: config.width(),
            recipe,
            device: options.device.clone(),
            dtype: options.dtype,
        })
    }
}

impl ImageEncoder for ResNetEncoder {
    fn image_identity(&self) -> &Identity {
        &self.identity
    }

    fn image_width(&self) -> usize {
        self.width
    }

    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.recipe.prepare(bytes)
    }

    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let side = self.recipe.crop as usize;
        // On a CPU one at a time, on as many threads as there are.
        let rows = (1, 1);
        pictures_side_by_side(&self.device, pictures, self.recipe.crop, rows, |pixels| {
            let group = pixels.dim(0)?;
            match &self.network {
                Network::Device(network) => {
                    let last = network.forward(&pixels.to_dtype(self.dtype)?)?;
                    last.flatten_from(2)?.mean(2)
                }
                Network::Cpu(network) => {
                    let pixels = pixels.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()?;
                    let means = pixels.chunks_exact(3 * side * side).map(|picture| {
                        let picture = FeatureMap {
                            height: side,
                            width: side,
                            channels: 3,
                            data: picture.to_vec(),
                        };
                        Ok(network.forward(&picture)?.mean())
                    });
                    let means = means.collect::<candle_core::Result<Vec<_>>>()?;
                    Tensor::from_vec(means.concat(), (group, self.width), &self.device)
                }
            }
        })
    }
}

enum Network {
    /// On a CPU in f32.
    Cpu(ResNet<Convolution>),
    /// On any device, by candle's operations.
    Device(ResNet<Conv2d>),
}
