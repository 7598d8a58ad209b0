//! What is in the tables comes out of them.

use std::io::Write;

use mmdlrm_data::arrow_array::types::Float32Type;
use mmdlrm_data::arrow_array::{BooleanArray, FixedSizeListArray, ListArray};
use mmdlrm_data::generate::PlantedShop;
use mmdlrm_data::{Duplicates, Interactions as Read, Movies, Role, Schema, Split, Target};

use super::*;

#[test]
fn clicks_of_texts_are_numbered_by_name_and_of_a_pair_the_earliest_stays() {
    let read = read(&clicks(), None).unwrap();
    let row = |user: &str, item: &str, time| (user.to_owned(), item.to_owned(), 1.0, time);
    let expected = [
        row("ann", "mug", 100),
        row("ben", "mug", 200),
        row("ann", "pen", 300),
        row("cat", "cup", 400),
    ];
    assert_eq!(rows(&read), expected);
    assert_eq!(
        (read.ratings.target(), read.left_out.duplicates),
        (Target::Implicit, 1)
    );
    assert_eq!(read.items.title(0), "cup");
    let all = InteractionOptions {
        duplicates: Some(Duplicates::KeepAll),
        ..InteractionOptions::default()
    };
    let all = Read::new(&[clicks()], None, None, &all).unwrap();
    assert_eq!(all.ratings.len(), 5);
}

#[test]
fn text_parquet_and_batches_of_any_cut_come_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let shop = PlantedShop {
        purchases: 3_000,
        ..PlantedShop::default()
    };
    shop.write(folder.path()).unwrap();
    let parquet = folder.path().join("purchases.parquet");
    let whole = files(parquet.clone(), None).open().unwrap();
    let ratings = RecordBatch::from(&whole.ratings);
    let (users, items) = (whole.users.names().unwrap(), whole.items.index());
    let mut text = String::from("time\tcustomer_id\tsku\n");
    let cut = |start: usize, length: usize| {
        let part = ratings.slice(start, length);
        let ids = mmdlrm_data::Ratings::try_from(&part).unwrap();
        let who: Vec<String> = ids
            .user_ids()
            .iter()
            .map(|&it| users.name(it).unwrap().into())
            .collect();
        let what: Vec<String> = ids
            .movie_ids()
            .iter()
            .map(|&it| items.name(items.row(it).unwrap()).unwrap().into())
            .collect();
        let times: Vec<i64> = ids.timestamps().iter().map(|&it| it.into()).collect();
        let texts = |of: &[String]| texts(&of.iter().map(String::as_str).collect::<Vec<_>>());
        table(&[
            ("customer_id", texts(&who)),
            ("sku", texts(&what)),
            ("time", numbers(&times)),
        ])
    };
    let rows = ratings.num_rows();
    let batches: Vec<RecordBatch> = (0..rows)
        .step_by(700)
        .map(|at| cut(at, 700.min(rows - at)))
        .collect();
    for (user, item, _, time) in super::rows(&whole) {
        text.push_str(&format!("{time}\t{user}\t\"{item}\"\r\n"));
    }
    let path = folder.path().join("purchases.tsv.gz");
    let mut packed = flate2::write::GzEncoder::new(
        std::fs::File::create(&path).unwrap(),
        flate2::Compression::fast(),
    );
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap();
    let options = InteractionOptions::default();
    let of_batches = Read::new(&batches, None, None, &options).unwrap();
    let of_text = files(path, None).open().unwrap();
    for other in [&of_batches, &of_text] {
        assert_eq!(other.fingerprint().changes(&whole.fingerprint()), []);
    }
}

#[test]
fn what_is_known_of_items_and_users_goes_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let shop = PlantedShop {
        customers: 50,
        products: 40,
        purchases: 600,
        ..PlantedShop::default()
    };
    shop.write(folder.path()).unwrap();
    let read = InteractionFiles {
        interactions: folder.path().join("purchases.parquet"),
        users: Some(folder.path().join("customers.csv")),
        items: Some(folder.path().join("products.parquet")),
        ..InteractionFiles::default()
    };
    let read = read.open().unwrap();
    let traits = read.items.traits().unwrap();
    let names: Vec<&str> = traits
        .categories
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["kind", "brand", "colours"]);
    assert_eq!(traits.measures[0].name, "price");
    assert!(traits.measures[0].values.iter().any(|it| it.is_nan()));
    assert_eq!(
        (read.vectors[0].name(), read.vectors[0].present()),
        ("look", 40)
    );
    let kind = &traits.categories[0];
    let of_first = &kind.values[kind.bags.row(0)[0] as usize];
    assert!(
        read.items.title(0).contains(of_first.as_str()),
        "{}",
        read.items.title(0)
    );
    let genres: Vec<String> = read.items.genres(0).collect();
    assert!(genres.contains(&format!("kind: {of_first}")), "{genres:?}");
    let users = mmdlrm_data::IdMap::from_ids(read.ratings.user_ids().iter().copied());
    let traits = read.users.traits(&users);
    assert_eq!(traits.categories[0].name, "town");
    assert!(
        traits.measures[0]
            .values
            .iter()
            .all(|age| (16.0..90.0).contains(age))
    );
    // A table of items comes back as it was, names and traits with it.
    let again = Movies::try_from(RecordBatch::from(&read.items)).unwrap();
    assert_eq!(again.table(), read.items.table());
    assert_eq!(again.index(), read.items.index());
}

#[test]
fn columns_are_what_the_schema_says_where_types_say_it_wrong() {
    let items = table(&[
        ("item_id", texts(&["cup", "mug", "pen"])),
        ("shelf", numbers(&[7, 7, 9])),
        ("name", texts(&["A cup", "A mug", "A pen"])),
        (
            "sold",
            Arc::new(BooleanArray::from(vec![true, false, true])),
        ),
    ]);
    let mut options = InteractionOptions::default();
    options.schema.roles = [
        ("shelf".to_owned(), Role::Id),
        ("name".to_owned(), Role::Title),
        ("sold".to_owned(), Role::Unused),
    ]
    .into();
    let read = Read::new(&[clicks()], None, Some(&items), &options).unwrap();
    let traits = read.items.traits().unwrap();
    assert_eq!(traits.categories[0].values, ["7", "9"]);
    assert!(traits.measures.is_empty());
    assert_eq!(read.items.title(2), "A pen");
}

#[test]
fn lists_are_bags_and_vectors_and_items_without_any_stay() {
    let tags =
        ListArray::from_iter_primitive::<mmdlrm_data::arrow_array::types::Int64Type, _, _>([
            Some(vec![Some(5), Some(3), Some(5)]),
            None,
            Some(vec![]),
            Some(vec![Some(3)]),
        ]);
    let look = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [
            Some(vec![Some(1.0), Some(2.0)]),
            None,
            Some(vec![Some(3.0), Some(5.0)]),
            None,
        ],
        2,
    );
    let items = table(&[
        ("item_id", texts(&["cup", "mug", "pen", "lid"])),
        ("tags", Arc::new(tags)),
        ("look", Arc::new(look)),
    ]);
    let read = read(&clicks(), Some(&items)).unwrap();
    assert_eq!(read.unmatched.items, 1);
    let tags = &read.items.traits().unwrap().categories[0];
    assert_eq!(tags.values, ["3", "5"]);
    // In the order of the names: cup, lid, mug, pen.
    assert_eq!(
        (tags.bags.row(0), tags.bags.row(1)),
        (&[0, 1][..], &[0][..])
    );
    assert_eq!(read.vectors[0].present(), 2);
    assert_eq!(read.vectors[0].vector(2), None);
}

#[test]
fn vectors_of_users_are_so_many_numbers() {
    let taste = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [Some(vec![Some(1.0), Some(2.0)]), None],
        2,
    );
    let users = table(&[
        ("user_id", texts(&["cat", "ann"])),
        ("taste", Arc::new(taste)),
    ]);
    let options = InteractionOptions::default();
    let read = Read::new(&[clicks()], Some(&users), None, &options).unwrap();
    let ids = mmdlrm_data::IdMap::from_ids(read.ratings.user_ids().iter().copied());
    let traits = read.users.traits(&ids);
    assert_eq!(traits.measures[1].name, "taste_1");
    // Ann, Ben, Cat.
    assert!(traits.measures[1].values[..2].iter().all(|it| it.is_nan()));
    assert_eq!(traits.measures[1].values[2], 2.0);
    assert_eq!(
        (read.unmatched.unknown_users, read.unmatched.idle_users),
        (1, 0)
    );
}

#[test]
fn ratings_of_any_scale_split_in_time_as_those_of_a_release() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        folder.path(),
        "reviews.csv",
        "who,what,points,when\n9,b,10,2024-03-01\n10,a,-2,2024-01-01\n9,a,7,2024-02-01\n",
    );
    let mut read = files(path, None);
    read.options.schema = Schema {
        user: Some("who".to_owned()),
        item: Some("what".to_owned()),
        target: Some("points".to_owned()),
        time: Some("when".to_owned()),
        ..Schema::default()
    };
    let reviews = read.open().unwrap();
    let (lowest, highest) = (-2.0, 10.0);
    assert_eq!(reviews.ratings.target(), Target::Rating { lowest, highest });
    // Whole numbers stand in the order of their size.
    assert_eq!(reviews.users.names().unwrap().find("9"), Some(0));
    let split = Split::temporal(&reviews.ratings, 0.3).unwrap();
    assert_eq!(split.test(), [0]);
    let part = reviews.part(
        &mmdlrm_data::IdMap::from_ids([0]),
        &mmdlrm_data::IdMap::from_ids([1]),
    );
    let part = part.unwrap();
    assert_eq!(rows(&part)[0].1, "b");
    assert_eq!(part.ratings.target(), reviews.ratings.target());
}
