//! Tables of the umbrella crate `arrow` go in and come out as they are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float64Array, Int64Array, RecordBatch, RecordBatchReader,
    StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use mmdlrm::data::{Modality, MovieLens, Movies, OpenOptions, Ratings, Split, generate};
use mmdlrm::features::{Dataset, TrainingData};

fn ids(ids: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(ids.to_vec()))
}

#[test]
fn record_batches_become_a_data_set_and_its_batches_record_batches() {
    let part = |users: &[i64], movies: &[i64], stars: &[f64]| {
        RecordBatch::try_from_iter([
            ("userId", ids(users)),
            ("movieId", ids(movies)),
            ("rating", Arc::new(Float64Array::from(stars.to_vec()))),
            ("timestamp", ids(&vec![964_982_703; users.len()])),
        ])
        .unwrap()
    };
    let parts = [
        part(&[1, 1, 2], &[10, 20, 10], &[4.0, 3.0, 5.0]),
        part(&[2, 3], &[30, 20], &[0.5, 2.5]),
    ];
    let ratings = concat_batches(&parts[0].schema(), &parts).unwrap();
    let movies = RecordBatch::try_from_iter([
        ("movieId", ids(&[10, 20, 30])),
        (
            "title",
            Arc::new(StringArray::from(vec!["Heat (1995)", "Big (1988)", "Up"])),
        ),
        (
            "genres",
            Arc::new(StringArray::from(vec!["Crime|Drama", "Comedy", ""])),
        ),
    ])
    .unwrap();
    let vectors = [[1.0, 0.0], [0.0, 1.0]].map(|row| Some(row.map(Some)));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(vectors, 2);
    let vectors =
        RecordBatch::try_from_iter([("movieId", ids(&[30, 10])), ("vector", Arc::new(vectors))])
            .unwrap();

    let movies = Movies::try_from(movies).unwrap();
    let sound = Modality::from_record_batch("sound", &movies.index(), &vectors).unwrap();
    let movielens = MovieLens::new(Ratings::try_from(ratings).unwrap(), movies).unwrap();
    let split = Split::new(5, vec![0, 1, 2, 3], vec![4]).unwrap();
    let dataset = Dataset::new(&movielens, split, vec![sound]).unwrap();
    for batch in dataset.training_batches(2, 1) {
        let table: RecordBatch = dataset.features().record_batch(batch.unwrap()).unwrap();
        assert_eq!(table.num_rows(), 2);
        assert_eq!(table.column_by_name("soundRow").unwrap().len(), 2);
    }
    let back = RecordBatch::from(&movielens.ratings);
    assert_eq!(back.schema(), Ratings::schema());
    assert_eq!(back.num_rows(), 5);
}

#[test]
fn streamed_ratings_are_a_reader_of_the_same_crate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sample");
    generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {}).unwrap();
    let release = OpenOptions::default().open_streamed(&folder).unwrap();
    let reader: Box<dyn RecordBatchReader + Send> = Box::new(release.ratings.record_batches());
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    let all = concat_batches(&schema, &batches).unwrap();
    let read = MovieLens::open(&folder).unwrap().ratings;
    assert_eq!(all, RecordBatch::from(read));
}
