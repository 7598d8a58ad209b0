//! ResNet's layers with the weight names of transformers and of torchvision.

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, VarBuilder};

use super::config::{LayerType, ResNetConfig};

/// PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

pub(super) struct ResNet {
    stem: Conv2d,
    layers: Vec<Layer>,
}

impl ResNet {
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
        for (stage, (&outputs, &depth)) in
            config.hidden_sizes.iter().zip(&config.depths).enumerate()
        {
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

    /// `[batch, 3, height, width]` → `[batch, channels]`.
    pub fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(pixels)?.relu()?;
        // After a rectifier zeros are as good as the −∞ of PyTorch's pooling.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let mut x = x.max_pool2d_with_stride(3, 2)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        x.flatten_from(2)?.mean(2)
    }
}

struct Layer {
    convolutions: Vec<Conv2d>,
    shortcut: Option<Conv2d>,
}

impl Layer {
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
        let shapes = match config.layer_type {
            LayerType::Basic => vec![
                shape(inputs, outputs, 3, stride),
                shape(outputs, outputs, 3, 1),
            ],
            LayerType::Bottleneck => {
                let reduced = outputs / 4;
                // The first paper's strides are in the first convolution, those
                // of the published weights in the second.
                let (first, second) = match config.downsample_in_bottleneck {
                    true => (stride, 1),
                    false => (1, stride),
                };
                vec![
                    shape(inputs, reduced, 1, first),
                    shape(reduced, reduced, 3, second),
                    shape(reduced, outputs, 1, 1),
                ]
            }
        };
        let convolutions = shapes.into_iter().enumerate();
        let shortcut = shape(inputs, outputs, 1, stride);
        Ok(Self {
            convolutions: convolutions
                .map(|(number, shape)| names.convolution(number, shape))
                .collect::<Result<_>>()?,
            shortcut: (inputs != outputs || stride != 1)
                .then(|| names.shortcut(shortcut))
                .transpose()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = x.clone();
        for (number, convolution) in self.convolutions.iter().enumerate() {
            if number > 0 {
                y = y.relu()?;
            }
            y = convolution.forward(&y)?;
        }
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x)?,
            None => x.clone(),
        };
        (x + y)?.relu()
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
fn folded(shape: Shape, convolution: VarBuilder, norm: VarBuilder) -> Result<Conv2d> {
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
    let config = Conv2dConfig {
        padding: side / 2,
        stride,
        ..Conv2dConfig::default()
    };
    Ok(Conv2d::new(
        kernel.to_dtype(dtype)?,
        Some(bias.to_dtype(dtype)?),
        config,
    ))
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

    fn stem(&self, shape: Shape) -> Result<Conv2d> {
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
    fn convolution(&self, number: usize, shape: Shape) -> Result<Conv2d> {
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

    fn shortcut(&self, shape: Shape) -> Result<Conv2d> {
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
