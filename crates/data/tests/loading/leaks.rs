//! What is held out must not show in what is learned from.

use mmdlrm_data::{Batch, Dataset, MovieLens, MovieTags, Split, TrainingData};

use crate::Folder;

const TRAIN: &str = "1,1,4.0,100\n1,2,3.0,200\n2,1,2.0,300\n2,3,5.0,400\n3,2,1.0,500\n";
const TEST: &str = "1,3,4.5,600\n3,1,0.5,700\n3,3,2.5,800\n";

fn dataset(ratings: &str) -> (MovieLens, Dataset) {
    let folder = Folder::new(&[
        (
            "movies.csv",
            b"movieId,title,genres\n1,A (1990),X\n2,B (2000),Y\n3,C (2010),X|Y\n",
        ),
        (
            "ratings.csv",
            format!("userId,movieId,rating,timestamp\n{ratings}").as_bytes(),
        ),
        (
            "tags.csv",
            b"userId,movieId,tag,timestamp\n1,1,old,1\n3,3,spoiler,1\n",
        ),
    ]);
    let movielens = MovieLens::open(folder.path()).unwrap();
    let split = Split::new((0..5).collect(), (5..8).collect());
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    (movielens, dataset)
}

fn batches(dataset: &Dataset) -> (Vec<Batch>, Vec<Batch>) {
    let all = |batches: mmdlrm_data::Batches| batches.map(Result::unwrap).collect();
    (
        all(dataset.training_batches(2, 1)),
        all(dataset.test_batches(2)),
    )
}

/// Everything that a model may look at, with the labels of the test rows out.
fn visible(dataset: &Dataset) -> String {
    let (train, mut test) = batches(dataset);
    test.iter_mut().for_each(|batch| batch.stars.clear());
    format!(
        "{train:?} {test:?} {:?} {:?} {:?} {:?}",
        dataset.user_histories(),
        dataset.movie_audiences(),
        dataset.features().rating_scale(),
        dataset.features().movie_counts(),
    )
}

#[test]
fn nothing_that_a_model_sees_depends_on_held_out_labels() {
    let noise = TEST.replace(",4.5,", ",0.5,").replace(",2.5,", ",5.0,");
    let (_, honest) = dataset(&format!("{TRAIN}{TEST}"));
    let (_, noisy) = dataset(&format!("{TRAIN}{noise}"));
    assert_eq!(visible(&honest), visible(&noisy));
    // The planted leak: the same change in a training row must show.
    let changed = TRAIN.replace(",3.0,", ",0.5,");
    let (_, leaky) = dataset(&format!("{changed}{TEST}"));
    assert_ne!(visible(&honest), visible(&leaky));
}

#[test]
fn tags_of_held_out_pairs_are_hidden() {
    let (movielens, data) = dataset(&format!("{TRAIN}{TEST}"));
    let tags = MovieTags::new(&movielens, data.split(), 1);
    assert_eq!(tags.names(), ["old"]);
}
