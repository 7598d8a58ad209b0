//! Encoding whole folders of posters and tables of plots into a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::{EmbeddingStore, Error, ImageEncoder, Kind, Result, TextEncoder};

/// Pictures or texts that go through the model at a time, or as many as keep
/// the threads busy.
const AT_A_TIME: usize = 64;
/// Of these a thread's part.
const A_THREAD: usize = 6;
/// Batches of pictures that wait decoded while the model computes.
const PREFETCHED: usize = 2;
/// Bytes of the largest picture file that is read.
const LARGEST_FILE: u64 = 128 << 20;

/// The vectors of one kind for the movies that have one, and what went wrong
/// with the others.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Encoded {
    /// `(raw movie id, vector)`, in the order asked for.
    pub vectors: Vec<(u32, Vec<f32>)>,
    /// How many of them had to be computed; the others were in the store.
    pub computed: usize,
    /// Movies whose picture or text could not be used.
    pub failed: Vec<Failed>,
}

/// A picture or text that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// Raw id of its movie.
    pub movie_id: u32,
    /// The picture's file.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub problem: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "movie {}", self.movie_id)?;
        if let Some(path) = &self.path {
            write!(f, ", {}", path.display())?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// A picture on its way to the model.
struct PreparedPoster {
    movie_id: u32,
    source: u64,
    pixels: Vec<f32>,
}

/// What became of reading one picture.
enum Loaded {
    InStore(u32, u64),
    Poster(PreparedPoster),
    Failed(Failed),
}

/// Embeds the picture of each `(raw movie id, file)`, those in `store`
/// excepted, and keeps the new ones there: written group by group, and at the
/// end in order ([`EmbeddingStore::finish`]). Threads decode while the model
/// computes; a few hundred pictures are in memory at a time. `on_done` gets the
/// number of pictures dealt with as the work goes on.
///
/// A picture that cannot be used is logged, counted and left out.
///
/// # Errors
/// A store that was opened for another encoder, or for none; an encoder that does not give
/// each picture a vector of its width and of finite numbers; a movie with two pictures; a
/// device that fails, or a store that cannot be written.
pub fn encode_posters(
    encoder: &dyn ImageEncoder,
    posters: &[(u32, PathBuf)],
    store: &mut EmbeddingStore,
    mut on_done: impl FnMut(usize),
) -> Result<Encoded> {
    store.check(Kind::Image, encoder.image_identity(), encoder.image_width())?;
    refuse_twice(Kind::Image, posters.iter().map(|&(movie_id, _)| movie_id))?;
    let mut encoded = Encoded::default();
    let mut sources = Vec::with_capacity(posters.len());
    std::thread::scope(|scope| {
        let (send, ready) = sync_channel::<Vec<Loaded>>(PREFETCHED);
        let stored = store.sources(Kind::Image);
        let loader = scope.spawn(move || {
            for posters in posters.chunks(at_a_time()) {
                let load = |poster: &(u32, PathBuf)| load_poster(encoder, poster, &stored);
                // A closed channel means that the other side gave up.
                if send.send(posters.par_iter().map(load).collect()).is_err() {
                    break;
                }
            }
        });
        for loaded in ready {
            let done = loaded.len();
            let mut batch = Pending::new(Kind::Image, &encoder.image_identity().model);
            let mut pixels = Vec::new();
            for poster in loaded {
                match poster {
                    Loaded::InStore(movie_id, source) => sources.push((movie_id, source)),
                    Loaded::Poster(poster) => {
                        sources.push((poster.movie_id, poster.source));
                        batch.keys.push((poster.movie_id, poster.source));
                        pixels.push(poster.pixels);
                    }
                    Loaded::Failed(failed) => encoded.fail(failed),
                }
            }
            encoded.computed += pixels.len();
            batch.keep(store, || encoder.encode_images(&pixels))?;
            on_done(done);
        }
        // A loader that panicked closes the channel too.
        if let Err(panic) = loader.join() {
            resume_unwind(panic);
        }
        Ok::<(), Error>(())
    })?;
    store.finish()?;
    encoded.vectors = from_store(store, Kind::Image, &sources)?;
    Ok(encoded)
}

/// Embeds the text of each `(raw movie id, text)`, as [`encode_posters`] does
/// pictures. A blank text counts as one that cannot be used.
///
/// # Errors
/// As for [`encode_posters`]; a tokenizer that refuses a text.
pub fn encode_summaries(
    encoder: &dyn TextEncoder,
    summaries: &[(u32, &str)],
    store: &mut EmbeddingStore,
    mut on_done: impl FnMut(usize),
) -> Result<Encoded> {
    store.check(Kind::Text, encoder.text_identity(), encoder.text_width())?;
    refuse_twice(Kind::Text, summaries.iter().map(|&(movie_id, _)| movie_id))?;
    let mut encoded = Encoded::default();
    let mut sources = Vec::with_capacity(summaries.len());
    for summaries in summaries.chunks(at_a_time()) {
        let mut batch = Pending::new(Kind::Text, &encoder.text_identity().model);
        let mut texts = Vec::new();
        for &(movie_id, text) in summaries {
            if text.trim().is_empty() {
                encoded.fail(Failed {
                    movie_id,
                    path: None,
                    problem: "the text is blank".to_owned(),
                });
                continue;
            }
            let source = xxh3_64(text.as_bytes());
            sources.push((movie_id, source));
            if store.get(movie_id, Kind::Text, source).is_none() {
                batch.keys.push((movie_id, source));
                texts.push(text);
            }
        }
        encoded.computed += texts.len();
        batch.keep(store, || encoder.encode_texts(&texts))?;
        on_done(summaries.len());
    }
    store.finish()?;
    encoded.vectors = from_store(store, Kind::Text, &sources)?;
    Ok(encoded)
}

/// What goes through an encoder together.
struct Pending<'a> {
    kind: Kind,
    /// What the encoder is called.
    encoder: &'a str,
    /// Of each picture or text the movie and the hash of its bytes.
    keys: Vec<(u32, u64)>,
}

impl<'a> Pending<'a> {
    fn new(kind: Kind, encoder: &'a str) -> Self {
        let keys = Vec::new();
        Self {
            kind,
            encoder,
            keys,
        }
    }

    /// Keeps a vector for each key.
    fn keep(
        self,
        store: &mut EmbeddingStore,
        encode: impl FnOnce() -> Result<Vec<Vec<f32>>>,
    ) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let vectors = encode().map_err(|error| self.of_movie(error))?;
        if vectors.len() != self.keys.len() {
            return Err(Error::VectorCount {
                encoder: self.encoder.to_owned(),
                kind: self.kind,
                found: vectors.len(),
                expected: self.keys.len(),
            });
        }
        for ((movie_id, source), vector) in self.keys.into_iter().zip(vectors) {
            store.insert(movie_id, self.kind, source, vector)?;
        }
        Ok(())
    }

    /// Names the movie where the encoder knows only a place in the batch.
    fn of_movie(&self, error: Error) -> Error {
        match error {
            Error::Embedding { row, problem } if row < self.keys.len() => Error::Vector {
                movie_id: self.keys[row].0,
                kind: self.kind,
                encoder: self.encoder.to_owned(),
                problem,
            },
            other => other,
        }
    }
}

/// Of how many that fail a line is logged.
const TOLD: usize = 20;

/// Two pictures or texts of one movie: the store has room for one.
fn refuse_twice(kind: Kind, movie_ids: impl Iterator<Item = u32>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for movie_id in movie_ids {
        if !seen.insert(movie_id) {
            return Err(Error::Twice { movie_id, kind });
        }
    }
    Ok(())
}

impl Encoded {
    fn fail(&mut self, failed: Failed) {
        match self.failed.len() {
            0..TOLD => tracing::warn!("treated as missing: {failed}"),
            TOLD => tracing::warn!("treated as missing: others too, which are counted"),
            _ => {}
        }
        self.failed.push(failed);
    }
}

fn at_a_time() -> usize {
    AT_A_TIME.max(A_THREAD * rayon::current_num_threads())
}

fn load_poster(
    encoder: &dyn ImageEncoder,
    (movie_id, path): &(u32, PathBuf),
    stored: &BTreeMap<u32, u64>,
) -> Loaded {
    let movie_id = *movie_id;
    let failed = |problem: String| {
        Loaded::Failed(Failed {
            movie_id,
            path: Some(path.clone()),
            problem,
        })
    };
    let bytes = match read_picture(path) {
        Ok(bytes) => bytes,
        Err(problem) => return failed(problem),
    };
    let source = xxh3_64(&bytes);
    if stored.get(&movie_id) == Some(&source) {
        return Loaded::InStore(movie_id, source);
    }
    match encoder.prepare_image(&bytes) {
        Ok(pixels) => Loaded::Poster(PreparedPoster {
            movie_id,
            source,
            pixels,
        }),
        Err(error) => failed(error.to_string()),
    }
}

/// The bytes of a file of a sane size.
fn read_picture(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let problem = |error: std::io::Error| error.to_string();
    let kind = std::fs::metadata(path).map_err(problem)?.file_type();
    if !kind.is_file() {
        // A pipe would never end.
        return Err(match kind.is_dir() {
            true => "it is a directory".to_owned(),
            false => "it is not a regular file".to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(problem)?;
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(problem)?;
    match bytes.len() as u64 > LARGEST_FILE {
        true => Err(format!("it is larger than {} MiB", LARGEST_FILE >> 20)),
        false => Ok(bytes),
    }
}

/// The vectors of all that is asked for and could be used.
fn from_store(
    store: &EmbeddingStore,
    kind: Kind,
    sources: &[(u32, u64)],
) -> Result<Vec<(u32, Vec<f32>)>> {
    let vector = |&(movie_id, source)| match store.get(movie_id, kind, source) {
        Some(vector) => Ok((movie_id, vector.to_vec())),
        None => Err(Error::Compute(
            format!(
                "the store has lost the {} embedding of movie {movie_id}",
                kind.name()
            )
            .into(),
        )),
    };
    sources.iter().map(vector).collect()
}

#[cfg(test)]
mod tests;
