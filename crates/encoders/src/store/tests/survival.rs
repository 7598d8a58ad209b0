//! What a kill, a cut or a deletion leaves behind.

use super::*;

#[test]
fn a_killed_process_loses_no_more_than_the_group_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let kept = killed(&path, &clip);
    let store = open(&path, &clip).unwrap();
    assert_eq!(store.vectors(Kind::Image).count(), kept);
    for (movie_id, found) in store.vectors(Kind::Image) {
        assert_eq!(found, vector(&clip, movie_id));
    }
}

#[test]
fn the_same_embeddings_give_the_same_bytes_whatever_happened_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["straight.parquet", "killed.parquet"].map(|name| folder.path().join(name));
    let clip = clip(1);
    let total = 3 * GROUP as u32;
    let mut straight = open(&paths[0], &clip).unwrap();
    for movie_id in 0..total {
        straight
            .insert(movie_id, Kind::Image, 1, vector(&clip, movie_id))
            .unwrap();
    }
    straight.finish().unwrap();

    let kept = killed(&paths[1], &clip);
    let mut resumed = open(&paths[1], &clip).unwrap();
    for movie_id in (kept as u32..total).rev() {
        resumed
            .insert(movie_id, Kind::Image, 1, vector(&clip, movie_id))
            .unwrap();
    }
    resumed.finish().unwrap();
    assert!(fs::read(&paths[0]).unwrap() == fs::read(&paths[1]).unwrap());

    // Appended to again, and nothing to do again.
    resumed.insert(9, Kind::Text, 5, vector(&clip, 9)).unwrap();
    resumed.finish().unwrap();
    let written = fs::metadata(&paths[1]).unwrap().modified().unwrap();
    resumed.finish().unwrap();
    assert_eq!(
        fs::metadata(&paths[1]).unwrap().modified().unwrap(),
        written
    );
    drop(resumed);
    let read = open(&paths[1], &clip).unwrap();
    assert_eq!(read.vectors(Kind::Image).count(), total as usize);
    assert_eq!(
        read.get(9, Kind::Text, 5),
        Some(vector(&clip, 9).as_slice())
    );
}

#[test]
fn a_group_that_was_not_written_completely_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    killed(&path, &clip);
    let whole = fs::read(journal(&path)).unwrap();
    for lost in [1, 7, 500, GROUP * 4 * clip.width() - 1] {
        // Cut off, and, as a power cut may leave it, of zeros.
        for zeros in [0, lost] {
            let mut torn = whole[..whole.len() - lost].to_vec();
            torn.resize(torn.len() + zeros, 0);
            fs::write(journal(&path), torn).unwrap();
            let mut store = open(&path, &clip).unwrap();
            assert_eq!(store.vectors(Kind::Image).count(), GROUP, "{lost}");
            // And it goes on from there.
            store
                .insert(999, Kind::Image, 1, vector(&clip, 999))
                .unwrap();
            store.flush().unwrap();
            drop(store);
            let store = open(&path, &clip).unwrap();
            assert_eq!(store.vectors(Kind::Image).count(), GROUP + 1, "{lost}");
        }
    }
}

#[test]
fn a_journal_cut_off_anywhere_leaves_what_is_whole_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let mut store = open(&path, &clip).unwrap();
    for movie_id in 0..2 {
        let vector = vector(&clip, movie_id);
        store.insert(movie_id, Kind::Text, 1, vector).unwrap();
        store.flush().unwrap();
    }
    drop(store);
    let whole = fs::read(journal(&path)).unwrap();
    let mut counts = [0; 3];
    for length in 0..=whole.len() {
        fs::write(journal(&path), &whole[..length]).unwrap();
        let store = open(&path, &clip).unwrap();
        counts[store.vectors(Kind::Text).count()] += 1;
    }
    assert!(
        counts[0] > 1 && counts[1] > 1 && counts[2] == 1,
        "{counts:?}"
    );
    // A byte that is another spoils its record, wherever it is.
    for at in (0..whole.len()).step_by(7) {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0x10;
        fs::write(journal(&path), spoilt).unwrap();
        match open(&path, &clip) {
            Ok(store) => assert!(store.vectors(Kind::Text).count() < 2, "{at}"),
            Err(error) => assert!(
                matches!(
                    &error,
                    Error::Store {
                        problem: StoreProblem::NotAJournal,
                        ..
                    }
                ),
                "{at}: {error}"
            ),
        }
    }
}

#[test]
fn a_process_killed_before_it_removes_the_journal_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    killed(&path, &clip);
    let left = fs::read(journal(&path)).unwrap();
    let mut store = open(&path, &clip).unwrap();
    store.finish().unwrap();
    drop(store);
    assert!(!journal(&path).exists());
    let finished = fs::read(&path).unwrap();

    fs::write(journal(&path), left).unwrap();
    let mut store = open(&path, &clip).unwrap();
    assert_eq!(store.vectors(Kind::Image).count(), 2 * GROUP);
    store.finish().unwrap();
    assert!(fs::read(&path).unwrap() == finished);
    assert!(!journal(&path).exists());
}

#[test]
fn the_file_is_whole_at_any_moment_and_holds_what_was_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    let rows = || {
        let mut rows = 0;
        let file = StoreFile::open(&path).unwrap();
        file.read(|_| {
            rows += 1;
            Ok(())
        })
        .unwrap();
        rows
    };
    killed(&path, &clip);
    assert_eq!(rows(), 0);
    let mut store = open(&path, &clip).unwrap();
    assert_eq!(rows(), 0);
    store.finish().unwrap();
    assert_eq!(rows(), 2 * GROUP);
}

#[test]
fn who_deletes_a_store_encodes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    killed(&path, &clip(1));
    fs::remove_file(&path).unwrap();
    // By another model, too.
    let store = open(&path, &clip(2)).unwrap();
    assert_eq!(store.vectors(Kind::Image).count(), 0);
}

#[test]
fn a_journal_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    killed(&path, &clip(1));
    let left = fs::read(journal(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    open(&path, &clip(2)).unwrap();
    fs::write(journal(&path), left).unwrap();
    for opened in [open(&path, &clip(2)), EmbeddingStore::builder(&path).open()] {
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::OtherModel { .. }), "{error}");
        assert!(error.to_string().contains("journal"), "{error}");
    }
}

#[test]
fn encoders_that_join_later_are_named_by_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.parquet");
    let clip = clip(1);
    EmbeddingStore::builder(&path).images(&clip).open().unwrap();
    let mut store = open(&path, &clip).unwrap();
    store.insert(1, Kind::Text, 1, vector(&clip, 1)).unwrap();
    store.flush().unwrap();
    drop(store);
    let mut store = EmbeddingStore::builder(&path).images(&clip).open().unwrap();
    assert_eq!(store.vectors(Kind::Text).count(), 1);
    store.finish().unwrap();
    drop(store);
    let store = EmbeddingStore::builder(&path).open().unwrap();
    assert_eq!(store.identity(Kind::Text), Some(clip.text_identity()));
    assert_eq!(store.vectors(Kind::Text).count(), 1);
}
