//! What users and items are called.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, StringArray, UInt64Array};
use arrow_schema::DataType;
use hashbrown::HashTable;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::text::{FULL, Row, Texts};
use crate::{Error, Result};

/// What users, or items, are called where they come with ids of 64 bits or with texts: number `n`
/// is the `n`-th of the names in their order, whole numbers by size and texts by their bytes.
///
/// An [`IdMap`](crate::IdMap) of such data [has them](crate::IdMap::names).
///
/// ```
/// use std::sync::Arc;
///
/// use mmdlrm_data::IdNames;
/// use mmdlrm_data::arrow_array::{ArrayRef, StringArray};
///
/// let skus: ArrayRef = Arc::new(StringArray::from(vec!["b-17", "a-4", "b-17"]));
/// let names = IdNames::of(&skus)?;
/// assert_eq!((names.len(), names.find("b-17")), (2, Some(1)));
/// assert_eq!(names.name(0).as_deref(), Some("a-4"));
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IdNames {
    names: Names,
    /// The number of each, ascending, where they are not counted from 0: of a part of the data.
    numbers: Option<Vec<u32>>,
}

/// Sorted, distinct.
#[derive(Debug, Clone, PartialEq)]
enum Names {
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
    Texts(StringArray),
}

impl From<Names> for IdNames {
    fn from(names: Names) -> Self {
        Self {
            names,
            numbers: None,
        }
    }
}

// Neither whole numbers nor texts differ from themselves.
impl Eq for IdNames {}

impl IdNames {
    /// The distinct ids of a column.
    ///
    /// # Errors
    /// A column of another type than whole numbers or texts, and nulls.
    pub fn of(ids: &ArrayRef) -> Result<Self> {
        let mut interner = Interner::for_type(ids.data_type(), "ids", "id")?;
        interner.read(ids, &mut Vec::new(), &Place::of("ids", "id"))?;
        Ok(merge(vec![interner])?.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.names {
            Names::Signed(names) => names.len(),
            Names::Unsigned(names) => names.len(),
            Names::Texts(names) => names.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a number.
    pub fn name(&self, number: u32) -> Option<Cow<'_, str>> {
        let place = match &self.numbers {
            None => number as usize,
            Some(numbers) => numbers.binary_search(&number).ok()?,
        };
        match &self.names {
            Names::Signed(names) => names.get(place).map(|it| it.to_string().into()),
            Names::Unsigned(names) => names.get(place).map(|it| it.to_string().into()),
            Names::Texts(names) => (place < names.len()).then(|| names.value(place).into()),
        }
    }

    /// The number of a name, written as it stands in the data.
    pub fn find(&self, name: &str) -> Option<u32> {
        let place = match &self.names {
            Names::Signed(names) => names.binary_search(&canonical(name)?).ok()?,
            Names::Unsigned(names) => names.binary_search(&canonical(name)?).ok()?,
            Names::Texts(names) => place_of(names, name)?,
        };
        match &self.numbers {
            None => u32::try_from(place).ok(),
            Some(numbers) => numbers.get(place).copied(),
        }
    }

    /// The same names with numbers of their own, ascending, in place of those counted from 0.
    pub(crate) fn with_numbers(self, numbers: &[u32]) -> Option<Self> {
        let fits = numbers.len() == self.len() && numbers.is_sorted_by(|a, b| a < b);
        let are_counted = (0..).zip(numbers).all(|(count, &number)| count == number);
        fits.then(|| Self {
            names: self.names,
            numbers: (!are_counted).then(|| numbers.to_vec()),
        })
    }

    /// Those of some numbers, ascending, which keep them.
    pub(crate) fn select(&self, numbers: &[u32]) -> Self {
        let place = |number: &u32| match &self.numbers {
            None => Some(*number as usize),
            Some(all) => all.binary_search(number).ok(),
        };
        let places: Vec<usize> = numbers.iter().filter_map(place).collect();
        let names = match &self.names {
            Names::Signed(names) => Names::Signed(places.iter().map(|&at| names[at]).collect()),
            Names::Unsigned(names) => Names::Unsigned(places.iter().map(|&at| names[at]).collect()),
            Names::Texts(names) => {
                Names::Texts(places.iter().map(|&at| Some(names.value(at))).collect())
            }
        };
        let are_counted = (0..).zip(numbers).all(|(count, &number)| count == number);
        Self {
            names,
            numbers: (!are_counted).then(|| numbers.to_vec()),
        }
    }

    /// A column of the names of some numbers, in their order; null of one that there is not.
    pub fn column_of(&self, numbers: impl Iterator<Item = u32>) -> ArrayRef {
        let place = |number: u32| match &self.numbers {
            None => Some(number as usize),
            Some(all) => all.binary_search(&number).ok(),
        };
        let places = numbers.map(place);
        match &self.names {
            Names::Signed(names) => {
                let column = places.map(|at| names.get(at?).copied());
                Arc::new(column.collect::<Int64Array>())
            }
            Names::Unsigned(names) => {
                let column = places.map(|at| names.get(at?).copied());
                Arc::new(column.collect::<UInt64Array>())
            }
            Names::Texts(names) => {
                let text = |at: usize| (at < names.len()).then(|| names.value(at));
                Arc::new(places.map(|at| text(at?)).collect::<StringArray>())
            }
        }
    }

    /// A column of them, `Int64`, `UInt64` or `Utf8`, in their order.
    pub fn to_array(&self) -> ArrayRef {
        match &self.names {
            Names::Signed(names) => Arc::new(Int64Array::from(names.clone())),
            Names::Unsigned(names) => Arc::new(UInt64Array::from(names.clone())),
            Names::Texts(names) => Arc::new(names.clone()),
        }
    }

    /// Whether they are texts, and no numbers.
    pub fn are_texts(&self) -> bool {
        matches!(self.names, Names::Texts(_))
    }
}

/// The id in a field of a row: a number, or a name of which there is one.
pub(crate) fn id_in(row: &Row, column: usize, names: Option<&Arc<IdNames>>) -> Result<u32> {
    match names {
        None => row.id(column),
        Some(names) => {
            let name = row.text(column)?;
            let unknown = || {
                row.bad(
                    column,
                    "is not an id of the data; check which data the file is of",
                )
            };
            names.find(name.trim()).ok_or_else(unknown)
        }
    }
}

/// Numbers of the ids of a column, in the order in which they come, and what each is called.
pub(crate) fn interned(
    table: &'static str,
    column: &str,
    ids: &ArrayRef,
) -> Result<(Vec<u32>, Vec<String>)> {
    let mut interner = Interner::for_type(ids.data_type(), table, column)?;
    let mut numbers = Vec::with_capacity(ids.len());
    interner.read(ids, &mut numbers, &Place::of(table, column))?;
    let texts = (0..interner.len()).map(|number| interner.text(number));
    let texts = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok((numbers, texts.collect()))
}

/// The number that is written so, and in no other way.
fn canonical<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn place_of(names: &StringArray, name: &str) -> Option<usize> {
    let (mut low, mut high) = (0, names.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match names.value(middle).cmp(name) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// A column of a table, for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub table: &'static str,
    pub column: &'a str,
    /// Rows of the table before those at hand.
    pub before: usize,
}

impl<'a> Place<'a> {
    pub fn of(table: &'static str, column: &'a str) -> Self {
        Self {
            table,
            column,
            before: 0,
        }
    }

    /// An error at a row of those at hand, or at all of the column.
    pub fn bad(&self, row: Option<usize>, problem: impl Into<String>) -> Error {
        Error::Column {
            table: self.table,
            column: self.column.to_owned(),
            row: row.map(|row| self.before + row),
            problem: problem.into(),
        }
    }
}

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
                let mut number = |text: Option<&str>| {
                    let text = text.unwrap_or_default();
                    numbers.push(interned.number(text.as_bytes()));
                };
                match ids.data_type() {
                    DataType::Utf8 => ids.as_string::<i32>().iter().for_each(&mut number),
                    DataType::LargeUtf8 => ids.as_string::<i64>().iter().for_each(&mut number),
                    _ => ids.as_string_view().iter().for_each(&mut number),
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
        let keys = dictionary.normalized_keys();
        let values = dictionary.values();
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
    use arrow_array::types::Int8Type;
    use arrow_array::{DictionaryArray, Float64Array};

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
