//! Weights of PyTorch's checkpoints.

use candle_core::{Device, Error as TensorError, Result as TensorResult, Shape, Tensor, bail};
use half::{bf16, f16};
use mmdlrm_checkpoints::{Checkpoint, Dtype};
use std::path::Path;

use super::safetensors::WeightsProblem;

/// Opens a file, of which the model's tensors are wanted.
pub(super) fn open(path: &Path) -> Result<Checkpoint, WeightsProblem> {
    Ok(Checkpoint::open(path)?.into_model()?)
}

/// The tensor of a name, in the numbers that it is stored as.
pub(super) fn tensor(
    file: &Checkpoint,
    shape: Shape,
    name: &str,
    device: &Device,
) -> TensorResult<Tensor> {
    let Some(info) = file.tensor(name) else {
        return Err(TensorError::CannotFindTensor {
            path: name.to_owned(),
        });
    };
    if info.shape() != shape.dims() {
        return Err(TensorError::UnexpectedShape {
            msg: format!("shape mismatch for {name}"),
            got: info.shape().into(),
            expected: shape,
        });
    }
    match info.dtype() {
        Dtype::F32 => Tensor::from_vec(read::<f32>(file, name)?, shape, device),
        Dtype::F16 => Tensor::from_vec(read::<f16>(file, name)?, shape, device),
        Dtype::Bf16 => Tensor::from_vec(read::<bf16>(file, name)?, shape, device),
        Dtype::F64 => Tensor::from_vec(read::<f64>(file, name)?, shape, device),
        other => bail!("{name} is of type {other}, not float16, bfloat16, float32 or float64"),
    }
}

fn read<T: mmdlrm_checkpoints::Number>(file: &Checkpoint, name: &str) -> TensorResult<Vec<T>> {
    file.read(name).map_err(TensorError::wrap)
}
