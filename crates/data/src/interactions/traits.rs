//! What is known of users, or of items, beside who they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, Float32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};

use super::IdNames;
use super::place::Place;
use super::values::Values;
use crate::text::{FULL, Texts};
use crate::{Bags, DataPart, Error, PartHasher, Result};

/// Key of the metadata of a column that is a trait, or the names of ids.
const KEY: &str = "mmdlrm.role";
const CATEGORY: &str = "category";
const MEASURE: &str = "measure";
const NAMES: &str = "names";
/// The column of the names of ids.
const NAMES_COLUMN: &str = "name";
/// Before the name of a trait, which may be that of a column of the table as well.
const PREFIX: &str = "trait.";

/// What is known of each of some users, or items, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traits {
    /// Values that are told apart.
    pub categories: Vec<Category>,
    /// Numbers.
    pub measures: Vec<Measure>,
}

/// Values that are told apart, any number for each: a brand, tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Category {
    /// What the column is called.
    pub name: String,
    /// The values, ascending.
    pub values: Vec<String>,
    /// Of each which of the values.
    pub bags: Bags,
}

/// A number for each: a price, an age.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What the column is called.
    pub name: String,
    /// Of each; NaN where it is not known.
    pub values: Vec<f32>,
}

impl Traits {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.measures.is_empty()
    }

    /// Those of `wanted`, by place; nothing is known of `None`.
    #[must_use]
    pub fn of(&self, wanted: &[Option<u32>]) -> Self {
        let categories = self.categories.iter().map(|category| {
            let mut bags = Bags::from_pairs(0, []);
            for place in wanted {
                bags.push(place.map_or(&[], |place| category.bags.row(place)));
            }
            Category {
                bags,
                ..category.clone()
            }
        });
        let measures = self.measures.iter().map(|measure| {
            let values = wanted.iter();
            let value = |place: u32| measure.values[place as usize];
            Measure {
                name: measure.name.clone(),
                values: values.map(|it| it.map_or(f32::NAN, value)).collect(),
            }
        });
        Self {
            categories: categories.collect(),
            measures: measures.collect(),
        }
    }

    /// All but those of some rows, ascending.
    #[must_use]
    pub(crate) fn without(&self, rows: &[u32]) -> Self {
        if self.is_empty() || rows.is_empty() {
            return self.clone();
        }
        let all = match (self.categories.first(), self.measures.first()) {
            (Some(category), _) => category.bags.len(),
            (_, Some(measure)) => measure.values.len(),
            (None, None) => 0,
        };
        let kept = (0..all as u32).filter(|row| rows.binary_search(row).is_err());
        self.of(&kept.map(Some).collect::<Vec<_>>())
    }

    /// What is known, as part of a fingerprint.
    pub fn part(&self, name: &str) -> DataPart {
        let mut part = PartHasher::new(name);
        for category in &self.categories {
            part.text(&category.name);
            category.values.iter().for_each(|value| part.text(value));
            for row in 0..category.bags.len() as u32 {
                let bag = category.bags.row(row);
                part.thing(&[bag.len() as u32]);
                part.thing(bag);
            }
        }
        for measure in &self.measures {
            part.text(&measure.name);
            part.words(measure.values.iter().map(|value| [value.to_bits()]));
        }
        let count = self.categories.len() + self.measures.len();
        part.count(count).finish()
    }

    /// Columns of a table, `List<Utf8>` and `Float32`, null where nothing is known.
    ///
    /// # Errors
    /// Texts of 2 GiB in a column.
    pub(crate) fn to_columns(&self) -> Result<Vec<(Field, ArrayRef)>> {
        let mut columns = Vec::new();
        for category in &self.categories {
            let lists: ArrayRef = Arc::new(category.to_lists()?);
            columns.push((trait_field(&category.name, CATEGORY, &lists), lists));
        }
        for measure in &self.measures {
            let values = measure.values.iter();
            let known = values.map(|value| (!value.is_nan()).then_some(*value));
            let values: ArrayRef = Arc::new(known.collect::<Float32Array>());
            columns.push((trait_field(&measure.name, MEASURE, &values), values));
        }
        Ok(columns)
    }

    /// Those that a table of [`Self::to_columns`] has.
    ///
    /// # Errors
    /// Columns of other types.
    pub(crate) fn from_table(table: &RecordBatch) -> Result<Self> {
        let mut traits = Self::default();
        for (field, array) in columns_of(table, CATEGORY) {
            let mut values = Values::new();
            let place = Place::of("traits", field.name());
            values.add_bags(array, &place)?;
            traits.categories.push(values.finish(name_of(field)?));
        }
        for (field, array) in columns_of(table, MEASURE) {
            let values = array.as_primitive_opt::<Float32Type>();
            let values = values.ok_or_else(|| of_another_type(field))?;
            traits.measures.push(Measure {
                name: name_of(field)?.to_owned(),
                values: values
                    .iter()
                    .map(|value| value.unwrap_or(f32::NAN))
                    .collect(),
            });
        }
        Ok(traits)
    }
}

impl Category {
    fn to_lists(&self) -> Result<ListArray> {
        let mut texts = Texts::default();
        let rows = 0..self.bags.len() as u32;
        for row in rows.clone() {
            for &value in self.bags.row(row) {
                let written = texts.push(&self.values[value as usize]);
                written.ok_or_else(|| Error::setting("column", &self.name, FULL))?;
            }
        }
        let offsets = OffsetBuffer::from_lengths(rows.map(|row| self.bags.row(row).len()));
        let texts = texts.array().map_err(Error::table("traits"))?;
        let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
        ListArray::try_new(item, offsets, Arc::new(texts), None).map_err(Error::table("traits"))
    }
}

fn trait_field(name: &str, role: &str, array: &ArrayRef) -> Field {
    field(&format!("{PREFIX}{name}"), role, array)
}

/// What a trait is called.
fn name_of(field: &Field) -> Result<&str> {
    let name = field.name().strip_prefix(PREFIX);
    name.ok_or_else(|| of_another_type(field))
}

fn field(name: &str, role: &str, array: &ArrayRef) -> Field {
    let metadata = HashMap::from([(KEY.to_owned(), role.to_owned())]);
    Field::new(name, array.data_type().clone(), true).with_metadata(metadata)
}

fn columns_of<'a>(
    table: &'a RecordBatch,
    role: &'static str,
) -> impl Iterator<Item = (&'a Field, &'a ArrayRef)> {
    let fields = table.schema_ref().fields().iter().map(Arc::as_ref);
    let has_role = move |field: &Field| field.metadata().get(KEY).is_some_and(|it| it == role);
    fields
        .zip(table.columns())
        .filter(move |(field, _)| has_role(field))
}

fn of_another_type(field: &Field) -> Error {
    let rule = "it is not of the type that this version writes; write the table anew";
    Error::setting("column", field.name(), rule)
}

/// The columns of a table that are traits, or names of ids.
pub(crate) fn further_columns(table: &RecordBatch) -> (Vec<Arc<Field>>, Vec<ArrayRef>) {
    let fields = table.schema_ref().fields().iter().zip(table.columns());
    let further = fields.filter(|(field, _)| field.metadata().contains_key(KEY));
    further
        .map(|(field, array)| (Arc::clone(field), Arc::clone(array)))
        .unzip()
}

/// A column of the names of ids.
pub(crate) fn column_of_names(names: &IdNames) -> (Field, ArrayRef) {
    let array = names.to_array();
    (field(NAMES_COLUMN, NAMES, &array), array)
}

/// The names of the ids of a table, whose numbers ascend, if it has any.
///
/// # Errors
/// Names in another order.
pub(crate) fn names_of(table: &RecordBatch, numbers: &[u32]) -> Result<Option<Arc<IdNames>>> {
    let Some((field, array)) = columns_of(table, NAMES).next() else {
        return Ok(None);
    };
    let names = IdNames::of(array)?;
    let same = &names.to_array() == array;
    let names = names.with_numbers(numbers).filter(|_| same);
    names
        .map(|names| Some(Arc::new(names)))
        .ok_or_else(|| of_another_type(field))
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_schema::Schema;

    use super::*;

    fn traits() -> Traits {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["new|red|new", "", "sale|red"]));
        let mut values = Values::new();
        values
            .add_bags(&texts, &Place::of("items", "tags"))
            .unwrap();
        let tags = values.finish("tags");
        Traits {
            categories: vec![tags],
            measures: vec![Measure {
                name: "price".to_owned(),
                values: vec![4.5, f32::NAN, 0.0],
            }],
        }
    }

    #[test]
    fn values_are_numbered_in_their_order_and_stand_once() {
        let tags = &traits().categories[0];
        assert_eq!(tags.values, ["new", "red", "sale"]);
        assert_eq!(tags.bags.row(0), [0, 1]);
        assert_eq!((tags.bags.row(1), tags.bags.row(2)), (&[][..], &[1, 2][..]));
    }

    #[test]
    fn traits_come_back_from_a_table_with_other_columns() {
        let names = IdNames::of(&(Arc::new(Float32Array::from(vec![0.0])) as ArrayRef));
        assert!(names.is_err());
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let names = IdNames::of(&names).unwrap();
        let mut columns = traits().to_columns().unwrap();
        columns.push(column_of_names(&names));
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let again = Traits::from_table(&table).unwrap();
        assert_eq!(again.part("traits"), traits().part("traits"));
        assert_ne!(
            again.of(&[None, Some(0)]).part("traits"),
            traits().part("traits")
        );
        let found = names_of(&table, &[3, 5, 9]).unwrap().unwrap();
        assert_eq!(
            (found.find("b"), found.name(9).as_deref()),
            (Some(5), Some("c"))
        );
        assert!(names_of(&table, &[3, 5]).is_err());
    }
}
