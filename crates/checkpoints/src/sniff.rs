//! What a file is that is no checkpoint, by how it begins.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::Problem;
use crate::error::on_a_line;

/// Bytes that are looked at: the name of the tar format stands at 257.
const LOOKED_AT: usize = 512;
const TAR_MARK: std::ops::Range<usize> = 257..262;
/// Mark at the beginning, and whose it is.
const MARKS: [(&[u8], &str); 9] = [
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, in place of the file it stands for; run `git lfs pull`, or download the file itself",
    ),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "an array of numpy"),
    (b"GGUF", "a GGUF file"),
    (b"PAR1", "a Parquet file"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
];

/// How a file begins that may be a checkpoint.
pub(crate) enum Beginning {
    Zip,
    Pickle,
}

/// Looks at the beginning of a file, which is left at its start.
pub(crate) fn beginning(file: &mut File) -> Result<Beginning, Problem> {
    let mut bytes = Vec::new();
    file.take(LOOKED_AT as u64).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(0))?;
    match bytes.as_slice() {
        [b'P', b'K', ..] => Ok(Beginning::Zip),
        // PROTO.
        [0x80, ..] => Ok(Beginning::Pickle),
        bytes if bytes.get(TAR_MARK) == Some(b"ustar") => Err(tar()),
        bytes => Err(Problem::OtherFile(other(bytes))),
    }
}

fn tar() -> Problem {
    Problem::OtherKind(
        "a tar archive: PyTorch before 0.1.10 wrote such checkpoints; load it with PyTorch and save its state_dict again"
            .to_owned(),
    )
}

fn other(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty file".to_owned();
    }
    if let Some((_, what)) = MARKS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return (*what).to_owned();
    }
    // The length of a header, and the header, which is JSON.
    if let Some((&length, [b'{', ..])) = bytes.split_first_chunk()
        && u64::from_le_bytes(length) < 1 << 32
    {
        return "a safetensors file; give it where weights of safetensors are asked for".to_owned();
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return "a file that begins with zeros, as a download that was cut off leaves it"
            .to_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start();
    let small = text.to_lowercase();
    if small.starts_with("<!doctype html") || small.starts_with("<html") {
        return "a page of HTML: a page to log in, say, saved in place of the file".to_owned();
    }
    let is_text = bytes
        .iter()
        .all(|&byte| byte >= b' ' || byte.is_ascii_whitespace());
    let line = text.lines().next().unwrap_or_default();
    match is_text && bytes.len() > 1 {
        true => format!("a text that begins with '{:.60}'", on_a_line(line)),
        false => {
            let first: Vec<String> = bytes
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!(
                "a file of another kind (it begins with the bytes {})",
                first.join(" ")
            )
        }
    }
}
