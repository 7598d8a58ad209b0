//! The bytes of a file: how they come, and whether they are the right ones.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes that are read at a time.
pub(super) const BUFFER: usize = 256 << 10;

/// The bytes as they were before a server compressed them; `None` where nobody can tell how.
pub(super) fn decoded<'a>(
    encoding: Option<&str>,
    body: impl Read + 'a,
) -> std::io::Result<Option<Box<dyn Read + 'a>>> {
    let Some(encoding) = encoding else {
        return Ok(Some(Box::new(body)));
    };
    let mut body = BufReader::new(body);
    Ok(match encoding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Box::new(MultiGzDecoder::new(body))),
        "deflate" => {
            // zlib's, as the standard has it, or without its header, as some send it.
            let has_header = body
                .fill_buf()?
                .first()
                .is_some_and(|byte| byte & 0x0f == 8);
            match has_header {
                true => Some(Box::new(ZlibDecoder::new(body))),
                false => Some(Box::new(DeflateDecoder::new(body))),
            }
        }
        _ => None,
    })
}

/// How the name that the hub has for a file's bytes comes from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hash {
    /// Of large files.
    Sha256,
    /// Of small files, as git names them.
    Git,
}

impl Hash {
    /// That of a name; `None` where it is another server's, which says nothing of the bytes.
    pub fn of(etag: &str) -> Option<Self> {
        let is_hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match etag.len() {
            64 if is_hex => Some(Self::Sha256),
            40 if is_hex => Some(Self::Git),
            _ => None,
        }
    }

    /// The hash of a whole file.
    pub fn digest(self, file: &mut File) -> std::io::Result<String> {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        Ok(match self {
            Self::Sha256 => hex(&digest(Sha256::new(), file)?),
            Self::Git => hex(&digest(
                Sha1::new_with_prefix(format!("blob {length}\0")),
                file,
            )?),
        })
    }
}

fn digest<D: Digest>(mut digest: D, file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().to_vec()),
            read => digest.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
