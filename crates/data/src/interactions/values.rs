//! Values that are told apart, numbered as they come.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, UInt32Array};
use arrow_schema::DataType;

use super::interner::Interner;
use super::place::Place;
use super::side::all_texts;
use super::traits::Category;
use crate::{Bags, Error, Result};

/// Between values of a text that is a bag.
pub(super) const BETWEEN_VALUES: char = '|';

/// A column of values, read part by part, of which each is kept once.
pub(super) struct Values {
    interner: Option<Interner>,
    /// Of each row, by the order in which the values come.
    bags: Bags,
}

impl Values {
    pub fn new() -> Self {
        Self {
            interner: None,
            bags: Bags::from_pairs(0, []),
        }
    }

    /// Appends rows of one value each, or of none where it is null or blank.
    ///
    /// # Errors
    /// A type that is neither of texts, of whole numbers nor of flags.
    pub fn add_ids(&mut self, array: &ArrayRef, place: &Place) -> Result<()> {
        for number in self.numbers(array, place)? {
            self.bags.push(number.as_slice());
        }
        Ok(())
    }

    /// Appends rows of any number of values: lists, or texts with a sign between values.
    ///
    /// # Errors
    /// As [`Self::add_ids`]; a null in a list.
    pub fn add_bags(&mut self, array: &ArrayRef, place: &Place) -> Result<()> {
        match all_texts(array) {
            Some(texts) => self.add_texts(&texts, place),
            None => self.add_lists(array, place),
        }
    }

    fn add_texts(&mut self, texts: &[Option<&str>], place: &Place) -> Result<()> {
        let mut bag = Vec::new();
        for text in texts {
            bag.clear();
            for value in text.unwrap_or_default().split(BETWEEN_VALUES) {
                bag.extend(self.number_of(value, place)?);
            }
            self.push(&mut bag);
        }
        Ok(())
    }

    fn add_lists(&mut self, array: &ArrayRef, place: &Place) -> Result<()> {
        let Some((items, ranges)) = lists_of(array) else {
            let found = array.data_type();
            let problem = format!("is of the type {found}, and a bag is a list or a text");
            return Err(place.bad(None, problem));
        };
        let numbers = self.numbers(items, place)?;
        let nulls = items.logical_nulls();
        let is_null = |at: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(at));
        let mut bag = Vec::new();
        for (row, range) in ranges.into_iter().enumerate() {
            bag.clear();
            if array.is_valid(row) {
                if range.clone().any(is_null) {
                    let problem = "lists a null; leave it out of the list";
                    return Err(place.bad(Some(row), problem));
                }
                bag.extend(numbers[range].iter().flatten());
            }
            self.push(&mut bag);
        }
        Ok(())
    }

    /// Twice the same says no more than once.
    fn push(&mut self, bag: &mut Vec<u32>) {
        bag.sort_unstable();
        bag.dedup();
        self.bags.push(bag);
    }

    /// The number of each row's value, `None` of what is null or blank.
    ///
    /// # Errors
    /// As [`Self::add_ids`].
    pub fn numbers(&mut self, array: &ArrayRef, place: &Place) -> Result<Vec<Option<u32>>> {
        if let Some(texts) = all_texts(array) {
            let texts = texts.into_iter();
            return texts
                .map(|text| self.number_of(text.unwrap_or_default(), place))
                .collect();
        }
        if let Some(flags) = array.as_boolean_opt() {
            let flags = flags.iter();
            let text = |flag: Option<bool>| flag.map_or("", |it| if it { "true" } else { "false" });
            return flags
                .map(|flag| self.number_of(text(flag), place))
                .collect();
        }
        let (rows, present) = present(array, place)?;
        let interner = self.interner(present.data_type(), place)?;
        let mut numbers = Vec::with_capacity(rows.len());
        interner.read(&present, &mut numbers, place)?;
        let mut all = vec![None; array.len()];
        for (&row, number) in rows.values().iter().zip(numbers) {
            all[row as usize] = Some(number);
        }
        Ok(all)
    }

    fn number_of(&mut self, text: &str, place: &Place) -> Result<Option<u32>> {
        let text = text.trim();
        match text.is_empty() {
            true => Ok(None),
            false => Ok(self.interner(&DataType::Utf8, place)?.number_of_text(text)),
        }
    }

    fn interner(&mut self, found: &DataType, place: &Place) -> Result<&mut Interner> {
        let interner = match self.interner.take() {
            Some(interner) => interner,
            None => Interner::for_type(found, place.table, place.column)?,
        };
        Ok(self.interner.insert(interner))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.interner.as_ref().map_or(0, Interner::len)
    }

    /// A value as it is written.
    pub fn text(&self, number: u32) -> String {
        let text = self.interner.as_ref().map(|it| it.text(number as usize));
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    }

    /// The column, its values in their order.
    pub fn finish(mut self, name: &str) -> Category {
        let mut values: Vec<(String, u32)> = (0..self.len() as u32)
            .map(|number| (self.text(number), number))
            .collect();
        values.sort_unstable();
        let mut place_of = vec![0; values.len()];
        for (place, (_, number)) in (0..).zip(&values) {
            place_of[*number as usize] = place;
        }
        for row in 0..self.bags.len() as u32 {
            let bag = self.bags.row_mut(row);
            bag.iter_mut().for_each(|it| *it = place_of[*it as usize]);
            bag.sort_unstable();
        }
        Category {
            name: name.to_owned(),
            values: values.into_iter().map(|(value, _)| value).collect(),
            bags: self.bags,
        }
    }
}

/// What all rows of a column of lists hold, and where in it each row's is; `None` of another column.
fn lists_of(array: &ArrayRef) -> Option<(&ArrayRef, Vec<Range<usize>>)> {
    fn between<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<Range<usize>> {
        let ends = offsets.windows(2);
        ends.map(|ends| ends[0].as_usize()..ends[1].as_usize())
            .collect()
    }
    Some(match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            (lists.values(), between(lists.value_offsets()))
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            (lists.values(), between(lists.value_offsets()))
        }
        DataType::FixedSizeList(..) => {
            let lists = array.as_fixed_size_list();
            let width = lists.value_length() as usize;
            let starts = (0..array.len()).map(|row| lists.value_offset_at(row));
            let ranges = starts.map(|start| start..start + width);
            (lists.values(), ranges.collect())
        }
        _ => return None,
    })
}

/// The rows that are not null, and what they hold.
pub(super) fn present(array: &ArrayRef, place: &Place) -> Result<(UInt32Array, ArrayRef)> {
    let nulls = array.logical_nulls();
    let is_valid = |row: &u32| {
        let nulls = nulls.as_ref();
        nulls.is_none_or(|nulls| nulls.is_valid(*row as usize))
    };
    let rows: UInt32Array = (0..array.len() as u32)
        .filter(is_valid)
        .collect::<Vec<_>>()
        .into();
    let present = match rows.len() == array.len() {
        true => std::sync::Arc::clone(array),
        false => arrow_select::take::take(array, &rows, None).map_err(Error::table(place.table))?,
    };
    Ok((rows, present))
}

/// An error at one of the values that are [`present`], at its row of the part of the table that
/// `rows` are of.
pub(super) fn in_table(error: Error, rows: &UInt32Array, before: usize) -> Error {
    match error {
        Error::Column {
            table,
            column,
            row: Some(row),
            problem,
        } => Error::Column {
            table,
            column,
            row: Some(before + rows.value(row - before) as usize),
            problem,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        BooleanArray, DictionaryArray, FixedSizeListArray, Int64Array, ListArray, StringArray,
    };

    use super::*;

    const PLACE: Place<'static> = Place {
        table: "items",
        column: "tags",
        before: 0,
    };

    fn rows(category: &Category) -> Vec<Vec<&str>> {
        let rows = 0..category.bags.len() as u32;
        let text = |&value: &u32| category.values[value as usize].as_str();
        rows.map(|row| category.bags.row(row).iter().map(text).collect())
            .collect()
    }

    #[test]
    fn parts_of_a_column_share_their_values() {
        let mut values = Values::new();
        for part in [
            vec![Some("red"), None],
            vec![Some(" blue "), Some("red"), Some(" ")],
        ] {
            let part: ArrayRef = Arc::new(StringArray::from(part));
            values.add_ids(&part, &PLACE).unwrap();
        }
        let category = values.finish("colour");
        assert_eq!(category.values, ["blue", "red"]);
        assert_eq!(
            rows(&category),
            [vec!["red"], vec![], vec!["blue"], vec!["red"], vec![]]
        );
    }

    #[test]
    fn numbers_flags_and_dictionaries_are_values_too() {
        let of = |array: ArrayRef| {
            let mut values = Values::new();
            values.add_ids(&array, &PLACE).unwrap();
            let category = values.finish("it");
            let rows = rows(&category).concat().join(" ");
            (category.bags.len(), rows)
        };
        let numbers = Int64Array::from(vec![Some(-4), None, Some(7)]);
        assert_eq!(of(Arc::new(numbers)), (3, "-4 7".to_owned()));
        let flags = BooleanArray::from(vec![Some(true), None, Some(false)]);
        assert_eq!(of(Arc::new(flags)), (3, "true false".to_owned()));
        let texts: DictionaryArray<Int32Type> =
            vec![Some("b"), None, Some("a")].into_iter().collect();
        assert_eq!(of(Arc::new(texts)), (3, "b a".to_owned()));
        // Of a column that is null throughout, a dictionary has no values.
        let none: DictionaryArray<Int32Type> = vec![None::<&str>, None].into_iter().collect();
        assert_eq!(of(Arc::new(none)), (2, String::new()));
    }

    #[test]
    fn lists_of_any_kind_are_bags() {
        let of = |array: ArrayRef| {
            let mut values = Values::new();
            values.add_bags(&array, &PLACE).unwrap();
            let category = values.finish("tags");
            rows(&category)
                .iter()
                .map(|row| row.join(" "))
                .collect::<Vec<_>>()
        };
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(9)]),
            Some(vec![Some(5), Some(3), Some(5)]),
            None,
            Some(vec![]),
        ]);
        assert_eq!(of(Arc::new(lists.clone())), ["9", "3 5", "", ""]);
        assert_eq!(of(Arc::new(lists.slice(1, 2))), ["3 5", ""]);
        let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            [
                Some(vec![Some(1), Some(2)]),
                None,
                Some(vec![Some(2), Some(2)]),
            ],
            2,
        );
        assert_eq!(of(Arc::new(fixed.clone())), ["1 2", "", "2"]);
        assert_eq!(of(Arc::new(fixed.slice(2, 1))), ["2"]);
        let texts = StringArray::from(vec![Some("new| sale |new|"), None, Some("")]);
        assert_eq!(of(Arc::new(texts)), ["new sale", "", ""]);
        let null = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1)]),
            Some(vec![None]),
        ]);
        let null: ArrayRef = Arc::new(null);
        let error = Values::new()
            .add_bags(&null, &PLACE)
            .unwrap_err()
            .to_string();
        assert!(error.contains("row 1: lists a null"), "{error}");
    }
}
