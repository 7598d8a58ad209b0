//! Posters and plots of a run, from files to [`Modality`]s.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mmdlrm_data::{IdMap, Modality, Poster, Summary};
use mmdlrm_encoders::Error::StoreInUse;
use mmdlrm_encoders::{
    EmbeddingStore, Encoded, ImageEncoder, Kind, LongTexts, TextEncoder, encode_posters,
    encode_summaries,
};

use crate::made_from::EncodersUsed;
use crate::{Error, Observer, Result, Stage};

/// How long a store that is in use is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The encoders of posters and plots, each loaded only if there is something for it
/// to encode.
#[non_exhaustive]
pub struct Encoders {
    /// Of posters.
    pub images: Option<Arc<dyn ImageEncoder>>,
    /// Of plots.
    pub texts: Option<Arc<dyn TextEncoder>>,
}

impl Encoders {
    /// What the vectors depend on beside posters and plots.
    pub(crate) fn used(&self) -> EncodersUsed {
        let Self { images, texts } = self;
        EncodersUsed {
            posters: images.as_ref().map(|it| it.image_identity().clone()),
            plots: texts.as_ref().map(|it| it.text_identity().clone()),
        }
    }

    /// What they are called; `None` of none.
    fn name(&self) -> Option<String> {
        let images = self.images.as_deref();
        let texts = self.texts.as_deref();
        let images = images.map(|encoder| &encoder.image_identity().model);
        let texts = texts.map(|encoder| &encoder.text_identity().model);
        match (images, texts) {
            (Some(images), Some(texts)) if images != texts => {
                Some(format!("{images} of posters, {texts} of plots"))
            }
            (images, texts) => images.or(texts).cloned(),
        }
    }

    /// Opens the store of what they embed. One that is in use is waited for: those who
    /// find all in it that they need have it for a moment.
    fn open_store(&self, path: &Path) -> Result<EmbeddingStore> {
        let start = Instant::now();
        loop {
            let mut store = EmbeddingStore::builder(path);
            if let Some(encoder) = &self.images {
                store = store.images(encoder.as_ref());
            }
            if let Some(encoder) = &self.texts {
                store = store.texts(encoder.as_ref());
            }
            match store.open() {
                Err(StoreInUse { .. }) if start.elapsed() < PATIENCE => sleep(PATIENCE / 100),
                opened => return Ok(opened?),
            }
        }
    }

    /// Tells one pair of models from another.
    fn hash(&self) -> String {
        let images = self.images.as_deref();
        let texts = self.texts.as_deref();
        let images = images.map(|encoder| encoder.image_identity().hash.as_str());
        let texts = texts.map(|encoder| encoder.text_identity().hash.as_str());
        match (images, texts) {
            (Some(images), Some(texts)) if images != texts => format!("{images}-{texts}"),
            (images, texts) => images.or(texts).unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Debug for Encoders {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Encoders")
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// Posters and plots, their encoders, and the store of what was computed.
pub struct ModalityEncoder {
    posters: Vec<Poster>,
    summaries: Vec<Summary>,
    encoders: Encoders,
    store: EmbeddingStore,
}

impl fmt::Debug for ModalityEncoder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("ModalityEncoder")
            .field("posters", &self.posters.len())
            .field("summaries", &self.summaries.len())
            .field("encoders", &self.encoders)
            .finish_non_exhaustive()
    }
}

/// What came of encoding.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Modalities {
    /// `image`, then `text`; each only where there is something of it.
    pub list: Vec<Modality>,
    /// Posters that were encoded.
    pub posters: usize,
    /// Posters that could not be read, and are treated as missing.
    pub broken_posters: usize,
    /// Rows of the table of posters that name no picture, or none of a movie there is.
    pub left_out_posters: usize,
    /// Plots that were encoded.
    pub summaries: usize,
    /// Plots that are blank, and are treated as missing.
    pub blank_summaries: usize,
    /// Rows of the table of plots of no movie there is.
    pub left_out_summaries: usize,
}

impl ModalityEncoder {
    /// With encoders that were loaded for these posters and plots.
    pub(crate) fn with(
        encoders: Encoders,
        long_texts: LongTexts,
        posters: Vec<Poster>,
        summaries: Vec<Summary>,
        folder: &Path,
    ) -> Result<Self> {
        let windows = match long_texts {
            LongTexts::Truncate => "",
            LongTexts::Chunk => "-chunked",
        };
        let name = format!("embeddings-{}{windows}.parquet", encoders.hash());
        Ok(Self {
            posters,
            summaries,
            store: encoders.open_store(&folder.join(name))?,
            encoders,
        })
    }

    /// What the encoders are called; `None` where nothing is to be encoded.
    pub fn name(&self) -> Option<String> {
        self.encoders.name()
    }

    /// Encodes what the store lacks; `movies` numbers the catalogue.
    ///
    /// # Errors
    /// A device that fails, a store that can no longer be written, or a vector that
    /// [cannot be used](Modality::standardized).
    pub fn encode(&mut self, movies: &IdMap, observer: &mut dyn Observer) -> Result<Modalities> {
        let mut modalities = Modalities::default();
        if let Some(encoder) = self.encoders.images.clone() {
            let encoded = self.encode_posters(encoder.as_ref(), observer)?;
            modalities.posters = encoded.vectors.len();
            modalities.broken_posters = encoded.failed.len();
            let width = encoder.image_width();
            modalities
                .list
                .push(modality(Kind::Image, width, &encoded, movies)?);
        }
        if let Some(encoder) = self.encoders.texts.clone() {
            let encoded = self.encode_summaries(encoder.as_ref(), observer)?;
            modalities.summaries = encoded.vectors.len();
            modalities.blank_summaries = encoded.failed.len();
            let width = encoder.text_width();
            modalities
                .list
                .push(modality(Kind::Text, width, &encoded, movies)?);
        }
        Ok(modalities)
    }

    fn encode_posters(
        &mut self,
        encoder: &dyn ImageEncoder,
        observer: &mut dyn Observer,
    ) -> Result<Encoded> {
        let posters: Vec<(u32, PathBuf)> = self
            .posters
            .iter()
            .map(|poster| (poster.movie_id, poster.path.clone()))
            .collect();
        observer.begin(Stage::EncodePosters, posters.len() as u64);
        let on_done = |done| observer.advance(done as u64);
        let encoded = encode_posters(encoder, &posters, &mut self.store, on_done)?;
        observer.end();
        note_failed(&encoded, "posters", observer)?;
        Ok(encoded)
    }

    fn encode_summaries(
        &mut self,
        encoder: &dyn TextEncoder,
        observer: &mut dyn Observer,
    ) -> Result<Encoded> {
        let summaries: Vec<(u32, &str)> = self
            .summaries
            .iter()
            .map(|summary| (summary.movie_id, summary.text.as_str()))
            .collect();
        observer.begin(Stage::EncodeSummaries, summaries.len() as u64);
        let on_done = |done| observer.advance(done as u64);
        let encoded = encode_summaries(encoder, &summaries, &mut self.store, on_done)?;
        observer.end();
        note_failed(&encoded, "summaries", observer)?;
        Ok(encoded)
    }
}

fn modality(kind: Kind, width: usize, encoded: &Encoded, movies: &IdMap) -> Result<Modality> {
    let vectors = encoded.vectors.iter();
    let vectors = vectors.map(|(id, vector)| (*id, vector.as_slice()));
    let modality = Modality::standardized(kind.name(), width, movies, vectors);
    Ok(modality?)
}

fn note_failed(encoded: &Encoded, what: &'static str, observer: &mut dyn Observer) -> Result<()> {
    let Some(first) = encoded.failed.first() else {
        return Ok(());
    };
    let count = encoded.failed.len();
    if encoded.vectors.is_empty() {
        let first = first.to_string();
        return Err(Error::NoneUsable { what, count, first });
    }
    observer.note(&format!(
        "{count} {what} could not be used and are treated as missing; the first: {first}"
    ));
    Ok(())
}
