//! Without the feature `device`, models compute on a CPU.

use crate::{Error, Result};

#[derive(Clone)]
pub(crate) enum Device {
    Cpu,
}

pub(crate) fn device(name: &str) -> Result<Device> {
    let needs = |feature| Error::NeedsFeature {
        what: format!("the device {name}"),
        feature,
    };
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Err(needs("cuda")),
        "metal" => Err(needs("metal")),
        _ => Err(Error::Setting {
            setting: "device",
            value: name.to_owned(),
            rule: "it is none of cpu, cuda, metal",
        }),
    }
}
