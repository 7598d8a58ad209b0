//! Where encoders and models compute.

pub(crate) use mmdlrm_encoders::Device;

use crate::Result;

/// The device of a name.
pub(crate) fn device(name: &str) -> Result<Device> {
    Ok(mmdlrm_encoders::device(name)?)
}
