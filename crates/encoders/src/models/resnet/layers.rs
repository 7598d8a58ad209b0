//! ResNet's layers with the weight names of transformers and of torchvision.

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, VarBuilder};

use super::config::{LayerType, ResNetConfig};
use crate::models::cpu::{Activation, Convolution, FeatureMap};

/// PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// A convolution and what it needs around it: this crate's own, of one picture,
/// or candle's, of a batch.
pub(super) trait Convolve: Sized {
    /// What lies between two layers.
    type Map;

    /// `kernel` is `[outputs, inputs, side, side]`, `bias` `[outputs]`; padded
    /// so that a stride of one keeps the size.
    fn new(kernel: &Tensor, bias: &Tensor, stride: usize) -> Result<Self>;

    /// The convolution, added to `onto`, and rectified.
    fn apply(&self, x: &Self::Map, onto: Option<Self::Map>, rectify: bool) -> Result<Self::Map>;

    /// The largest of 3 × 3, every other place.
    fn max_pool(x: &Self::Map) -> Result<Self::Map>;
}

impl Convolve for Convolution {
    type Map = FeatureMap;

    fn new(kernel: &Tensor, bias: &Tensor, stride: usize) -> Result<Self> {
        Self::new(kernel, bias, stride)
    }

    fn apply(&self, x: &FeatureMap, onto: Option<FeatureMap>, rectify: bool) -> Result<FeatureMap> {
        Ok(self.apply(x, onto, rectify.then_some(Activation::Relu)))
    }

    fn max_pool(x: &FeatureMap) -> Result<FeatureMap> {
        Ok(x.max_pool())
    }
}

impl Convolve for Conv2d {
    /// `[batch, channels, height, width]`.
    type Map = Tensor;

    fn new(kernel: &Tensor, bias: &Tensor, stride: usize) -> Result<Self> {
        let config = Conv2dConfig {
            padding: kernel.dim(3)? / 2,
            stride,
            ..Conv2dConfig::default()
        };
        Ok(Self::new(kernel.clone(), Some(bias.clone()), config))
    }

    fn apply(&self, x: &Tensor, onto: Option<Tensor>, rectify: bool) -> Result<Tensor> {
        let y = self.forward(x)?;
        let y = match onto {
            Some(onto) => (y + onto)?,
            None => y,
        };
        if rectify { y.relu() } else { Ok(y) }
    }

    fn max_pool(x: &Tensor) -> Result<Tensor> {
        // After a rectifier zeros are as good as the −∞ of PyTorch's pooling.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        x.max_pool2d_with_stride(3, 2)
    }
}

pub(super) struct ResNet<C> {
    stem: C,
    layers: Vec<Layer<C>>,
}

impl<C: Convolve> ResNet<C> {
    pub fn new(config: &ResNetConfig, weights: &VarBuilder) -> Result<Self> {
        let names = Names::of(weights);
        let stem = Shape {
            inputs: 3,
            outputs: config.embedding_size,
            side: 7,
            stride: 2,
        };
        let mut layers = Vec::new();
        let mut inputs = config.embedding_size;
        let stages = config.hidden_sizes.iter().zip(&config.depths);
        for (stage, (&outputs, &depth)) in stages.enumerate() {
            for layer in 0..depth {
                let halved = layer == 0 && (stage > 0 || config.downsample_in_first_stage);
                let stride = if halved { 2 } else { 1 };
                let names = names.layer(stage, layer);
                layers.push(Layer::new(config, (inputs, outputs), stride, &names)?);
                inputs = outputs;
            }
        }
        Ok(Self {
            stem: names.stem(stem)?,
            layers,
        })
    }

    /// Pictures to the last stage.
    pub fn forward(&self, pictures: &C::Map) -> Result<C::Map> {
        let mut x = C::max_pool(&self.stem.apply(pictures, None, true)?)?;
        for layer in &self.layers {
            x = layer.forward(x)?;
        }
        Ok(x)
    }
}

struct Layer<C> {
    first: C,
    /// The one between, of a bottleneck.
    middle: Option<C>,
    last: C,
    shortcut: Option<C>,
}

impl<C: Convolve> Layer<C> {
    fn new(
        config: &ResNetConfig,
        (inputs, outputs): (usize, usize),
        stride: usize,
        names: &LayerNames<'_>,
    ) -> Result<Self> {
        let shape = |inputs, outputs, side, stride| Shape {
            inputs,
            outputs,
            side,
            stride,
        };
        let (first, middle, last) = match config.layer_type {
            LayerType::Basic => (
                shape(inputs, outputs, 3, stride),
                None,
                shape(outputs, outputs, 3, 1),
            ),
            LayerType::Bottleneck => {
                let reduced = outputs / 4;
                // The first paper's strides are in the first convolution, those
                // of the published weights in the second.
                let (first, second) = match config.downsample_in_bottleneck {
                    true => (stride, 1),
                    false => (1, stride),
                };
                (
                    shape(inputs, reduced, 1, first),
                    Some(shape(reduced, reduced, 3, second)),
                    shape(reduced, outputs, 1, 1),
                )
            }
        };
        let shortcut = shape(inputs, outputs, 1, stride);
        Ok(Self {
            first: names.convolution(0, first)?,
            last: names.convolution(1 + usize::from(middle.is_some()), last)?,
            middle: middle
                .map(|middle| names.convolution(1, middle))
                .transpose()?,
            shortcut: (inputs != outputs || stride != 1)
                .then(|| names.shortcut(shortcut))
                .transpose()?,
        })
    }

    fn forward(&self, x: C::Map) -> Result<C::Map> {
        let mut y = self.first.apply(&x, None, true)?;
        if let Some(middle) = &self.middle {
            y = middle.apply(&y, None, true)?;
        }
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.apply(&x, None, false)?,
            None => x,
        };
        self.last.apply(&y, Some(around), true)
    }
}

#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    outputs: usize,
    side: usize,
    stride: usize,
}

/// A convolution and the batch norm after it, as one convolution.
fn folded<C: Convolve>(shape: Shape, convolution: VarBuilder, norm: VarBuilder) -> Result<C> {
    let Shape {
        inputs,
        outputs,
        side,
        stride,
    } = shape;
    let dtype = convolution.dtype();
    let kernel = convolution.get((outputs, inputs, side, side), "weight")?;
    // Folded in full precision, whatever is computed with later.
    let full = |name| norm.get(outputs, name)?.to_dtype(DType::F32);
    let deviation = (full("running_var")? + EPSILON)?.sqrt()?;
    let scale = (full("weight")? / deviation)?;
    let bias = (full("bias")? - (full("running_mean")? * &scale)?)?;
    let kernel = kernel
        .to_dtype(DType::F32)?
        .broadcast_mul(&scale.reshape((outputs, 1, 1, 1))?)?;
    C::new(&kernel.to_dtype(dtype)?, &bias.to_dtype(dtype)?, stride)
}

/// Who named the weights.
enum Names<'a> {
    Transformers(VarBuilder<'a>),
    Torchvision(VarBuilder<'a>),
}

impl<'a> Names<'a> {
    fn of(weights: &VarBuilder<'a>) -> Self {
        let stem = "embedder.embedder.convolution.weight";
        if weights.contains_tensor("conv1.weight") {
            Self::Torchvision(weights.clone())
        } else if weights.contains_tensor(stem) {
            Self::Transformers(weights.clone())
        } else {
            // With a classifier on top, the network has a name of its own.
            Self::Transformers(weights.pp("resnet"))
        }
    }

    fn stem<C: Convolve>(&self, shape: Shape) -> Result<C> {
        match self {
            Self::Transformers(weights) => {
                let stem = weights.pp("embedder.embedder");
                folded(shape, stem.pp("convolution"), stem.pp("normalization"))
            }
            Self::Torchvision(weights) => folded(shape, weights.pp("conv1"), weights.pp("bn1")),
        }
    }

    fn layer(&self, stage: usize, layer: usize) -> LayerNames<'a> {
        match self {
            Self::Transformers(weights) => LayerNames::Transformers(
                weights.pp(format!("encoder.stages.{stage}.layers.{layer}")),
            ),
            Self::Torchvision(weights) => {
                LayerNames::Torchvision(weights.pp(format!("layer{}.{layer}", stage + 1)))
            }
        }
    }
}

enum LayerNames<'a> {
    Transformers(VarBuilder<'a>),
    Torchvision(VarBuilder<'a>),
}

impl LayerNames<'_> {
    fn convolution<C: Convolve>(&self, number: usize, shape: Shape) -> Result<C> {
        match self {
            Self::Transformers(layer) => {
                let layer = layer.pp("layer").pp(number);
                folded(shape, layer.pp("convolution"), layer.pp("normalization"))
            }
            Self::Torchvision(layer) => folded(
                shape,
                layer.pp(format!("conv{}", number + 1)),
                layer.pp(format!("bn{}", number + 1)),
            ),
        }
    }

    fn shortcut<C: Convolve>(&self, shape: Shape) -> Result<C> {
        match self {
            Self::Transformers(layer) => {
                let layer = layer.pp("shortcut");
                folded(shape, layer.pp("convolution"), layer.pp("normalization"))
            }
            Self::Torchvision(layer) => {
                folded(shape, layer.pp("downsample.0"), layer.pp("downsample.1"))
            }
        }
    }
}
