//! Lengths and hashes of files.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

/// Length and xxh3 hash of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pub bytes: u64,
    /// Of 128 bits, in hexadecimal digits.
    pub xxh3: String,
}

impl Digest {
    /// Of a whole file.
    pub(crate) fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 20];
        let mut hashed = Hashed::new(std::io::sink());
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hashed.finish().1),
                read => hashed.write_all(&buffer[..read])?,
            }
        }
    }
}

/// Hashes what passes through to `W`.
pub(crate) struct Hashed<W> {
    inner: W,
    bytes: u64,
    state: Box<Xxh3>,
}

impl<W> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            bytes: 0,
            state: Box::new(Xxh3::new()),
        }
    }

    /// Where it passed to, and the digest of all of it.
    pub(crate) fn finish(self) -> (W, Digest) {
        let digest = Digest {
            bytes: self.bytes,
            xxh3: format!("{:032x}", self.state.digest128()),
        };
        (self.inner, digest)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
