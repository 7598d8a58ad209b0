use candle_core::{DType, Device};

use crate::error::Cause;
use crate::{Error, Result};

/// The device of a name: `cpu`, `cuda` (the first GPU) or `metal`.
///
/// # Errors
/// A name that is none of these, a build without the feature of that name, or
/// a machine without the device.
///
/// ```
/// assert!(mmdlrm_encoders::device("cpu").is_ok());
/// assert!(mmdlrm_encoders::device("tpu").is_err());
/// ```
pub fn device(name: &str) -> Result<Device> {
    let error = |problem: Cause| Error::Device {
        device: name.to_owned(),
        problem,
    };
    let built = |feature: bool| match feature {
        true => Ok(()),
        false => {
            let how = format!("this program was built without it; build with --features {name}");
            Err(error(how.into()))
        }
    };
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" => {
            built(cfg!(feature = "cuda"))?;
            Device::new_cuda(0).map_err(|problem| error(problem.into()))
        }
        "metal" => {
            built(cfg!(feature = "metal"))?;
            Device::new_metal(0).map_err(|problem| error(problem.into()))
        }
        _ => Err(error("it is none of cpu, cuda, metal".into())),
    }
}

/// The type of a name: `f32`, `f16` or `bf16`.
///
/// # Errors
/// A name that is none of these.
pub fn dtype(name: &str) -> Result<DType> {
    match name {
        "f32" => Ok(DType::F32),
        "f16" => Ok(DType::F16),
        "bf16" => Ok(DType::BF16),
        _ => Err(Error::Compute(
            format!("'{name}' is no type to compute with; choose f32, f16 or bf16").into(),
        )),
    }
}
