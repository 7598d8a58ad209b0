//! What is looked at in a WebP before it is decoded.

use super::decode::CutOff;
use crate::error::Cause;

/// `RIFF`, the size of what follows, `WEBP`.
const HEADER: usize = 12;
/// What stands before the chunks of a frame of an animation.
const FRAME_HEADER: usize = 16;

/// The file without what lies behind its end.
///
/// # Errors
/// A file that ends before its chunks do, as libwebp and so Pillow refuse it: nothing is then
/// allocated by a size that the file does not have.
pub(super) fn whole(bytes: &[u8]) -> Result<&[u8], Cause> {
    let size = bytes.get(4..).and_then(|it| it.first_chunk::<4>());
    let size = size.ok_or(CutOff::plain())?;
    let end = u64::from(u32::from_le_bytes(*size)) + 8;
    let end = usize::try_from(end).map_err(|_| CutOff::plain())?;
    let file = bytes.get(..end).ok_or(CutOff::plain())?;
    check_chunks(file.get(HEADER..).ok_or(CutOff::plain())?)?;
    Ok(file)
}

/// Refuses chunks that go on behind the end.
fn check_chunks(mut rest: &[u8]) -> Result<(), Cause> {
    while let Some((name, behind)) = rest.split_first_chunk::<4>() {
        let Some((size, behind)) = behind.split_first_chunk::<4>() else {
            break;
        };
        let size = u32::from_le_bytes(*size) as usize;
        let chunk = behind.get(..size);
        let chunk = chunk.ok_or("a part of it is said to be larger than the file")?;
        if let (b"ANMF", Some(frame)) = (name, chunk.get(FRAME_HEADER..)) {
            check_chunks(frame)?;
        }
        // A chunk of an odd size is followed by a byte of nothing.
        rest = behind.get(size + size % 2..).unwrap_or_default();
    }
    Ok(())
}
