//! What users are called, and what a table says of them, in a file of tensors.

use std::sync::Arc;

use mmdlrm_data::arrow_array::{Array, ArrayRef, Int64Array, StringArray, UInt64Array};
use mmdlrm_data::{Bags, Category, IdNames, Measure, Traits};

use super::problem;
use super::tensors::{Columns, Source, Stored};

const NAMES: &str = "users.names";

/// Keeps names: numbers as they are, texts back to back and where each ends.
pub(crate) fn put_names(columns: &mut Columns, names: &IdNames) {
    let array = names.to_array();
    let any = array.as_any();
    if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        columns.put(NAMES, numbers.values());
    } else if let Some(numbers) = any.downcast_ref::<UInt64Array>() {
        columns.put(NAMES, numbers.values());
    } else if let Some(texts) = any.downcast_ref::<StringArray>() {
        put_texts(columns, NAMES, texts.iter().flatten());
    }
}

/// What [`put_names`] kept; `None` where there is nothing.
pub(crate) fn get_names(stored: &Stored) -> Result<Option<Arc<IdNames>>, Source> {
    if !stored.has(NAMES) {
        return Ok(None);
    }
    let array: ArrayRef = if let Ok(numbers) = stored.all::<i64>(NAMES) {
        Arc::new(Int64Array::from(numbers))
    } else if let Ok(numbers) = stored.all::<u64>(NAMES) {
        Arc::new(UInt64Array::from(numbers))
    } else {
        Arc::new(StringArray::from(get_texts(stored, NAMES)?))
    };
    let names = IdNames::of(&array)?;
    match *names.to_array() == *array {
        true => Ok(Some(Arc::new(names))),
        false => Err(problem("the names of users are in disorder")),
    }
}

/// Keeps all of traits but what their columns are called.
pub(crate) fn put_traits(columns: &mut Columns, traits: &Traits) {
    for (place, category) in traits.categories.iter().enumerate() {
        let [values, lengths, ids] = names_of(place);
        put_texts(columns, &values, category.values.iter().map(String::as_str));
        let rows = 0..category.bags.len() as u32;
        let of_rows: Vec<&[u32]> = rows.map(|row| category.bags.row(row)).collect();
        let counts: Vec<u32> = of_rows.iter().map(|bag| bag.len() as u32).collect();
        columns.put(lengths, &counts);
        columns.put(ids, &of_rows.concat());
    }
    for (place, measure) in traits.measures.iter().enumerate() {
        columns.put(format!("users.measure.{place}"), &measure.values);
    }
}

/// What [`put_traits`] kept of `users` users, whose columns have these names.
pub(crate) fn get_traits(
    stored: &Stored,
    users: usize,
    categories: Vec<String>,
    measures: Vec<String>,
) -> Result<Traits, Source> {
    let categories = categories.into_iter().enumerate().map(|(place, name)| {
        let [values, lengths, ids] = names_of(place);
        let values = get_texts(stored, &values)?;
        let lengths = stored.get::<u32>(&lengths, users)?;
        let ids = stored.all::<u32>(&ids)?;
        let all: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        if all != ids.len() as u64 || ids.iter().any(|&id| id as usize >= values.len()) {
            return Err(problem(format!(
                "what users have of '{name}' is not what there is"
            )));
        }
        let mut bags = Bags::from_pairs(0, []);
        let mut rest = ids.as_slice();
        for length in lengths {
            let (bag, after) = rest.split_at(length as usize);
            bags.push(bag);
            rest = after;
        }
        Ok(Category { name, values, bags })
    });
    let measures_of = measures.into_iter().enumerate().map(|(place, name)| {
        let values = stored.get(&format!("users.measure.{place}"), users)?;
        Ok::<_, Source>(Measure { name, values })
    });
    Ok(Traits {
        categories: categories.collect::<Result<_, Source>>()?,
        measures: measures_of.collect::<Result<_, _>>()?,
    })
}

fn names_of(place: usize) -> [String; 3] {
    ["values", "lengths", "ids"].map(|what| format!("users.category.{place}.{what}"))
}

fn put_texts<'a>(columns: &mut Columns, name: &str, texts: impl Iterator<Item = &'a str>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len() as u64);
    }
    columns.put(name, &bytes);
    columns.put(format!("{name}.ends"), &ends);
}

fn get_texts(stored: &Stored, name: &str) -> Result<Vec<String>, Source> {
    let bytes = stored.all::<u8>(name)?;
    let ends = stored.all::<u64>(&format!("{name}.ends"))?;
    let mut start = 0;
    let texts = ends.into_iter().map(|end| {
        let text = usize::try_from(end)
            .ok()
            .and_then(|end| bytes.get(start..end));
        let text = text.ok_or_else(|| problem(format!("a text of {name} lies outside of it")))?;
        start += text.len();
        Ok(std::str::from_utf8(text)?.to_owned())
    });
    texts.collect()
}
