//! Prepares pictures of any bytes: each gives pixels of the right size, or is
//! refused with one line.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmdlrm_encoders::{ClipEncoder, ImageEncoder, LoadOptions};

static CLIP: LazyLock<ClipEncoder> =
    LazyLock::new(|| ClipEncoder::untrained(1, ["a robot"], &LoadOptions::default()).unwrap());

fuzz_target!(|bytes: &[u8]| {
    match CLIP.prepare_image(bytes) {
        Ok(pixels) => {
            assert_eq!(pixels.len(), 3 * 96 * 96);
            assert!(pixels.iter().all(|pixel| pixel.is_finite()));
        }
        Err(error) => {
            let error = error.to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(!error.contains("panicked"), "{error}");
        }
    }
});
