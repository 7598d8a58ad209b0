//! What a file is, by its first bytes: what it is called is not believed.

use image::ImageFormat;

/// Bytes of a text that are looked at for what it is.
const LOOKED_AT: usize = 1024;
/// What is said of all that is not read.
const SAVE_AS: &str = "save it as JPEG, PNG or WebP";
/// What is said of what servers send in place of a picture.
const DOWNLOAD: &str = "as servers send where they have no picture; download the picture again";

/// Which of the formats that are read.
pub(super) fn of(bytes: &[u8]) -> Result<ImageFormat, String> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Gif | Bmp)) => Ok(format),
        _ => Err(refusal(bytes)),
    }
}

/// What a file is that is not read, and what to do.
fn refusal(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if let Some(name) = binary(bytes) {
        return format!("it is {name}, which is not read; {SAVE_AS}");
    }
    match text(bytes) {
        Some(Text::Svg) => format!("it is SVG, which is not read; {SAVE_AS}"),
        Some(Text::Html) => format!("it is an HTML page, {DOWNLOAD}"),
        Some(Text::Xml) => format!("it is XML, {DOWNLOAD}"),
        Some(Text::Json) => format!("it is JSON, {DOWNLOAD}"),
        Some(Text::LfsPointer) => {
            "it is a pointer of Git LFS to a picture; fetch the pictures with 'git lfs pull'"
                .to_owned()
        }
        Some(Text::Other) => "it is text, and not a picture".to_owned(),
        None => format!("it is no JPEG, PNG, WebP, GIF or BMP picture; {SAVE_AS}"),
    }
}

/// The name of a format that is known by its magic number.
fn binary(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"\0\0\x01\0", "an icon (ICO)"),
        (b"\0\0\x02\0", "a cursor (CUR)"),
        (b"%PDF-", "PDF"),
        (b"%!PS", "PostScript"),
        (b"8BPS", "a Photoshop document (PSD)"),
        (b"gimp xcf", "a GIMP document (XCF)"),
        (b"qoif", "QOI"),
        (b"DDS ", "DDS"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"PK\x05\x06", "an empty ZIP archive"),
        (b"\x1f\x8b", "compressed with gzip"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"\x1a\x45\xdf\xa3", "a video (WebM, Matroska)"),
    ];
    let by_magic = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    by_magic.map(|&(_, name)| name).or_else(|| boxed(bytes))
}

/// The name of a format of boxes, as AVIF is, by its brands.
fn boxed(bytes: &[u8]) -> Option<&'static str> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let brands = rest.strip_prefix(b"ftyp")?;
    let size = (u32::from_be_bytes(*size) as usize).clamp(12, LOOKED_AT);
    let brands = &brands[..brands.len().min(size - 8)];
    let has = |names: &[&[u8; 4]]| {
        brands
            .as_chunks::<4>()
            .0
            .iter()
            .any(|it| names.contains(&it))
    };
    Some(match () {
        () if has(&[b"avif", b"avis"]) => "AVIF",
        () if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"]) => "HEIC",
        () if has(&[b"mif1", b"msf1"]) => "HEIF",
        () => "a video (MP4)",
    })
}

enum Text {
    Svg,
    Html,
    Xml,
    Json,
    LfsPointer,
    Other,
}

/// Which kind of text it is, if it is text.
fn text(bytes: &[u8]) -> Option<Text> {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = &start[..start.len().min(LOOKED_AT)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character may be cut in two where one stops to look.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if valid
        .chars()
        .any(|it| it.is_control() && !it.is_ascii_whitespace())
    {
        return None;
    }
    let text = valid.trim_start().to_ascii_lowercase();
    let starts = |names: &[&str]| names.iter().any(|name| text.starts_with(name));
    Some(match () {
        () if starts(&["<svg", "<!doctype svg"]) => Text::Svg,
        () if starts(&["<!doctype html", "<html", "<head", "<body", "<title"]) => Text::Html,
        () if starts(&["<?xml", "<!--"]) && text.contains("<svg") => Text::Svg,
        () if starts(&["<?xml", "<!--", "<!doctype"]) && text.contains("<html") => Text::Html,
        () if starts(&["<"]) => Text::Xml,
        () if starts(&["{", "["]) => Text::Json,
        () if starts(&["version https://git-lfs"]) => Text::LfsPointer,
        () => Text::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_called_by_its_name() {
        let icon = b"\0\0\x01\0\x01\0\x10\x10".as_slice();
        let mp4 = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42".as_slice();
        for (bytes, name) in [
            (b"".as_slice(), "the file is empty"),
            (
                b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
                "AVIF, which is not read; save it as JPEG",
            ),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "HEIF"),
            (mp4, "a video (MP4)"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (icon, "ICO"),
            (b"%PDF-1.7\n", "PDF"),
            (b"PK\x03\x04\x14\0", "ZIP"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\xef\xbb\xbf\n <SVG xmlns='x'>", "SVG"),
            (b"<?xml version='1.0'?>\n<!-- made --><svg>", "SVG"),
            (
                b"\r\n<!DOCTYPE html><title>404</title>",
                "HTML page, as servers send",
            ),
            (b"<html lang=en>", "HTML page"),
            (
                b"<?xml version=\"1.0\"?><Error><Code>AccessDenied",
                "XML, as servers send",
            ),
            (b"<Error><Code>NoSuchKey", "XML"),
            (
                b"{\"status_code\":34,\"success\":false}",
                "JSON, as servers send",
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\noid",
                "git lfs pull",
            ),
            ("Ce n\u{2019}est pas une image".as_bytes(), "it is text"),
            (
                b"RIFF\x24\0\0\0WAVEfmt ",
                "no JPEG, PNG, WebP, GIF or BMP picture",
            ),
            (b"\x01\x02\x03", "no JPEG, PNG, WebP, GIF or BMP picture"),
        ] {
            let found = of(bytes).unwrap_err();
            assert!(found.contains(name), "{found}, not {name}");
        }
    }

    #[test]
    fn text_is_told_from_bytes_though_a_character_is_cut_where_looking_ends() {
        let long = "\u{e9}".repeat(LOOKED_AT);
        assert!(
            of(format!("x{long}").as_bytes())
                .unwrap_err()
                .contains("text")
        );
        assert!(of(b"x\0y").unwrap_err().contains("no JPEG"));
    }
}
