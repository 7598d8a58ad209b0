use xxhash_rust::xxh3::Xxh3;

/// Raised when the same model and inputs come to other vectors.
pub(super) const METHOD: &[u8] = b"mmdlrm-3";

/// Hash of a model's files, and of how they are used.
pub(crate) struct ModelHash(Xxh3);

impl ModelHash {
    pub fn new() -> Self {
        let mut hash = Xxh3::new();
        hash.update(METHOD);
        Self(hash)
    }

    /// Goes on with the content of a file, or a part of it.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn digest(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}
