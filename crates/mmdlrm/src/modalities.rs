//! Posters and plots of a run, from files to [`Modality`]s.

use std::path::{Path, PathBuf};

use mmdlrm_data::{IdMap, Modality, Poster, Summary};
use mmdlrm_encoders::{
    ClipEncoder, EmbeddingStore, Encoded, ImageEncoder, Kind, LoadOptions, LongTexts,
    encode_posters, encode_summaries,
};

use crate::{Encoder, Observer, Result, Stage};

/// An encoder and the store of what it has computed.
pub(crate) struct ModalityEncoder {
    clip: ClipEncoder,
    store: EmbeddingStore,
}

/// What came of encoding.
#[derive(Default)]
pub(crate) struct Modalities {
    pub list: Vec<Modality>,
    pub posters: usize,
    pub broken_posters: usize,
    pub summaries: usize,
}

impl ModalityEncoder {
    /// Loads the encoder, and opens the store in `folder`: one file a model, so
    /// that any later run finds it.
    pub fn open(
        encoder: &Encoder,
        options: &LoadOptions,
        summaries: &[Summary],
        folder: &Path,
    ) -> Result<Self> {
        let clip = match encoder {
            Encoder::Clip(dir_or_id) => ClipEncoder::load(dir_or_id, options)?,
            Encoder::Untrained { seed } => {
                let texts = summaries.iter().map(|summary| summary.text.as_str());
                ClipEncoder::untrained(*seed, texts, options)?
            }
        };
        let windows = match options.long_texts {
            LongTexts::Truncate => "",
            LongTexts::Chunk => "-chunked",
        };
        let hash = &clip.image_identity().hash;
        let name = format!("embeddings-{hash}{windows}.parquet");
        let store = EmbeddingStore::builder(folder.join(name))
            .images(&clip)
            .texts(&clip)
            .open()?;
        Ok(Self { clip, store })
    }

    /// What the encoder is called.
    pub fn name(&self) -> &str {
        self.clip.name()
    }

    /// Encodes what the store lacks; `movies` numbers the catalogue.
    pub fn encode(
        &mut self,
        posters: &[Poster],
        summaries: &[Summary],
        movies: &IdMap,
        observer: &mut dyn Observer,
    ) -> Result<Modalities> {
        let mut modalities = Modalities::default();
        if !posters.is_empty() {
            let encoded = self.encode_posters(posters, observer)?;
            modalities.posters = encoded.vectors.len();
            modalities.broken_posters = encoded.failed.len();
            modalities
                .list
                .push(self.modality(Kind::Image, &encoded, movies));
        }
        if !summaries.is_empty() {
            let encoded = self.encode_summaries(summaries, observer)?;
            modalities.summaries = encoded.vectors.len();
            modalities
                .list
                .push(self.modality(Kind::Text, &encoded, movies));
        }
        Ok(modalities)
    }

    fn encode_posters(
        &mut self,
        posters: &[Poster],
        observer: &mut dyn Observer,
    ) -> Result<Encoded> {
        let posters: Vec<(u32, PathBuf)> = posters
            .iter()
            .map(|poster| (poster.movie_id, poster.path.clone()))
            .collect();
        observer.begin(Stage::EncodePosters, posters.len() as u64);
        let on_done = |done| observer.advance(done as u64);
        let encoded = encode_posters(&self.clip, &posters, &mut self.store, on_done)?;
        observer.end();
        note_failed(&encoded, "posters", observer);
        Ok(encoded)
    }

    fn encode_summaries(
        &mut self,
        summaries: &[Summary],
        observer: &mut dyn Observer,
    ) -> Result<Encoded> {
        let summaries: Vec<(u32, &str)> = summaries
            .iter()
            .map(|summary| (summary.movie_id, summary.text.as_str()))
            .collect();
        observer.begin(Stage::EncodeSummaries, summaries.len() as u64);
        let on_done = |done| observer.advance(done as u64);
        let encoded = encode_summaries(&self.clip, &summaries, &mut self.store, on_done)?;
        observer.end();
        note_failed(&encoded, "summaries", observer);
        Ok(encoded)
    }

    fn modality(&self, kind: Kind, encoded: &Encoded, movies: &IdMap) -> Modality {
        let by_row = encoded
            .vectors
            .iter()
            .filter_map(|(id, vector)| Some((movies.row(*id)?, vector.as_slice())));
        Modality::standardised(kind.name(), self.clip.width(), movies.len(), by_row)
    }
}

fn note_failed(encoded: &Encoded, what: &str, observer: &mut dyn Observer) {
    if let Some(first) = encoded.failed.first() {
        observer.note(&format!(
            "{} {what} could not be used and are treated as missing; the first: {first}",
            encoded.failed.len(),
        ));
    }
}
