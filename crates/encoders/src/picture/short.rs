//! Files that lack something at their end, but no pixel: what Pillow opens all the same.

use image::ImageFormat;

const IEND: &[u8; 12] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The file with an end that its decoder takes; `None` where that cannot be made.
pub(super) fn ended(bytes: &[u8], format: ImageFormat) -> Option<Vec<u8>> {
    match format {
        ImageFormat::Png => ended_png(bytes),
        ImageFormat::Bmp => ended_bmp(bytes),
        _ => None,
    }
}

/// With what is there of the last part of the pixels as all of that part. Whether these are all
/// pixels, the decoder finds out.
fn ended_png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: usize = 8;
    const CHECKSUM: usize = 4;
    let mut at = SIGNATURE;
    let mut has_pixels = false;
    while let Some((head, rest)) = bytes.get(at..)?.split_first_chunk::<8>() {
        let (size, name) = head.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        let is_pixels = name == b"IDAT";
        has_pixels |= is_pixels;
        if let Some(whole) = size.checked_add(CHECKSUM).filter(|&it| it <= rest.len()) {
            at += head.len() + whole;
            continue;
        }
        let mut ended = bytes[..at].to_vec();
        if is_pixels {
            let data = &rest[..size.min(rest.len())];
            ended.extend((data.len() as u32).to_be_bytes());
            let checked = ended.len();
            ended.extend(name);
            ended.extend(data);
            ended.extend(crc32(&ended[checked..]).to_be_bytes());
        }
        ended.extend(IEND);
        return has_pixels.then_some(ended);
    }
    has_pixels.then(|| [&bytes[..at], IEND].concat())
}

/// The checksum of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
    let add = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, add)
}

/// With the bytes that fill up the last row, which hold no pixel.
fn ended_bmp(bytes: &[u8]) -> Option<Vec<u8>> {
    const ROWS_END_ON: u128 = 4;
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    // Wide enough for what any header says.
    let start = u128::from(number(10)?);
    let is_plain = matches!(number(30)?, 0 | 3);
    let (width, height) = (number(18)?, number(22)?.cast_signed().unsigned_abs());
    let bits = u128::from(number(28)? & 0xffff);
    let row = (u128::from(width) * bits).div_ceil(8);
    let whole_row = row.next_multiple_of(ROWS_END_ON);
    let pixels = whole_row * u128::from(height).checked_sub(1)? + row;
    let missing = (start + pixels - row + whole_row).checked_sub(bytes.len() as u128)?;
    let has_all = is_plain && missing <= whole_row - row;
    has_all.then(|| [bytes, &[0; ROWS_END_ON as usize][..missing as usize]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_png_has_the_checksum_that_is_computed() {
        assert_eq!(IEND[8..], crc32(b"IEND").to_be_bytes());
    }
}
