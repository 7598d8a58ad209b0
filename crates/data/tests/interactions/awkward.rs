//! Tables as databases and data frames leave them.

use mmdlrm_data::arrow_array::types::Int32Type;
use mmdlrm_data::arrow_array::{Decimal128Array, DictionaryArray, Float64Array, ListArray};
use mmdlrm_data::{Candidates, Role, Schema, Side, Split, Target, UnknownMovies, describe};

use super::*;

fn dictionary(texts: &[Option<&str>]) -> ArrayRef {
    let texts: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    Arc::new(texts)
}

#[test]
fn items_may_have_columns_that_are_called_like_those_of_movies() {
    let items = table(&[
        ("item_id", texts(&["mug", "pen", "cup"])),
        ("genres", texts(&["red|new", "", "red"])),
        ("name", texts(&["Mug", "Pen", "Cup"])),
        ("title", texts(&["a", "a", "b"])),
        ("year", {
            // Where one is missing, pandas makes numbers of this type of years.
            let years = vec![Some(1990.5), None, Some(2001.0)];
            Arc::new(Float64Array::from(years))
        }),
        ("movieId", numbers(&[7, 7, 8])),
    ]);
    let mut options = InteractionOptions::default();
    options.schema.roles = [
        ("genres", Role::Bag),
        ("title", Role::Id),
        ("movieId", Role::Id),
    ]
    .map(|(name, role)| (name.to_owned(), role))
    .into();
    let read = Interactions::new(&[clicks()], None, Some(&items), &options).unwrap();
    let names = |interactions: &mmdlrm_data::Movies| {
        let traits = interactions.traits().unwrap();
        let categories = traits.categories.iter().map(|it| it.name.clone());
        let measures = traits.measures.iter().map(|it| it.name.clone());
        categories.chain(measures).collect::<Vec<_>>()
    };
    assert_eq!(names(&read.items), ["genres", "title", "movieId", "year"]);
    assert_eq!(read.items.title(0), "Cup");
    // They come back from the table that a run keeps.
    let again = mmdlrm_data::Movies::try_from(read.items.table()).unwrap();
    assert_eq!(names(&again), names(&read.items));
    assert_eq!(again.table(), read.items.table());
}

#[test]
fn whole_years_are_years_whatever_their_type() {
    let of = |column: ArrayRef| {
        let items = table(&[("item_id", texts(&["mug", "pen", "cup"])), ("year", column)]);
        let items = read(&clicks(), Some(&items)).unwrap().items;
        [0, 1, 2].map(|row| items.year(row))
    };
    let years = [Some(2001), Some(1990), None];
    let floats = Float64Array::from(vec![Some(1990.0), None, Some(2001.0)]);
    assert_eq!(of(Arc::new(floats)), years);
    let folder = tempfile::tempdir().unwrap();
    let clicks = write(
        folder.path(),
        "clicks.csv",
        "user_id,item_id\na,mug\nb,pen\n",
    );
    let items = "item_id,year\nmug,1990.0\npen,\ncup,2001.0\n";
    let items = write(folder.path(), "items.csv", items);
    let items = files(clicks, Some(items)).open().unwrap().items;
    assert_eq!([0, 1, 2].map(|row| items.year(row)), years);
}

#[test]
fn dictionaries_without_values_are_columns_of_nothing() {
    let items = table(&[
        ("item_id", texts(&["mug", "pen", "cup"])),
        ("kind", dictionary(&[None, None, None])),
    ]);
    let traits = read(&clicks(), Some(&items))
        .unwrap()
        .items
        .traits()
        .unwrap();
    assert_eq!(traits.categories[0].values, [""; 0]);
    let none = table(&[("user_id", dictionary(&[])), ("item_id", dictionary(&[]))]);
    let error = read(&none, None).unwrap_err().to_string();
    assert!(error.contains("there is no row"), "{error}");
    let lists = ListArray::new_null(
        Arc::new(mmdlrm_data::arrow_schema::Field::new_list_field(
            dictionary(&[]).data_type().clone(),
            true,
        )),
        3,
    );
    let tagged = table(&[
        ("item_id", texts(&["mug", "pen", "cup"])),
        ("tags", Arc::new(lists)),
    ]);
    assert!(read(&clicks(), Some(&tagged)).is_ok());
}

#[test]
fn decimals_are_numbers() {
    let prices = Decimal128Array::from(vec![Some(1_050), None, Some(-5)]);
    let prices = prices.with_precision_and_scale(10, 2).unwrap();
    let items = table(&[
        ("item_id", texts(&["cup", "mug", "pen"])),
        ("price", Arc::new(prices)),
    ]);
    let traits = read(&clicks(), Some(&items))
        .unwrap()
        .items
        .traits()
        .unwrap();
    let price = &traits.measures[0].values;
    assert_eq!((price[0], price[2]), (10.5, -0.05));
    assert!(price[1].is_nan());
}

#[test]
fn ids_are_the_same_with_blanks_around_them() {
    let padded = table(&[
        ("user_id", texts(&["ann  ", "ben"])),
        ("item_id", texts(&["mug ", " pen"])),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let csv = write(
        folder.path(),
        "clicks.csv",
        "user_id,item_id\nann ,mug\nben, pen \n",
    );
    let (batch, text) = (
        read(&padded, None).unwrap(),
        files(csv, None).open().unwrap(),
    );
    assert_eq!(rows(&batch), rows(&text));
    let held_out = write(folder.path(), "held-out.csv", "userId,movieId\n ann,mug \n");
    let split = Split::from_test_rows(&held_out, &batch).unwrap();
    assert_eq!(split.test(), [0]);
    let candidates = "userId,heldOutMovieId,a\nann,mug,pen\n";
    let candidates = write(folder.path(), "candidates.csv", candidates);
    assert_eq!(
        Candidates::read(&candidates, &batch).unwrap().rows().len(),
        1
    );
    let blank = table(&[
        ("user_id", texts(&["ann", "  "])),
        ("item_id", texts(&["mug", "pen"])),
    ]);
    let error = read(&blank, None).unwrap_err().to_string();
    assert!(
        error.contains("column 'user_id', row 1: is empty"),
        "{error}"
    );
}

#[test]
fn rows_are_counted_as_in_the_table_whatever_was_left_out_before() {
    let folder = tempfile::tempdir().unwrap();
    let text = "user_id,item_id,rating\nu0,zz,1\nu1,zz,2\nu0,mug,3\nu1,zz,4\nu1,pen,5\nu0,mug,1\n";
    let ratings = write(folder.path(), "ratings.csv", text);
    let items = write(folder.path(), "items.csv", "item_id\nmug\npen\n");
    let mut files = files(ratings, Some(items));
    files.options.unknown_items = UnknownMovies::Drop;
    let error = files.open().unwrap_err().to_string();
    assert!(error.contains("ratings.csv, line 7"), "{error}");
    files.options.duplicates = Some(mmdlrm_data::Duplicates::KeepFirst);
    let read = files.open().unwrap();
    assert_eq!(read.left_out.unknown_names, ["zz"]);
    // What was left out has no part in the scale.
    let (lowest, highest) = (3.0, 5.0);
    assert_eq!(read.ratings.target(), Target::Rating { lowest, highest });
}

#[test]
fn a_column_is_one_thing() {
    let refused = |options: &InteractionOptions, why: &str| {
        let error = Interactions::new(&[clicks()], None, None, options).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    let named = |name: &str| Some(name.to_owned());
    let of = |schema| InteractionOptions {
        schema,
        ..InteractionOptions::default()
    };
    let both = of(Schema {
        target: named("time"),
        time: named("time"),
        ..Schema::default()
    });
    refused(
        &both,
        "column 'time': is to be the time and given the role target",
    );
    let both = of(Schema {
        user: named("user_id"),
        item: named("user_id"),
        ..Schema::default()
    });
    refused(&both, "given the role user");
    let scale = InteractionOptions {
        scale: Some((1.0, 5.0)),
        ..InteractionOptions::default()
    };
    refused(&scale, "it is the scale of targets, and there are none");
}

#[test]
fn a_number_that_is_written_wrong_is_told_from_a_category() {
    let folder = tempfile::tempdir().unwrap();
    let text = "item_id,price\na,1.5\nb,N/A\nc,2\nd,3\n";
    let items = write(folder.path(), "items.csv", text);
    let described = describe(&items, &Schema::default()).unwrap();
    let remark = "column 'price' is of numbers, but for 1 of its 4 values, such as 'N/A'";
    assert!(
        described.remarks.iter().any(|it| it.contains(remark)),
        "{described}"
    );
    let mut schema = Schema::default();
    schema.roles.insert("price".to_owned(), Role::Dense);
    let mut files = files(
        write(folder.path(), "clicks.csv", "user_id,item_id\nu,a\nv,b\n"),
        Some(items),
    );
    files.options.schema = schema;
    let error = files.open().unwrap_err().to_string();
    assert!(
        error.contains("line 3") && error.contains("a dense column is of numbers"),
        "{error}"
    );
}

#[test]
fn what_somebody_did_again_later_leaves_the_first_time_where_it_was() {
    let kept = |interactions: &RecordBatch| {
        let read = read(interactions, None).unwrap();
        let mugs = rows(&read).into_iter();
        mugs.filter(|(user, item, ..)| user == "ann" && item == "mug")
            .map(|(_, _, target, time)| (target, time))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&clicks()), [(1.0, 100)]);
    // Whatever the order of the rows.
    let turned = table(&[
        ("user_id", texts(&["ann", "ann"])),
        ("item_id", texts(&["mug", "mug"])),
        ("time", numbers(&[500, 100])),
    ]);
    assert_eq!(kept(&turned), [(1.0, 100)]);
    // What it came to in the end.
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (field, column) in clicks().schema().fields().iter().zip(clicks().columns()) {
        columns.push((field.name().clone(), Arc::clone(column)));
    }
    columns.push(("bought".to_owned(), numbers(&[0, 0, 1, 0, 1])));
    let labels = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(kept(&labels), [(1.0, 500)]);
}

#[test]
fn a_description_tells_what_reading_would_refuse_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let described = |text: &str| {
        let path = write(folder.path(), "rows.csv", text);
        describe(&path, &Schema::default()).unwrap()
    };
    let twice = described("user,item,rating\nu,a,1\nu,b,2\nu,a,5\nv,a,4\n");
    let remark = "1 rows are of a user and an item that have another row: they are refused";
    assert!(
        twice.remarks.iter().any(|it| it.contains(remark)),
        "{twice}"
    );
    let torn = described("user,item,rating\n\"u\nu\",a,1\nu,b,good\n");
    assert_eq!(torn.target, None);
    let remark = "rows.csv, line 4, column 'rating': 'good' is a text";
    assert!(torn.remarks.iter().any(|it| it.contains(remark)), "{torn}");
    // Nulls are counted, and do not move what is behind them.
    let nulls = described("user,item,rating\n,a,1\nu,b,\nv,,x\nv,b,2\n");
    assert!(
        !nulls.remarks.iter().any(|it| it.contains("another row")),
        "{nulls}"
    );
    let remark = "rows.csv, line 4, column 'rating': 'x' is a text, and a target is a number";
    assert!(
        nulls.remarks.iter().any(|it| it.contains(remark)),
        "{nulls}"
    );
    // A time says that it is of interactions.
    let schema = Schema {
        time: Some("when".to_owned()),
        ..Schema::default()
    };
    let path = write(folder.path(), "rows.csv", "item,when\na,1\n");
    let error = describe(&path, &schema).unwrap_err().to_string();
    assert!(error.contains("which column is the user"), "{error}");
    // Tables beside them have none of it.
    let items = write(folder.path(), "items.csv", "item,price\na,1\n");
    assert_eq!(describe(&items, &schema).unwrap().side, Side::Item);
    let path = write(folder.path(), "rows.csv", "user,item,time\nu,a,1\n");
    let error = describe(&path, &schema).unwrap_err().to_string();
    assert!(error.contains("column 'when': is missing"), "{error}");
}

#[test]
fn what_a_file_is_its_first_bytes_say_too() {
    let folder = tempfile::tempdir().unwrap();
    mmdlrm_data::generate::PlantedShop::default()
        .write(folder.path())
        .unwrap();
    let path = folder.path().join("purchases.parquet");
    let rows = describe(&path, &Schema::default()).unwrap().rows;
    for name in ["UP.PARQUET", "purchases", "purchases.csv"] {
        let other = folder.path().join(name);
        std::fs::copy(&path, &other).unwrap();
        assert_eq!(describe(&other, &Schema::default()).unwrap().rows, rows);
    }
    let refused = |path: &Path, why: &str| {
        let error = describe(path, &Schema::default()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(folder.path(), "a table is a file: name one of the folder");
    #[cfg(unix)]
    refused(Path::new("/dev/null"), "a table is a regular file");
    let torn = write(folder.path(), "TORN.PARQUET", "user,item\nu,a\n");
    refused(&torn, "Parquet");
    let text = write(folder.path(), "text.csv", "PAR1,user,item\n1,u,a\n");
    assert_eq!(describe(&text, &Schema::default()).unwrap().rows, 1);
}
