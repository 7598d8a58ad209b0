mod config;

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use candle_nn::VarBuilder;
use std::fmt;

use self::config::Dinov2Config;
use crate::models::cpu::Activation;
use crate::models::json::unusable;
use crate::models::layers::LayerNorm;
use crate::models::patches::Patches;
use crate::models::positions::resized;
use crate::models::recipe::{PictureRecipe, Preprocessor, Processor};
use crate::models::side_by_side::{ROWS_AT_A_TIME, pictures_side_by_side};
use crate::models::source::{CONFIG, ModelFiles};
use crate::models::transformer::{Keep, Names, Transformer, TransformerConfig};
use crate::models::weights::{ModelHash, OF_HUGGING_FACE, weights_of};
use crate::{Identity, ImageEncoder, LoadOptions, Result};

/// Those that files of every version have.
const NAMES: Names = Names {
    attention_norm: "norm1",
    query: "attention.attention.query",
    key: "attention.attention.key",
    value: "attention.attention.value",
    out: "attention.output.dense",
    mlp_norm: "norm2",
    up: "mlp.fc1",
    down: "mlp.fc2",
    scales: Some(("layer_scale1.lambda1", "layer_scale2.lambda1")),
};

/// … and where the MLP has a gate.
const GATED_NAMES: Names = Names {
    up: "mlp.weights_in",
    down: "mlp.weights_out",
    ..NAMES
};

/// DINOv2's vision transformer (Oquab et al., 2024), also with registers (Darcet et al., 2024).
///
/// A vector is that of the class token behind the last norm, `pooler_output` of transformers'
/// `Dinov2Model`: `[hidden_size]`, not normalized to length one. Pictures of another size than
/// the model was trained on have its positions resized, as there.
///
/// ```no_run
/// use mmdlrm_encoders::{Dinov2Encoder, ImageEncoder, LoadOptions};
///
/// let dinov2 = Dinov2Encoder::load("facebook/dinov2-base", &LoadOptions::default())?;
/// let picture = dinov2.prepare_image(&std::fs::read("poster.jpg")?)?;
/// let vectors = dinov2.encode_images(&[picture])?;
/// assert_eq!(vectors[0].len(), 768);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dinov2Encoder {
    identity: Identity,
    model: Dinov2Model,
    width: usize,
    recipe: PictureRecipe,
    device: Device,
    dtype: DType,
}

impl fmt::Debug for Dinov2Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dinov2Encoder")
            .field("identity", &self.identity)
            .field("width", &self.width)
            .field("device", &self.device)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl Dinov2Encoder {
    /// Loads a model from a folder in Hugging Face layout (`config.json`, weights,
    /// `preprocessor_config.json`) or from the hub, as
    /// [`ClipEncoder::load`](crate::ClipEncoder::load) does. Without a file that says how
    /// pictures are prepared, the shorter side becomes 256 pixels and 224 are cut out, as
    /// DINOv2's files say.
    ///
    /// With an [`image_size`](LoadOptions::image_size) pictures are resized to a square of that
    /// side.
    ///
    /// # Errors
    /// A file that is missing, damaged, or does not fit the others; an option that says nothing
    /// of pictures.
    pub fn load(dir_or_id: &str, options: &LoadOptions) -> Result<Self> {
        options.refuse_of_texts("a DINOv2")?;
        let files = ModelFiles::find(dir_or_id, &[])?;
        let config_file = files.read(CONFIG)?;
        let config = Dinov2Config::read(&config_file)?;
        let weights = weights_of(&files, "", OF_HUGGING_FACE)?;
        let preprocessor = Preprocessor::find(&files, "")?;
        let named_by = preprocessor.as_ref().map_or(&config_file, |it| &it.file);
        let usual = PictureRecipe::dinov2();
        let recipe = Preprocessor::recipe(preprocessor.as_ref(), Processor::Clip, usual)?;
        let recipe = match options.image_size {
            Some(side) => recipe
                .squared(side)
                .map_err(|problem| unusable(named_by, problem))?,
            None => recipe,
        };
        let grid = recipe.crop as usize / config.patch_size;
        let problem = match grid {
            0 => Some(format!(
                "pictures of {} pixels have no patch of {}",
                recipe.crop, config.patch_size
            )),
            _ => config.problem_of_rows(grid),
        };
        if let Some(problem) = problem {
            return Err(unusable(named_by, problem));
        }
        let mut hash = ModelHash::new();
        hash.update(&config_file.bytes);
        let model = options.weights(&files.name(), &weights, &mut hash, |weights| {
            Dinov2Model::new(&config, grid, &weights)
        })?;
        let identity = Identity {
            model: files.name(),
            revision: files.revision(),
            pooling: "class token".to_owned(),
            preprocessing: recipe.describe(),
            dtype: options.dtype.as_str().to_owned(),
            hash: hash.digest(),
        };
        Ok(Self {
            identity,
            model,
            width: config.hidden_size,
            recipe,
            device: options.device.clone(),
            dtype: options.dtype,
        })
    }
}

impl ImageEncoder for Dinov2Encoder {
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
        let (side, rows) = (self.recipe.crop, (ROWS_AT_A_TIME, self.model.rows));
        pictures_side_by_side(&self.device, pictures, side, rows, |pixels| {
            self.model.forward(&pixels.to_dtype(self.dtype)?)
        })
    }
}

struct Dinov2Model {
    patches: Patches,
    /// The class token with its position, then the registers, which have none:
    /// `[1 + registers, width]`.
    first: Tensor,
    /// `[grid · grid, width]`.
    positions: Tensor,
    transformer: Transformer,
    norm: LayerNorm,
    /// Of a picture.
    rows: usize,
}

impl Dinov2Model {
    /// For pictures of `grid` patches across.
    fn new(config: &Dinov2Config, grid: usize, weights: &VarBuilder) -> TensorResult<Self> {
        let width = config.hidden_size;
        // Models with a classifier keep the rest under a name of its own.
        let below = Dinov2Config::MODELS.map(|name| weights.pp(name));
        let weights = below
            .iter()
            .find(|below| below.contains_tensor("embeddings.cls_token"))
            .unwrap_or(weights);
        let embeddings = weights.pp("embeddings");
        let trained_on = config.grid();
        let positions = embeddings.get(
            (1, trained_on * trained_on + 1, width),
            "position_embeddings",
        )?;
        let class = (embeddings.get((1, 1, width), "cls_token")? + positions.narrow(1, 0, 1)?)?;
        let mut first = class.squeeze(0)?;
        let registers = config.registers();
        if registers > 0 {
            let registers = embeddings.get((1, registers, width), "register_tokens")?;
            first = Tensor::cat(&[first, registers.squeeze(0)?], 0)?;
        }
        let positions = positions
            .narrow(1, 1, trained_on * trained_on)?
            .squeeze(0)?;
        let positions = match grid == trained_on {
            true => positions,
            false => {
                let learned = positions.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                let size = (trained_on, grid);
                let resized = resized(&learned, width, size, config.has_registers);
                Tensor::from_vec(resized, (grid * grid, width), weights.device())?
                    .to_dtype(weights.dtype())?
            }
        };
        let (names, activation) = match config.use_swiglu_ffn {
            true => (&GATED_NAMES, Activation::SwiGlu),
            false => (&NAMES, config.hidden_act),
        };
        let transformer = TransformerConfig {
            keep: Keep::First,
            ..TransformerConfig::of(&config.sizes(grid), activation)
        };
        let has_bias = true;
        let patches = embeddings.pp("patch_embeddings.projection");
        Ok(Self {
            patches: Patches::read(width, config.patch_size, has_bias, &patches)?,
            rows: first.dim(0)? + grid * grid,
            first,
            positions,
            transformer: Transformer::new(transformer, names, weights.pp("encoder.layer"))?,
            norm: LayerNorm::read(width, config.layer_norm_eps, &weights.pp("layernorm"))?,
        })
    }

    /// `[batch, 3, side, side]` → `[batch, width]`.
    fn forward(&self, pixels: &Tensor) -> TensorResult<Tensor> {
        let patches = self
            .patches
            .forward(pixels)?
            .broadcast_add(&self.positions)?;
        let batch = patches.dim(0)?;
        let (first, width) = self.first.dims2()?;
        let first = self.first.unsqueeze(0)?.expand((batch, first, width))?;
        let x = Tensor::cat(&[&first, &patches], 1)?.flatten(0, 1)?;
        let class = self.transformer.forward(x, &vec![self.rows; batch])?;
        self.norm.forward(&class)
    }
}
