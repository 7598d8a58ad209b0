//! Without the feature `generate-posters`, nothing can draw.

use std::path::Path;

use rand_chacha::ChaCha8Rng;

use super::world::Traits;
use crate::{Error, Result};

pub(super) fn write(_: &Path, _: u32, _: &Traits, _: &mut ChaCha8Rng) -> Result<String> {
    Err(Error::setting(
        "contents of the folder to generate",
        true,
        "this was built without the feature generate-posters of mmdlrm-data; enable it, or leave \
         posters and plots out",
    ))
}
