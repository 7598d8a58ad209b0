use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Identity, VectorProblem};

/// The vector of a place in the batch.
type Vector = fn(usize) -> Vec<f32>;

/// Gives each picture or text the vector that `vector` says, by its place in the
/// batch; `count` says how many in all.
struct Scripted {
    identity: Identity,
    count: fn(usize) -> usize,
    vector: Vector,
    batches: AtomicUsize,
}

fn scripted(count: fn(usize) -> usize, vector: Vector) -> Scripted {
    Scripted {
        identity: Identity::new("scripted", "1"),
        count,
        vector,
        batches: AtomicUsize::new(0),
    }
}

impl Scripted {
    fn encode(&self, count: usize) -> Result<Vec<Vec<f32>>> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        Ok((0..(self.count)(count)).map(self.vector).collect())
    }
}

impl TextEncoder for Scripted {
    fn text_identity(&self) -> &Identity {
        &self.identity
    }

    fn text_width(&self) -> usize {
        2
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.encode(texts.len())
    }
}

impl ImageEncoder for Scripted {
    fn image_identity(&self) -> &Identity {
        &self.identity
    }

    fn image_width(&self) -> usize {
        2
    }

    fn prepare_image(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        assert!(bytes != b"panic", "it is told to");
        Ok(vec![bytes.len() as f32])
    }

    fn encode_images(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        self.encode(pictures.len())
    }
}

/// Three posters and plots, encoded both.
fn encode(encoder: &Scripted, opened_for: &Scripted) -> [Result<Encoded>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let builder = EmbeddingStore::builder(folder.path().join("store.parquet"));
    let mut store = builder.images(opened_for).texts(opened_for).open().unwrap();
    let posters = [10, 11, 12].map(|movie_id| {
        let path = folder.path().join(format!("{movie_id}.jpg"));
        std::fs::write(&path, format!("poster {movie_id}")).unwrap();
        (movie_id, path)
    });
    let plots = [10, 11, 12].map(|movie_id| (movie_id, "a robot"));
    [
        encode_posters(encoder, &posters, &mut store, |_| {}),
        encode_summaries(encoder, &plots, &mut store, |_| {}),
    ]
}

fn numbers(place: usize) -> Vec<f32> {
    vec![place as f32, 1.0]
}

#[test]
fn an_encoder_that_gives_too_few_or_too_many_vectors_is_refused() {
    let counts: [fn(usize) -> usize; 3] = [|given| given - 1, |given| given + 1, |_| 0];
    for count in counts {
        let encoder = scripted(count, numbers);
        for (encoded, kind) in encode(&encoder, &encoder).into_iter().zip(Kind::ALL) {
            let error = encoded.unwrap_err();
            let expected = format!(
                "'scripted' gave {} vectors for 3 {}s",
                count(3),
                kind.name()
            );
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
    let encoder = scripted(|given| given, numbers);
    for encoded in encode(&encoder, &encoder) {
        let encoded = encoded.unwrap();
        let ids: Vec<u32> = encoded
            .vectors
            .iter()
            .map(|&(movie_id, _)| movie_id)
            .collect();
        assert_eq!(ids, [10, 11, 12]);
        assert_eq!(encoded.vectors[2].1, [2.0, 1.0]);
    }
}

#[test]
fn a_vector_of_another_width_or_not_of_numbers_is_refused_with_its_movie() {
    let vectors: [(Vector, &str); 3] = [
        (|place| vec![1.0; 2 + place % 2], "has 3 numbers, not 2"),
        (
            |place| vec![0.0, [1.0, f32::NAN, 1.0][place]],
            "has NaN in place 1",
        ),
        (
            |place| vec![[1.0, f32::INFINITY, 1.0][place], 0.0],
            "has inf in place 0",
        ),
    ];
    for (vector, problem) in vectors {
        let encoder = scripted(|given| given, vector);
        for (encoded, kind) in encode(&encoder, &encoder).into_iter().zip(Kind::ALL) {
            let error = encoded.unwrap_err().to_string();
            let movie = format!(
                "{} embedding of movie 11 by 'scripted' {problem}",
                kind.name()
            );
            assert!(error.contains(&movie), "{error}");
        }
    }
}

#[test]
fn a_place_in_the_batch_is_told_as_a_movie() {
    struct Failing(Identity);
    impl TextEncoder for Failing {
        fn text_identity(&self) -> &Identity {
            &self.0
        }
        fn text_width(&self) -> usize {
            2
        }
        fn encode_texts(&self, _: &[&str]) -> Result<Vec<Vec<f32>>> {
            let problem = VectorProblem::NotFinite {
                place: 4,
                value: f32::NAN,
            };
            Err(Error::Embedding { row: 1, problem })
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let encoder = Failing(Identity::new("failing", "1"));
    let builder = EmbeddingStore::builder(folder.path().join("store.parquet"));
    let mut store = builder.texts(&encoder).open().unwrap();
    let plots = [(5, "a"), (6, ""), (7, "b")];
    let error = encode_summaries(&encoder, &plots, &mut store, |_| {}).unwrap_err();
    assert!(
        matches!(error, Error::Vector { movie_id: 7, .. }),
        "{error}"
    );
}

#[test]
fn a_store_of_another_encoder_is_refused_before_anything_is_encoded() {
    let opened_for = scripted(|given| given, numbers);
    let mut encoder = scripted(|given| given, numbers);
    encoder.identity = Identity::new("rescripted", "2");
    for encoded in encode(&encoder, &opened_for) {
        let error = encoded.unwrap_err();
        assert!(matches!(error, Error::OtherModel { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains("'scripted'") && error.contains("'rescripted'"),
            "{error}"
        );
    }
    assert_eq!(encoder.batches.load(Ordering::SeqCst), 0);

    let folder = tempfile::tempdir().unwrap();
    let builder = EmbeddingStore::builder(folder.path().join("store.parquet"));
    let mut store = builder.images(&opened_for).open().unwrap();
    let error = encode_summaries(&opened_for, &[(1, "a")], &mut store, |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoEncoder {
                kind: Kind::Text,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_movie_with_two_texts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = scripted(|given| given, numbers);
    let builder = EmbeddingStore::builder(folder.path().join("store.parquet"));
    let mut store = builder.images(&encoder).texts(&encoder).open().unwrap();
    let plots = [(1, "a"), (2, "b"), (1, "c")];
    let error = encode_summaries(&encoder, &plots, &mut store, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Twice { movie_id: 1, .. }), "{error}");
    let posters = [(2, "a.jpg".into()), (2, "b.jpg".into())];
    let error = encode_posters(&encoder, &posters, &mut store, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Twice { movie_id: 2, .. }), "{error}");
}

#[test]
fn a_panic_while_decoding_is_not_the_end_of_the_posters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let encoder = scripted(|given| given, numbers);
    let poster = folder.path().join("1.jpg");
    std::fs::write(&poster, "panic").unwrap();
    let encoded = std::panic::catch_unwind(|| {
        let builder = EmbeddingStore::builder(&path).images(&encoder);
        let mut store = builder.open().unwrap();
        encode_posters(&encoder, &[(1, poster)], &mut store, |_| {})
    });
    let panic = encoded.unwrap_err();
    let message = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert_eq!(message, "it is told to");
}
