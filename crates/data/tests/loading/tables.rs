//! Tables that are handed over as Arrow's record batches, and those that are taken.

use std::error::Error as _;
use std::sync::Arc;

use mmdlrm_data::arrow_array::builder::{
    LargeListBuilder, ListBuilder, StringBuilder, StringViewBuilder,
};
use mmdlrm_data::arrow_array::types::{Float16Type, Float32Type, Float64Type};
use mmdlrm_data::arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int64Array,
    LargeListArray, LargeStringArray, ListArray, RecordBatch, RecordBatchReader, StringArray,
    TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use mmdlrm_data::arrow_schema::ArrowError;
use mmdlrm_data::{
    Batch, BatchBags, BatchSchema, Column, ColumnField, ColumnKind, ColumnView, Error, IdMap,
    Modality, MovieLens, MovieTags, Movies, OpenOptions, Poster, Rated, Ratings, Split, Summary,
    UnknownMovies,
};

use crate::good;

type Columns = Vec<(&'static str, ArrayRef)>;

fn table(columns: &Columns) -> RecordBatch {
    let columns = columns
        .iter()
        .map(|(name, array)| (*name, Arc::clone(array)));
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The same with another column in the place of one of the same name.
fn with(columns: &Columns, name: &'static str, array: impl Into<ArrayRef>) -> RecordBatch {
    let mut columns = columns.clone();
    columns.retain(|(other, _)| *other != name);
    columns.push((name, array.into()));
    table(&columns)
}

fn without(columns: &Columns, name: &str) -> RecordBatch {
    let mut columns = columns.clone();
    columns.retain(|(other, _)| *other != name);
    table(&columns)
}

fn array(array: impl mmdlrm_data::arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// As pandas has them, of the same ratings as [`good`].
fn ratings() -> Columns {
    vec![
        ("timestamp", array(Int64Array::from(vec![100, 200, 300]))),
        ("rating", array(Float64Array::from(vec![4.0, 3.5, 0.5]))),
        (
            "note",
            array(StringArray::from(vec![None, Some("!"), None])),
        ),
        ("movieId", array(UInt64Array::from(vec![1, 2, 5]))),
        ("userId", array(Int16Array::from(vec![1, 1, 7]))),
    ]
}

/// As the file has them.
fn movies() -> Columns {
    let genres = vec!["Crime", "Comedy", "(no genres listed)"];
    vec![
        ("movieId", array(Int64Array::from(vec![1, 2, 5]))),
        (
            "title",
            array(StringArray::from(vec!["Heat (1995)", "Big (1988)", "Up"])),
        ),
        ("genres", array(StringArray::from(genres))),
    ]
}

/// One line with all of the parts.
#[track_caller]
fn says<T>(refused: Result<T, Error>, parts: &[&str]) {
    let message = refused.err().unwrap().to_string();
    for part in parts {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_release_of_record_batches_is_the_release_of_the_files() {
    let read = MovieLens::open(good().path()).unwrap();
    let made = |ratings: RecordBatch, movies: RecordBatch| {
        let ratings = Ratings::try_from(ratings).unwrap();
        MovieLens::new(ratings, Movies::try_from(movies).unwrap()).unwrap()
    };
    let of_others = made(table(&ratings()), table(&movies()));
    let of_ours = made((&read.ratings).into(), (&read.movies).into());
    for made in [of_others, of_ours] {
        assert_eq!(made.ratings.table(), read.ratings.table());
        assert_eq!(made.movies.table(), read.movies.table());
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!((made.dir, made.format), (None, None));
    }
}

#[test]
fn columns_of_the_same_types_are_not_copied() {
    let read = MovieLens::open(good().path()).unwrap();
    let before = read.ratings.stars().as_ptr();
    let again = Ratings::try_from(RecordBatch::from(&read.ratings)).unwrap();
    assert_eq!(again.stars().as_ptr(), before);
    assert_eq!(again.user_ids().as_ptr(), read.ratings.user_ids().as_ptr());
    let again = Movies::try_from(RecordBatch::from(&read.movies)).unwrap();
    assert_eq!(again.title(0).as_ptr(), read.movies.title(0).as_ptr());
    // A part of a table is one too.
    let part = RecordBatch::from(read.ratings).slice(1, 2);
    assert_eq!(Ratings::try_from(part).unwrap().stars(), [3.5, 0.5]);
    let part = RecordBatch::from(read.movies).slice(1, 2);
    let part = Movies::try_from(part).unwrap();
    assert_eq!(
        (part.title(0), part.genres(0).next().unwrap()),
        ("Big", "Comedy".to_owned())
    );
    assert_eq!(part.genres(1).count(), 0);
}

#[test]
fn times_may_be_timestamps() {
    let times = array(TimestampMillisecondArray::from(vec![
        100_999, 200_000, 300_000,
    ]));
    let read = Ratings::try_from(with(&ratings(), "timestamp", times)).unwrap();
    assert_eq!(read.timestamps(), [100, 200, 300]);
    let times = array(TimestampMillisecondArray::from(vec![100, -1, 300]));
    let read = Ratings::try_from(with(&ratings(), "timestamp", times));
    says(
        read,
        &["table of ratings, column 'timestamp', row 1: '-1' is not a time"],
    );
}

#[test]
fn ratings_that_cannot_be_used_are_named_by_column_and_row() {
    let of = Ratings::try_from;
    let changed = |name, column: ArrayRef| of(with(&ratings(), name, column));
    let ids = |ids: Vec<Option<i64>>| array(Int64Array::from(ids));
    says(
        of(without(&ratings(), "rating")),
        &["column 'rating': is missing", "userId"],
    );
    let twice = vec![
        ("userId", ids(vec![Some(1)])),
        ("userId", ids(vec![Some(1)])),
    ];
    says(of(table(&twice)), &["column 'userId': stands twice"]);
    says(
        changed("userId", array(StringArray::from(vec!["1", "1", "7"]))),
        &["column 'userId': is of the type Utf8", "an integer type"],
    );
    says(
        changed("movieId", ids(vec![Some(1), None, Some(5)])),
        &["column 'movieId', row 1: is null"],
    );
    says(
        changed("movieId", ids(vec![Some(1), Some(2), Some(1 << 32)])),
        &["column 'movieId', row 2: '4294967296' is not an id"],
    );
    for (stars, text) in [(5.5, "'5.5'"), (0.0, "'0'"), (f64::NAN, "'NaN'")] {
        says(
            changed("rating", array(Float64Array::from(vec![4.0, stars, 3.0]))),
            &[
                "table of ratings, column 'rating', row 1:",
                text,
                "0.5 to 5 stars",
            ],
        );
    }
    says(
        changed("rating", array(StringArray::from(vec!["4", "3", "2"]))),
        &["column 'rating': is of the type Utf8"],
    );
}

#[test]
fn movies_may_have_their_year_apart_and_genres_as_lists_of_any_text() {
    let listed = || [vec![" Crime ", "Drama"], vec!["unknown"], vec![]];
    let mut small = ListBuilder::new(StringViewBuilder::new());
    let mut large = LargeListBuilder::new(StringBuilder::new());
    for names in listed() {
        small.append_value(names.iter().map(|&name| Some(name)));
        large.append_value(names.iter().map(|&name| Some(name)));
    }
    let (small, large) = (small.finish(), large.finish());
    let years = array(Int64Array::from(vec![Some(1995), None, Some(2009)]));
    let titles = array(LargeStringArray::from(vec!["Heat (1995)", "Big", "Up"]));
    for genres in [array(small), array(large)] {
        let mut columns = movies();
        columns.push(("year", Arc::clone(&years)));
        columns[1].1 = Arc::clone(&titles);
        let movies = Movies::try_from(with(&columns, "genres", genres)).unwrap();
        // With a column of years titles stay as they are.
        assert_eq!(movies.title(0), "Heat (1995)");
        assert_eq!(
            [0, 1, 2].map(|row| movies.year(row)),
            [Some(1995), None, Some(2009)]
        );
        assert_eq!(movies.genres(0).collect::<Vec<_>>(), ["Crime", "Drama"]);
        assert_eq!((movies.genres(1).count(), movies.genres(2).count()), (0, 0));
        assert_eq!(movies.table().schema(), Movies::schema());
    }
}

#[test]
fn movies_that_cannot_be_used_are_named_by_column_and_row() {
    let changed = |name, column: ArrayRef| Movies::try_from(with(&movies(), name, column));
    says(
        changed("movieId", array(Int64Array::from(vec![1, 2, 1]))),
        &["table of movies, column 'movieId', row 2: '1' stands in an earlier row"],
    );
    says(
        changed(
            "title",
            array(StringArray::from(vec![Some("Up"), None, None])),
        ),
        &["column 'title', row 1: is null"],
    );
    says(
        changed("year", array(Int64Array::from(vec![1995, 12_345, 1]))),
        &["column 'year', row 1: '12345' is not a year"],
    );
    says(
        changed("genres", array(Int64Array::from(vec![1, 2, 3]))),
        &["column 'genres': is of the type Int64", "lists of texts"],
    );
    let mut genres = ListBuilder::new(StringBuilder::new());
    genres.append_value([Some("Crime")]);
    genres.append_value([Some("Drama"), None]);
    genres.append_value([Some("Crime")]);
    says(
        changed("genres", array(genres.finish())),
        &["column 'genres', row 1: lists a genre that is null"],
    );
}

#[test]
fn ratings_and_movies_that_do_not_fit_are_refused_by_row() {
    let ratings = |movies: Vec<u64>| {
        let columns = ratings();
        let columns = with(&columns, "movieId", array(UInt64Array::from(movies)));
        Ratings::try_from(columns).unwrap()
    };
    let movies = || Movies::try_from(table(&movies())).unwrap();
    says(
        MovieLens::new(ratings(vec![1, 9, 9]), movies()),
        &[
            "table of ratings, column 'movieId', row 1: '9' is not a movie",
            "2 ratings are",
        ],
    );
    says(
        MovieLens::new(ratings(vec![2, 2, 5]), movies()),
        &["column 'movieId', row 1: '2' was rated by this user in an earlier row too"],
    );
}

#[test]
fn tags_are_checked_when_they_are_given_and_when_they_are_used() {
    let movielens = || {
        let movies = Movies::try_from(table(&movies())).unwrap();
        MovieLens::new(Ratings::try_from(table(&ratings())).unwrap(), movies).unwrap()
    };
    let columns: Columns = vec![
        ("userId", array(Int64Array::from(vec![1, 7]))),
        ("movieId", array(Int64Array::from(vec![1, 5]))),
        ("tag", array(LargeStringArray::from(vec!["Crime", "fun"]))),
        ("timestamp", array(Int64Array::from(vec![1, 2]))),
    ];
    let split = Split::new(3, vec![0, 1, 2], vec![]).unwrap();
    let tagged = movielens().with_tags(&table(&columns)).unwrap();
    let tags = MovieTags::new(&tagged, &split, 1).unwrap();
    assert_eq!(tags.names(), ["crime", "fun"]);
    says(
        movielens().with_tags(&without(&columns, "tag")),
        &["table of tags, column 'tag': is missing"],
    );
    let mut odd = movielens();
    odd.tags = Some(without(&columns, "tag"));
    says(
        MovieTags::new(&odd, &split, 1),
        &["table of tags, column 'tag': is missing"],
    );
}

#[test]
fn posters_and_plots_go_and_come_as_tables() {
    let poster = |movie_id, path: &str| Poster {
        movie_id,
        path: path.into(),
    };
    let posters = [poster(5, "a/5.jpg"), poster(1, "1.png")];
    let out = Poster::to_record_batch(&posters).unwrap();
    assert_eq!(out.schema().field(1).name(), "poster_path");
    assert_eq!(Poster::from_record_batch(&out, None).unwrap(), posters);
    let plots = [Summary {
        movie_id: 2,
        text: "A boy\nwakes up big.".to_owned(),
    }];
    let plots_out = Summary::to_record_batch(&plots).unwrap();
    assert_eq!(Summary::from_record_batch(&plots_out, None).unwrap(), plots);

    let movies = Movies::try_from(table(&movies())).unwrap();
    let of = |posters: &[Poster]| {
        let out = Poster::to_record_batch(posters).unwrap();
        Poster::from_record_batch(&out, Some(&movies))
    };
    let first = poster(1, "1.jpg");
    for other in [poster(9, "9.jpg"), poster(1, "2.jpg"), poster(2, "")] {
        assert_eq!(
            of(&[first.clone(), other]).unwrap(),
            std::slice::from_ref(&first)
        );
    }
    says(
        of(&[poster(9, "9.jpg")]),
        &["table of posters, column 'movieId', row 0: '9' is not a movie"],
    );
    says(
        of(&[poster(1, "")]),
        &["column 'poster_path', row 0: '' is not a path"],
    );
}

#[test]
fn streamed_ratings_are_a_reader_of_record_batches() {
    let folder = good();
    let open = |options: &OpenOptions| options.open_streamed(folder.path()).unwrap();
    let all = open(&OpenOptions::default()).ratings.record_batches();
    assert_eq!(all.schema(), Ratings::schema());
    let all: Vec<RecordBatch> = all.collect::<Result<_, _>>().unwrap();
    let read = MovieLens::open(folder.path()).unwrap();
    assert_eq!(all, [RecordBatch::from(read.ratings)]);

    // Ratings of a movie that the table no longer has are left out.
    folder.write(
        "movies.csv",
        "movieId,title,genres\n2,Big (1988),Comedy\n5,Up,\n",
    );
    let drop = OpenOptions {
        unknown_movies: UnknownMovies::Drop,
        ..OpenOptions::default()
    };
    let stream = open(&drop).ratings;
    let kept: Vec<RecordBatch> = stream.record_batches().collect::<Result<_, _>>().unwrap();
    assert_eq!(kept[0].num_rows(), 2);
    assert_eq!(Ratings::try_from(&kept[0]).unwrap().movie_ids(), [2, 5]);

    // It is a reader as those who take one want it.
    let path = stream.path().to_owned();
    let mut boxed: Box<dyn RecordBatchReader + Send> = Box::new(stream.record_batches());
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    std::fs::write(&path, vec![0; length]).unwrap();
    let error = boxed.next().unwrap().unwrap_err();
    assert!(matches!(error, ArrowError::ExternalError(_)));
    let source = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert!(
        source.to_string().contains("changed while it was in use"),
        "{source}"
    );
    assert!(source.source().is_some());
    assert!(boxed.next().is_none());
}

#[test]
fn vectors_of_any_precision_become_a_modality() {
    let index = IdMap::from_ids([3, 7, 9]);
    let ids = || array(Int64Array::from(vec![9, 8, 3]));
    let rows = || [[1.0, 3.0], [0.0, 0.5], [1.0, 5.0]];
    let of = |vectors: ArrayRef| {
        let table = table(&vec![("movieId", ids()), ("numbers", vectors)]);
        Modality::from_record_batch("sound", &index, &table)
    };
    let pairs = [(9, &[1.0f32, 3.0][..]), (8, &[0.0, 0.5]), (3, &[1.0, 5.0])];
    let expected = Modality::standardized("sound", 2, &index, pairs).unwrap();
    assert_eq!((expected.present(), expected.left_out()), (2, 1));
    macro_rules! fixed {
        ($number:ty, $from:expr) => {{
            let rows = rows().map(|row| Some(row.map(|x| Some($from(x)))));
            array(FixedSizeListArray::from_iter_primitive::<$number, _, _>(
                rows, 2,
            ))
        }};
    }
    let lists = || rows().map(|row| Some(row.map(|x: f64| Some(x as f32))));
    for vectors in [
        fixed!(Float16Type, half::f16::from_f64),
        fixed!(Float32Type, |x: f64| x as f32),
        fixed!(Float64Type, f64::from),
        array(ListArray::from_iter_primitive::<Float32Type, _, _>(lists())),
        array(LargeListArray::from_iter_primitive::<Float32Type, _, _>(
            lists(),
        )),
    ] {
        assert_eq!(of(vectors).unwrap(), expected);
    }
    // A part of a table begins elsewhere.
    let whole = table(&vec![
        ("movieId", ids()),
        ("v", fixed!(Float64Type, f64::from)),
    ]);
    let part = Modality::from_record_batch("sound", &index, &whole.slice(2, 1)).unwrap();
    assert_eq!(
        (part.row_of_movie(), part.present()),
        (&[0, Modality::MISSING, Modality::MISSING][..], 1)
    );
}

#[test]
fn vectors_that_cannot_be_used_are_named_by_column_and_row() {
    let index = IdMap::from_ids([3, 7, 9]);
    let of = |ids: Vec<i64>, vectors: ArrayRef| {
        let table = table(&vec![
            ("movieId", array(Int64Array::from(ids))),
            ("v", vectors),
        ]);
        Modality::from_record_batch("sound", &index, &table)
    };
    let lists = |rows: Vec<Vec<f64>>| {
        let rows = rows.into_iter().map(|row| Some(row.into_iter().map(Some)));
        array(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
    };
    says(
        of(vec![3, 7], lists(vec![vec![1.0, 2.0], vec![1.0, f64::NAN]])),
        &["table of vectors, column 'v', row 1: number 1 of the vector of movie 7 is NaN"],
    );
    says(
        of(vec![3, 7], lists(vec![vec![1.0, 2.0], vec![1.0]])),
        &["column 'v', row 1: has 1 numbers where those before have 2"],
    );
    says(
        of(vec![3, 3], lists(vec![vec![1.0, 2.0], vec![1.0, 2.0]])),
        &["column 'movieId', row 1: '3' stands in row 0 too"],
    );
    let holes = [Some(vec![Some(1.0)]), Some(vec![None]), None];
    let nulls = ListArray::from_iter_primitive::<Float64Type, _, _>(holes.clone());
    says(
        of(vec![3, 7, 9], array(nulls)),
        &["column 'v', row 2: is null"],
    );
    let nulls = ListArray::from_iter_primitive::<Float64Type, _, _>(holes[..2].to_vec());
    says(
        of(vec![3, 7], array(nulls)),
        &["column 'v', row 1: has a number that is null"],
    );
    says(
        of(vec![3], array(StringArray::from(vec!["1.0 2.0"]))),
        &["table of vectors", "there has to be one column of lists"],
    );
}

#[test]
fn a_batch_is_a_table_of_what_it_has() {
    let rows = [(0, 2, 4.0, 10), (1, 0, 0.5, 20)].map(|(user, movie, stars, timestamp)| Rated {
        user,
        movie,
        stars,
        timestamp,
    });
    let bare = RecordBatch::try_from(Batch::of(&rows)).unwrap();
    let names = |batch: &RecordBatch| {
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&bare), ["user", "movie", "timestamp", "stars"]);
    assert_eq!(bare.column(1).as_ref(), &UInt32Array::from(vec![2, 0]));
    assert_eq!(bare.column(3).as_ref(), &Float32Array::from(vec![4.0, 0.5]));

    let schema = [
        ("actor", ColumnKind::Bags { ids: 6 }),
        ("director", ColumnKind::Ids { ids: 3 }),
        ("friends", ColumnKind::Shared { ids: 9 }),
        ("weather", ColumnKind::dense(["rain", "wind"])),
        ("image", ColumnKind::Vectors { width: 8 }),
    ];
    let schema = schema.map(|(name, kind)| ColumnField::new(name, kind));
    let schema = BatchSchema::new(2, 3, schema).unwrap();
    let bags = |offsets| Column::Bags {
        offsets,
        ids: vec![5, 1],
    };
    let columns = vec![
        bags(vec![0, 2, 2]),
        Column::Ids(vec![2, 0]),
        Column::Shared(BatchBags::default()),
        Column::Dense {
            width: 2,
            values: vec![0.1, 0.2, 0.3, 0.4],
        },
        Column::Vectors(vec![7, Modality::MISSING]),
    ];
    let batch = Batch::of(&rows).with_columns(&schema, columns.clone());
    let table = RecordBatch::try_from(&batch).unwrap();
    assert_eq!(table, RecordBatch::try_from(batch.clone()).unwrap());
    assert_eq!(
        names(&table)[3..],
        ["actor", "director", "weather", "imageRow", "stars"]
    );
    let column = |name: &str| table.column_by_name(name).unwrap();
    assert_eq!(
        column("director").as_ref(),
        &UInt32Array::from(vec![2, 0]) as &dyn Array
    );
    let missing = UInt32Array::from(vec![Some(7), None]);
    assert_eq!(column("imageRow").as_ref(), &missing as &dyn Array);
    let weather = table.schema().field_with_name("weather").unwrap().clone();
    assert_eq!(weather.metadata()["names"], "rain,wind");

    let spoiled = |place: usize, column: Column, part: &str| {
        let mut columns = columns.clone();
        columns[place] = column;
        let batch = Batch::of(&rows).with_columns(&schema, columns);
        says(RecordBatch::try_from(&batch), &[part]);
    };
    for (offsets, part) in [
        (vec![0, 2], "no table of samples can be made"),
        (vec![0, 2, 1], "column 'actor', row 1"),
        (vec![0, 2, 3], "no table of samples can be made"),
        (vec![], "column 'actor': has no offsets"),
    ] {
        spoiled(0, bags(offsets), part);
    }
    spoiled(1, Column::Vectors(vec![0, 0]), "column 'director': holds");
    let dense = |width, numbers| Column::Dense {
        width,
        values: vec![0.0; numbers],
    };
    spoiled(3, dense(2, 5), "column 'weather': has another number");
    spoiled(3, dense(3, 6), "column 'weather': holds");
    let few = Batch::of(&rows).with_columns(&schema, columns[..4].to_vec());
    says(RecordBatch::try_from(&few), &["number of columns is 4"]);
}

#[test]
fn columns_are_found_by_name_where_they_lie() {
    let schema = [
        ColumnField::new("director", ColumnKind::Ids { ids: 3 }),
        ColumnField::new("writer", ColumnKind::Ids { ids: 3 }),
    ];
    let schema = BatchSchema::new(1, 1, schema).unwrap();
    let columns = vec![Column::Ids(vec![2]), Column::Ids(vec![1])];
    let mut batch = Batch::of(&[Rated::default()]).with_columns(&schema, columns);
    let Some(ColumnView::Ids(users)) = batch.column(Batch::USER) else {
        panic!("no users");
    };
    assert!(std::ptr::eq(users, batch.users.as_slice()));
    assert_eq!(batch.column("writer"), Some(ColumnView::Ids(&[1])));
    assert_eq!(batch.column("composer"), None);
    *batch.column_mut("director").unwrap() = Column::Ids(vec![0]);
    assert_eq!(batch.columns()[0], Column::Ids(vec![0]));
    assert!(batch.column_mut(Batch::USER).is_none());
}
