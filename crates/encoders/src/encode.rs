//! Encoding whole folders of posters and tables of plots into a store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::{ClipEncoder, EmbeddingStore, Kind, Result};

/// Pictures that go through the model at a time.
const PICTURES_AT_A_TIME: usize = 32;
/// Texts that go through the model at a time.
const TEXTS_AT_A_TIME: usize = 32;
/// Batches of pictures that wait decoded while the model computes.
const PREFETCHED: usize = 2;
/// How much work may be lost when the process is killed.
const SAVED_EVERY: Duration = Duration::from_secs(30);

/// The vectors of one kind for the movies that have one, and what went wrong
/// with the others.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Encoded {
    /// `(raw movie id, vector)`, in the order asked for.
    pub vectors: Vec<(u32, Vec<f32>)>,
    /// How many of them had to be computed; the others were in the store.
    pub computed: usize,
    /// Movies whose picture could not be used.
    pub failed: Vec<FailedPicture>,
}

/// A picture that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedPicture {
    /// Raw id of its movie.
    pub movie_id: u32,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// A picture on its way to the model.
struct Prepared {
    movie_id: u32,
    source: u64,
    pixels: Vec<f32>,
}

/// What became of reading one picture.
enum Loaded {
    InStore(u32, u64),
    Prepared(Prepared),
    Failed(FailedPicture),
}

impl ClipEncoder {
    /// Embeds the picture of each `(raw movie id, file)`, those in `store`
    /// excepted, and keeps the new ones there; the store is saved now and then
    /// and at the end. `on_done` gets the number of pictures dealt with as the
    /// work goes on.
    ///
    /// A picture that cannot be used is logged, counted and left out.
    ///
    /// # Errors
    /// A device that fails, or a store that cannot be written.
    pub fn encode_posters(
        &self,
        posters: &[(u32, PathBuf)],
        store: &mut EmbeddingStore,
        mut on_done: impl FnMut(usize),
    ) -> Result<Encoded> {
        let mut encoded = Encoded::default();
        let mut sources = Vec::with_capacity(posters.len());
        let mut saved = Instant::now();
        std::thread::scope(|scope| {
            let (send, ready) = sync_channel::<Vec<Loaded>>(PREFETCHED);
            let (stored, clip) = (store.sources(Kind::Image), self);
            scope.spawn(move || {
                for posters in posters.chunks(PICTURES_AT_A_TIME) {
                    let load = |poster: &(u32, PathBuf)| clip.load_poster(poster, &stored);
                    // A closed channel means that the other side gave up.
                    if send.send(posters.par_iter().map(load).collect()).is_err() {
                        break;
                    }
                }
            });
            for loaded in ready {
                let done = loaded.len();
                let mut prepared = Vec::new();
                for poster in loaded {
                    match poster {
                        Loaded::InStore(movie_id, source) => sources.push((movie_id, source)),
                        Loaded::Prepared(poster) => {
                            sources.push((poster.movie_id, poster.source));
                            prepared.push(poster);
                        }
                        Loaded::Failed(failed) => {
                            tracing::warn!(
                                movie_id = failed.movie_id,
                                path = %failed.path.display(),
                                problem = failed.problem,
                                "poster treated as missing"
                            );
                            encoded.failed.push(failed);
                        }
                    }
                }
                encoded.computed += prepared.len();
                self.encode_prepared(prepared, store)?;
                save_now_and_then(store, &mut saved)?;
                on_done(done);
            }
            Ok::<(), crate::Error>(())
        })?;
        if encoded.computed > 0 {
            store.save()?;
        }
        encoded.vectors = from_store(store, Kind::Image, &sources);
        Ok(encoded)
    }

    /// Embeds the text of each `(raw movie id, text)`, as
    /// [`Self::encode_posters`] does pictures. Texts longer than the model
    /// takes are cut.
    ///
    /// # Errors
    /// A tokenizer that refuses a text, a device that fails, or a store that
    /// cannot be written.
    pub fn encode_summaries(
        &self,
        summaries: &[(u32, &str)],
        store: &mut EmbeddingStore,
        mut on_done: impl FnMut(usize),
    ) -> Result<Encoded> {
        let sources: Vec<(u32, u64)> = summaries
            .iter()
            .map(|&(movie_id, text)| (movie_id, xxh3_64(text.as_bytes())))
            .collect();
        let mut missing = sources
            .iter()
            .zip(summaries)
            .filter(|((movie_id, source), _)| store.get(*movie_id, Kind::Text, *source).is_none())
            .map(|(&(movie_id, source), (_, text))| Ok((movie_id, source, self.tokenize(text)?)))
            .collect::<Result<Vec<_>>>()?;
        on_done(summaries.len() - missing.len());
        // Texts of like length share a batch, so that little of it is padding.
        missing.sort_by_key(|(movie_id, _, tokens)| (tokens.len(), *movie_id));
        let mut saved = Instant::now();
        for batch in missing.chunks_mut(TEXTS_AT_A_TIME) {
            let tokens: Vec<Vec<u32>> = batch
                .iter_mut()
                .map(|(_, _, tokens)| std::mem::take(tokens))
                .collect();
            let vectors = self.encode_tokens(&tokens)?;
            for (&mut (movie_id, source, _), vector) in batch.iter_mut().zip(vectors) {
                store.insert(movie_id, Kind::Text, source, vector);
            }
            save_now_and_then(store, &mut saved)?;
            on_done(batch.len());
        }
        if !missing.is_empty() {
            store.save()?;
        }
        Ok(Encoded {
            vectors: from_store(store, Kind::Text, &sources),
            computed: missing.len(),
            failed: Vec::new(),
        })
    }

    fn load_poster(&self, (movie_id, path): &(u32, PathBuf), stored: &HashMap<u32, u64>) -> Loaded {
        let movie_id = *movie_id;
        let failed = |problem: String| {
            Loaded::Failed(FailedPicture {
                movie_id,
                path: path.clone(),
                problem,
            })
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return failed(error.to_string()),
        };
        let source = xxh3_64(&bytes);
        if stored.get(&movie_id) == Some(&source) {
            return Loaded::InStore(movie_id, source);
        }
        match self.prepare_picture(&bytes) {
            Ok(pixels) => Loaded::Prepared(Prepared {
                movie_id,
                source,
                pixels,
            }),
            Err(error) => failed(error.to_string()),
        }
    }

    fn encode_prepared(&self, prepared: Vec<Prepared>, store: &mut EmbeddingStore) -> Result<()> {
        let (keys, pixels): (Vec<_>, Vec<_>) = prepared
            .into_iter()
            .map(|picture| ((picture.movie_id, picture.source), picture.pixels))
            .unzip();
        for ((movie_id, source), vector) in keys.into_iter().zip(self.encode_pictures(&pixels)?) {
            store.insert(movie_id, Kind::Image, source, vector);
        }
        Ok(())
    }
}

fn save_now_and_then(store: &EmbeddingStore, saved: &mut Instant) -> Result<()> {
    if saved.elapsed() >= SAVED_EVERY {
        store.save()?;
        *saved = Instant::now();
    }
    Ok(())
}

fn from_store(store: &EmbeddingStore, kind: Kind, sources: &[(u32, u64)]) -> Vec<(u32, Vec<f32>)> {
    sources
        .iter()
        .filter_map(|&(movie_id, source)| {
            Some((movie_id, store.get(movie_id, kind, source)?.to_vec()))
        })
        .collect()
}
