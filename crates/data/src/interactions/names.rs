//! What users and items are called.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringArray, UInt64Array};

use super::interner::{Interner, merge};
use super::place::Place;
use crate::Result;
use crate::text::Row;

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
pub(super) enum Names {
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
pub(super) fn canonical<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
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
