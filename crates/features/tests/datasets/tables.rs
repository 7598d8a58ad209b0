//! Data sets of tables in memory, without a file.

use std::sync::Arc;

use mmdlrm_data::arrow_array::cast::AsArray;
use mmdlrm_data::arrow_array::types::{Float32Type, UInt32Type};
use mmdlrm_data::arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use mmdlrm_data::{
    Batch, Column, ColumnKind, ColumnView, Modality, MovieLens, Movies, Ratings, Split,
};
use mmdlrm_features::{ContextConfig, DENSE_FEATURES, Dataset, Features, TrainingData};

fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn dataset() -> Dataset {
    let ratings = table([
        (
            "userId",
            Arc::new(Int64Array::from(vec![1, 1, 2, 2, 3])) as ArrayRef,
        ),
        (
            "movieId",
            Arc::new(Int64Array::from(vec![10, 20, 10, 30, 20])),
        ),
        (
            "rating",
            Arc::new(Float64Array::from(vec![4.0, 3.0, 5.0, 0.5, 2.5])),
        ),
        ("timestamp", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
    ]);
    let movies = table([
        (
            "movieId",
            Arc::new(Int64Array::from(vec![10, 20, 30, 40])) as ArrayRef,
        ),
        (
            "title",
            Arc::new(StringArray::from(vec![
                "Heat (1995)",
                "Big (1988)",
                "Up",
                "Tron (1982)",
            ])),
        ),
        (
            "genres",
            Arc::new(StringArray::from(vec!["Crime|Drama", "Comedy", "", ""])),
        ),
    ]);
    let movies = Movies::try_from(movies).unwrap();
    let vectors = [[1.0, 0.0], [0.0, 1.0]].map(|row| Some(row.map(Some)));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2);
    let vectors = table([
        (
            "movieId",
            Arc::new(Int64Array::from(vec![30, 10])) as ArrayRef,
        ),
        ("vector", Arc::new(vectors)),
    ]);
    let sound = Modality::from_record_batch("sound", &movies.index(), &vectors).unwrap();
    let movielens = MovieLens::new(Ratings::try_from(ratings).unwrap(), movies).unwrap();
    let split = Split::new(5, vec![0, 1, 2, 3], vec![4]).unwrap();
    Dataset::new(&movielens, split, vec![sound]).unwrap()
}

#[test]
fn a_data_set_of_record_batches_gives_batches_to_train_on() {
    let dataset = dataset();
    let batches: Vec<Batch> = dataset.training_batches(2, 1).map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [2, 2]);
    let mut stars: Vec<f32> = batches.iter().flat_map(|it| it.stars.clone()).collect();
    stars.sort_by(f32::total_cmp);
    assert_eq!(stars, [0.5, 3.0, 4.0, 5.0]);
}

#[test]
fn a_batch_is_a_table_with_the_names_of_its_features() {
    let dataset = dataset();
    let features = dataset.features();
    let batch = dataset.test_batches(8).next().unwrap().unwrap();
    let table = features.record_batch(batch.clone()).unwrap();
    let schema = table.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|it| it.name().as_str())
        .collect();
    let expected = [
        "userId",
        "movieId",
        "user",
        "movie",
        "timestamp",
        "genre",
        "dense",
        "soundRow",
        "stars",
    ];
    assert_eq!(names, expected);
    let column = |name| table.column_by_name(name).unwrap();
    let ids = |name| column(name).as_primitive::<UInt32Type>().value(0);
    assert_eq!(
        ["userId", "movieId", "user", "movie"].map(ids),
        [3, 20, 2, 1]
    );
    // Comedy is the first of Comedy, Crime and Drama.
    let genres = column("genre").as_list::<i32>().value(0);
    assert_eq!(genres.as_primitive::<UInt32Type>().values(), &[0]);
    assert!(column("soundRow").is_null(0));
    let dense = column("dense").as_fixed_size_list().value(0);
    let Some(ColumnView::Dense { width, values }) = batch.column(Features::DENSE) else {
        panic!("no dense features");
    };
    assert_eq!(width, DENSE_FEATURES.len());
    assert_eq!(dense.as_primitive::<Float32Type>().values(), values);
    let field = schema.field_with_name("dense").unwrap();
    assert_eq!(field.metadata()["names"], DENSE_FEATURES.join(","));

    let mut other = batch;
    let Some(Column::Dense { values, .. }) = other.column_mut(Features::DENSE) else {
        panic!("no dense features");
    };
    values.push(0.0);
    assert!(features.record_batch(other).is_err());
}

#[test]
fn features_say_which_columns_their_batches_have() {
    let plain = dataset();
    let kinds = |features: &Features| {
        let columns = features.schema().columns().iter();
        let columns = columns.map(|column| (column.name.clone(), column.kind.clone()));
        columns.collect::<Vec<_>>()
    };
    let of = |name: &str, kind| (name.to_owned(), kind);
    let dense = |names: &[&str]| of("dense", ColumnKind::dense(names.iter().copied()));
    let sound = of("sound", ColumnKind::Vectors { width: 2 });
    let genre = of("genre", ColumnKind::Bags { ids: 3 });
    let schema = plain.features().schema();
    assert_eq!((schema.users(), schema.movies()), (3, 4));
    assert_eq!(
        kinds(plain.features()),
        [genre.clone(), dense(&DENSE_FEATURES), sound.clone()]
    );

    let data = dataset().with_context(ContextConfig::default()).unwrap();
    let features = data.features();
    let names = features.dense_names().iter().map(String::as_str);
    let names: Vec<&str> = names.collect();
    let (history, audience) = (
        of("history", ColumnKind::Shared { ids: 4 }),
        of("audience", ColumnKind::Shared { ids: 3 }),
    );
    let expected = [genre, dense(&names), sound, history, audience];
    assert_eq!(kinds(features), expected);
    let new = features.for_new_user(&[]).catalogue_batch(0);
    for batch in [data.test_batches(8).next().unwrap().unwrap(), new] {
        assert_eq!(batch.schema(), features.schema());
        let columns = batch.schema().columns().iter();
        assert!(columns.zip(batch.columns()).all(|(field, column)| matches!(
            (&field.kind, column),
            (ColumnKind::Bags { .. }, Column::Bags { .. })
                | (ColumnKind::Dense { .. }, Column::Dense { .. })
                | (ColumnKind::Vectors { .. }, Column::Vectors(_))
                | (ColumnKind::Shared { .. }, Column::Shared(_))
        )));
    }
}
