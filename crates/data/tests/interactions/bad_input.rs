//! What cannot be used is named by table, column, row and value, with what to do.

use mmdlrm_data::arrow_array::types::Float32Type;
use mmdlrm_data::arrow_array::{Float64Array, ListArray};
use mmdlrm_data::{Role, Schema};

use super::*;

fn refused_with(
    options: &InteractionOptions,
    clicks: &RecordBatch,
    items: Option<&RecordBatch>,
    parts: &[&str],
) {
    let clicks = std::slice::from_ref(clicks);
    let error = Interactions::new(clicks, None, items, options).unwrap_err();
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}

fn refused(clicks: &RecordBatch, items: Option<&RecordBatch>, parts: &[&str]) {
    refused_with(&InteractionOptions::default(), clicks, items, parts);
}

fn with(column: &str, array: ArrayRef) -> RecordBatch {
    let clicks = clicks();
    let kept = clicks.schema();
    let kept = kept
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .zip(clicks.columns());
    let kept = kept.filter(|(name, _)| *name != column);
    let columns = kept.map(|(name, array)| (name, Arc::clone(array)));
    let columns: Vec<_> = columns.chain([(column, array)]).collect();
    table(&columns)
}

fn named(change: impl FnOnce(&mut Schema)) -> InteractionOptions {
    let mut options = InteractionOptions::default();
    change(&mut options.schema);
    options
}

#[test]
fn a_column_that_is_not_there_is_named_with_the_nearest() {
    let options = named(|schema| schema.item = Some("itemid".to_owned()));
    let parts = ["table of interactions, column 'itemid': is missing, did you mean 'item_id'?"];
    refused_with(&options, &clicks(), None, &parts);
    let options = named(|schema| {
        schema.roles.insert("prize".to_owned(), Role::Dense);
    });
    let items = table(&[("item_id", texts(&["mug"])), ("price", numbers(&[3]))]);
    let parts = ["column 'prize': has a role, and no table has it, did you mean 'price'?"];
    refused_with(&options, &clicks(), Some(&items), &parts);
    let who = table(&[("who", texts(&["a"])), ("what", texts(&["b"]))]);
    refused(
        &who,
        None,
        &["say which column is the user: they are who, what"],
    );
}

#[test]
fn two_targets_texts_as_targets_and_labels_that_are_never_one_are_refused() {
    let two = with("bought", numbers(&[0, 1, 0, 1, 0]));
    let options = named(|schema| {
        schema.target = Some("bought".to_owned());
        schema.roles.insert("time".to_owned(), Role::Target);
    });
    refused_with(
        &options,
        &two,
        None,
        &["is the target, as", "there is one of a table"],
    );
    let text = with("label", texts(&["yes", "no", "no", "no", "no"]));
    refused(
        &text,
        None,
        &[
            "column 'label', row 0: 'yes' is a text",
            "a target is a number",
        ],
    );
    let never = with("label", numbers(&[0; 5]));
    refused(
        &never,
        None,
        &["is 0 in all 5 rows, and a label that is never 1"],
    );
    let twice = with("rating", numbers(&[1, 2, 3, 4, 5]));
    refused(
        &twice,
        None,
        &["column 'item_id', row 4: the user rated this item in an earlier row"],
    );
}

#[test]
fn ids_that_are_null_lists_or_floats_are_refused() {
    let null: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a"),
        None,
        None,
        Some("b"),
        None,
    ]));
    refused(
        &with("user_id", null),
        None,
        &["column 'user_id', row 1: is null"],
    );
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, f64::NAN, 4.0, 5.0]));
    refused(
        &with("user_id", floats),
        None,
        &["column 'user_id': is of the type Float64", "pandas"],
    );
    let lists = (0..5).map(|_| Some(vec![Some(1.0f32)]));
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
    refused(
        &with("item_id", Arc::new(lists)),
        None,
        &["column 'item_id': is of the type List", "an id is one"],
    );
    let folder = tempfile::tempdir().unwrap();
    let text = "user_id,item_id\nann,mug\n\"two\nlines\",pen\n,cup\n";
    let path = write(folder.path(), "clicks.csv", text);
    let error = files(path, None).open().unwrap_err().to_string();
    assert!(
        error.contains("clicks.csv, line 5, column 'user_id': is null"),
        "{error}"
    );
}

#[test]
fn times_in_several_units_are_refused() {
    let times = numbers(&[
        1_700_000_000,
        1_700_000_000_000,
        1_700_000_001,
        1_700_000_000_000_000,
        0,
    ]);
    let parts = [
        "column 'time', row 1: holds times in 3 units",
        "'1700000000000' in row 1",
    ];
    refused(&with("time", times), None, &parts);
}

#[test]
fn items_of_another_kind_and_unknown_ones_are_refused() {
    let none = table(&[("item_id", numbers(&[1, 2]))]);
    let parts = [
        "none of the items of the table of items has any interaction",
        "'mug'",
        "'1'",
    ];
    refused(&clicks(), Some(&none), &parts);
    let few = table(&[("item_id", texts(&["mug", "pen"]))]);
    let parts = ["column 'item_id', row 3: 'cup' is not an item of the table of items; 1 inter"];
    refused(&clicks(), Some(&few), &parts);
    let drop = InteractionOptions {
        unknown_items: mmdlrm_data::UnknownMovies::Drop,
        ..InteractionOptions::default()
    };
    let read = Interactions::new(&[clicks()], None, Some(&few), &drop).unwrap();
    assert_eq!(
        (read.ratings.len(), read.left_out.of_unknown_movies),
        (3, 1)
    );
    assert_eq!(read.items.index().find("cup"), None);
    let twice = table(&[("item_id", texts(&["mug", "pen", "mug", "cup"]))]);
    refused(
        &clicks(),
        Some(&twice),
        &["table of items, column 'item_id', row 2: 'mug' stands in row 0"],
    );
}

#[test]
fn vectors_of_several_widths_and_features_that_are_no_numbers_are_refused() {
    let of = |column: ArrayRef| table(&[("item_id", texts(&["mug", "pen", "cup"])), ("x", column)]);
    let lists = [
        Some(vec![Some(1.0)]),
        None,
        Some(vec![Some(1.0), Some(2.0)]),
    ];
    let uneven = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
    let parts = ["table of items, column 'x', row 2: has 2 numbers where that of row 0 has 1"];
    refused(&clicks(), Some(&of(Arc::new(uneven))), &parts);
    let nan: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN)]));
    refused(
        &clicks(),
        Some(&of(nan)),
        &["column 'x', row 2: 'NaN' is no finite number"],
    );
}
