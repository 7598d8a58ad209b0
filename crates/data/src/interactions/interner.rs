//! Ids that are numbered as they come.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use hashbrown::HashTable;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::IdNames;
use super::names::{Names, canonical};
use super::place::Place;
use crate::text::{FULL, Texts};
use crate::{Error, Result};

/// Numbers distinct ids in the order in which they come.
pub(super) enum Interner {
    Signed(Interned<i64>),
    Unsigned(Interned<u64>),
    Texts {
        interned: InternedTexts,
        /// Whether the column could not say that they are numbers.
        untyped: bool,
    },
}

/// Whole numbers, each once.
#[derive(Default)]
pub(super) struct Interned<T> {
    table: HashTable<u32>,
    values: Vec<T>,
}

/// Texts, each once, back to back.
#[derive(Default)]
pub(super) struct InternedTexts {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<T: Copy + Eq + Into<Word>> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        let values = &mut self.values;
        let hash = |value: T| xxh3_64(&value.into().0);
        let same = |&number: &u32| values[number as usize] == value;
        let of_value = hash(value);
        if let Some(&number) = self.table.find(of_value, same) {
            return number;
        }
        let number = values.len() as u32;
        values.push(value);
        let rehash = |&number: &u32| hash(values[number as usize]);
        self.table.insert_unique(of_value, number, rehash);
        number
    }
}

/// The bytes of a number.
pub(super) struct Word([u8; 8]);

impl From<i64> for Word {
    fn from(value: i64) -> Self {
        Self(value.to_le_bytes())
    }
}

impl From<u64> for Word {
    fn from(value: u64) -> Self {
        Self(value.to_le_bytes())
    }
}

impl InternedTexts {
    fn get(&self, number: u32) -> &[u8] {
        span(&self.bytes, &self.ends, number)
    }

    fn number(&mut self, text: &[u8]) -> u32 {
        let of_text = xxh3_64(text);
        let Self { table, bytes, ends } = self;
        let same = |&number: &u32| span(bytes, ends, number) == text;
        if let Some(&number) = table.find(of_text, same) {
            return number;
        }
        let number = ends.len() as u32;
        bytes.extend_from_slice(text);
        ends.push(bytes.len());
        let rehash = |&number: &u32| xxh3_64(span(bytes, ends, number));
        table.insert_unique(of_text, number, rehash);
        number
    }
}

fn span<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[number]]
}

impl Interner {
    /// For a column of this type.
    pub fn for_type(found: &DataType, table: &'static str, column: &str) -> Result<Self> {
        let place = Place::of(table, column);
        match found {
            DataType::Dictionary(_, values) => Self::for_type(values, table, column),
            DataType::UInt64 => Ok(Self::Unsigned(Interned::default())),
            found if found.is_integer() => Ok(Self::Signed(Interned::default())),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(Self::Texts {
                interned: InternedTexts::default(),
                untyped: false,
            }),
            found if found.is_floating() => Err(place.bad(
                None,
                format!(
                    "is of the type {found}, and an id is a whole number or a text (pandas makes \
                     numbers of this type of ids where one is missing: remove those rows and cast \
                     the column)"
                ),
            )),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Err(place
                .bad(
                    None,
                    format!(
                        "is of the type {found}: a list holds several, and an id is one; name \
                         another column, or explode the list into rows"
                    ),
                )),
            found => Err(place.bad(
                None,
                format!("is of the type {found}, and an id is a whole number or a text"),
            )),
        }
    }

    /// For texts of a file without types, which may be numbers.
    pub fn untyped() -> Self {
        Self::Texts {
            interned: InternedTexts::default(),
            untyped: true,
        }
    }

    /// Appends the numbers of a column's ids to `numbers`.
    pub fn read(&mut self, ids: &ArrayRef, numbers: &mut Vec<u32>, place: &Place) -> Result<()> {
        if ids.null_count() > 0 {
            let row = (0..ids.len()).find(|&row| ids.is_null(row));
            let problem = "is null, and every row is somebody's: give it an id, or remove the row";
            return Err(place.bad(row, problem));
        }
        if let Some(dictionary) = ids.as_any_dictionary_opt() {
            return self.read_dictionary(dictionary, numbers, place);
        }
        macro_rules! whole {
            ($interned:expr, $from:ty) => {{
                let values = ids.as_primitive::<$from>().values().iter();
                numbers.extend(values.map(|&value| $interned.number(value.into())));
            }};
        }
        match (self, ids.data_type()) {
            (Self::Signed(interned), DataType::Int64) => whole!(interned, Int64Type),
            (Self::Signed(interned), DataType::Int32) => whole!(interned, Int32Type),
            (Self::Signed(interned), DataType::Int16) => whole!(interned, Int16Type),
            (Self::Signed(interned), DataType::Int8) => whole!(interned, Int8Type),
            (Self::Signed(interned), DataType::UInt32) => whole!(interned, UInt32Type),
            (Self::Signed(interned), DataType::UInt16) => whole!(interned, UInt16Type),
            (Self::Signed(interned), DataType::UInt8) => whole!(interned, UInt8Type),
            (Self::Unsigned(interned), DataType::UInt64) => whole!(interned, UInt64Type),
            (Self::Texts { interned, .. }, _) => {
                let before = numbers.len();
                let mut blank = None;
                let mut number = |text: Option<&str>| {
                    // Columns of a fixed width are filled up with blanks.
                    let text = text.unwrap_or_default().trim();
                    if text.is_empty() {
                        blank.get_or_insert(numbers.len() - before);
                    }
                    numbers.push(interned.number(text.as_bytes()));
                };
                match ids.data_type() {
                    DataType::Utf8 => ids.as_string::<i32>().iter().for_each(&mut number),
                    DataType::LargeUtf8 => ids.as_string::<i64>().iter().for_each(&mut number),
                    _ => ids.as_string_view().iter().for_each(&mut number),
                }
                if blank.is_some() {
                    let problem = "is empty, and every row is somebody's: give it an id, or remove \
                                   the row";
                    return Err(place.bad(blank, problem));
                }
            }
            _ => return Err(place.bad(None, "is of another type in a later part of the table")),
        }
        Ok(())
    }

    /// Numbers each value of the dictionary that is used once, whatever the number of rows.
    fn read_dictionary(
        &mut self,
        dictionary: &dyn arrow_array::array::AnyDictionaryArray,
        numbers: &mut Vec<u32>,
        place: &Place,
    ) -> Result<()> {
        let values = dictionary.values();
        if values.is_empty() {
            // Without values there are no rows: a null is refused before. Keys of none cannot be
            // asked for.
            return Ok(());
        }
        let keys = dictionary.normalized_keys();
        let mut of_value = vec![u32::MAX; values.len()];
        let mut one = Vec::with_capacity(1);
        for (row, key) in keys.into_iter().enumerate() {
            if of_value[key] == u32::MAX {
                one.clear();
                let value = values.slice(key, 1);
                let at = Place {
                    before: place.before + row,
                    ..*place
                };
                self.read(&value, &mut one, &at)?;
                of_value[key] = one[0];
            }
            numbers.push(of_value[key]);
        }
        Ok(())
    }

    /// The number of one text; `None` where numbers are no texts.
    pub fn number_of_text(&mut self, text: &str) -> Option<u32> {
        match self {
            Self::Texts { interned, .. } => Some(interned.number(text.as_bytes())),
            _ => None,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Signed(interned) => interned.values.len(),
            Self::Unsigned(interned) => interned.values.len(),
            Self::Texts { interned, .. } => interned.ends.len(),
        }
    }

    /// The whole numbers that they are, if they are: those of texts too.
    fn whole<T: std::str::FromStr + ToString + TryFrom<i64> + TryFrom<u64>>(
        &self,
    ) -> Option<Vec<T>> {
        match self {
            Self::Signed(interned) => {
                let values = interned.values.iter();
                values.map(|&value| T::try_from(value).ok()).collect()
            }
            Self::Unsigned(interned) => {
                let values = interned.values.iter();
                values.map(|&value| T::try_from(value).ok()).collect()
            }
            Self::Texts { untyped: false, .. } => None,
            Self::Texts { interned, .. } => (0..interned.ends.len() as u32)
                .map(|number| canonical(std::str::from_utf8(interned.get(number)).ok()?))
                .collect(),
        }
    }

    /// A value as text.
    pub fn text(&self, number: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Signed(interned) => interned.values[number].to_string().into_bytes().into(),
            Self::Unsigned(interned) => interned.values[number].to_string().into_bytes().into(),
            Self::Texts { interned, .. } => interned.get(number as u32).into(),
        }
    }
}

/// One set of names of what several numbered, and for each of these the numbers of its own: whole
/// numbers where all are, texts otherwise.
///
/// # Errors
/// 2³² names, or texts of 2 GiB.
pub(super) fn merge(parts: Vec<Interner>) -> Result<(IdNames, Vec<Vec<u32>>)> {
    if let Some((names, numbers)) = merge_whole::<i64>(&parts) {
        return Ok((Names::Signed(names).into(), numbers));
    }
    if let Some((names, numbers)) = merge_whole::<u64>(&parts) {
        return Ok((Names::Unsigned(names).into(), numbers));
    }
    let texts: Vec<Vec<Cow<[u8]>>> = parts
        .iter()
        .map(|part| (0..part.len()).map(|number| part.text(number)).collect())
        .collect();
    let (places, numbers) = number_in_order(&texts);
    let mut names = Texts::default();
    for (part, number) in places {
        // Arrow's texts are UTF-8, and numbers too.
        let text = std::str::from_utf8(&texts[part as usize][number as usize]);
        let written = text.ok().and_then(|text| names.push(text));
        written.ok_or_else(|| Error::setting("names of ids", "too many", FULL))?;
    }
    let names = names.array().map_err(Error::table("ids"))?;
    Ok((Names::Texts(names).into(), numbers))
}

fn merge_whole<T>(parts: &[Interner]) -> Option<(Vec<T>, Vec<Vec<u32>>)>
where
    T: std::str::FromStr + ToString + TryFrom<i64> + TryFrom<u64> + Ord + Copy + Sync,
{
    let values: Vec<Vec<T>> = parts.iter().map(Interner::whole).collect::<Option<_>>()?;
    let (places, numbers) = number_in_order(&values);
    let names = places.iter();
    let names = names.map(|&(part, number)| values[part as usize][number as usize]);
    Some((names.collect(), numbers))
}

/// Where each distinct value stands first, in their order, and the place in that order of each
/// value of each part.
fn number_in_order<T: Ord + Sync>(parts: &[Vec<T>]) -> (Vec<(u32, u32)>, Vec<Vec<u32>>) {
    let value = |&(part, number): &(u32, u32)| &parts[part as usize][number as usize];
    let mut places: Vec<(u32, u32)> = Vec::new();
    for (part, values) in (0..).zip(parts) {
        places.extend((0..values.len() as u32).map(|number| (part, number)));
    }
    places.par_sort_unstable_by(|a, b| value(a).cmp(value(b)).then(a.cmp(b)));
    let mut numbers: Vec<Vec<u32>> = parts.iter().map(|part| vec![0; part.len()]).collect();
    let mut distinct: Vec<(u32, u32)> = Vec::with_capacity(places.len());
    for place in places {
        if distinct
            .last()
            .is_none_or(|last| value(last) != value(&place))
        {
            distinct.push(place);
        }
        numbers[place.0 as usize][place.1 as usize] = distinct.len() as u32 - 1;
    }
    (distinct, numbers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Float64Array, Int64Array, StringArray, UInt64Array};

    use super::*;

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    fn numbers(interner: &mut Interner, ids: &ArrayRef) -> Vec<u32> {
        let mut numbers = Vec::new();
        interner
            .read(ids, &mut numbers, &Place::of("ids", "id"))
            .unwrap();
        numbers
    }

    #[test]
    fn parts_that_were_numbered_apart_get_the_numbers_of_the_whole() {
        let of = |ids: &[&str]| {
            let ids = texts(ids);
            let mut interner = Interner::for_type(ids.data_type(), "ids", "id").unwrap();
            (numbers(&mut interner, &ids), interner)
        };
        let ((first, a), (second, b)) = (of(&["pear", "fig", "pear"]), of(&["apple", "fig"]));
        let (names, maps) = merge(vec![a, b]).unwrap();
        let all: Vec<_> = (0..3).map(|number| names.name(number).unwrap()).collect();
        assert_eq!(all, ["apple", "fig", "pear"]);
        let of_whole = |numbers: &[u32], part: usize| -> Vec<u32> {
            numbers.iter().map(|&it| maps[part][it as usize]).collect()
        };
        assert_eq!(of_whole(&first, 0), [2, 1, 2]);
        assert_eq!(of_whole(&second, 1), [0, 1]);
        assert_eq!(names.find("fig"), Some(1));
        assert_eq!((names.find("figs"), names.name(3)), (None, None));
    }

    #[test]
    fn numbers_are_ordered_by_size_and_those_of_plain_text_are_numbers() {
        let mut untyped = Interner::untyped();
        numbers(&mut untyped, &texts(&["10", "9", "-3"]));
        let signed: ArrayRef = Arc::new(Int64Array::from(vec![9, 7]));
        let mut typed = Interner::for_type(signed.data_type(), "ids", "id").unwrap();
        numbers(&mut typed, &signed);
        let names = merge(vec![untyped, typed]).unwrap().0;
        assert!(!names.are_texts());
        let all: Vec<_> = (0..4).map(|number| names.name(number).unwrap()).collect();
        assert_eq!(all, ["-3", "7", "9", "10"]);
        // What is not written as a number is would not come back as it was.
        let mut padded = Interner::untyped();
        numbers(&mut padded, &texts(&["007", "7"]));
        let names = merge(vec![padded]).unwrap().0;
        assert!(names.are_texts() && names.find("007") == Some(0));
        let highest: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1]));
        let names = IdNames::of(&highest).unwrap();
        assert_eq!(names.find("18446744073709551615"), Some(1));
        assert_eq!(IdNames::of(&names.to_array()).unwrap(), names);
    }

    #[test]
    fn a_dictionary_is_the_texts_that_it_stands_for() {
        let coded: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
        let coded: ArrayRef = Arc::new(coded);
        let mut interner = Interner::for_type(coded.data_type(), "ids", "id").unwrap();
        assert_eq!(numbers(&mut interner, &coded), [0, 1, 0]);
        assert_eq!(numbers(&mut interner, &texts(&["y", "z"])), [1, 2]);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        let error = IdNames::of(&floats).unwrap_err().to_string();
        assert!(
            error.contains("Float64") && error.contains("pandas"),
            "{error}"
        );
        let missing: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let error = IdNames::of(&missing).unwrap_err().to_string();
        assert!(error.contains("column 'id', row 1: is null"), "{error}");
    }
}
