//! Tables of users and of items.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::interner::Interner;
use super::place::Place;
use super::roles::{ColumnRole, Roles};
use super::schema::{Role, Side};
use super::source::Source;
use super::target::{DENSE, read_numbers};
use super::times::{Ticks, is_time};
use super::traits::{Measure, Traits};
use super::values::{BETWEEN_VALUES, Values, in_table, present};
use crate::movielens::path_of;
use crate::tables::to_f32;
use crate::text::shorten;
use crate::{Movies, Result};

/// Share of texts that are all different from which on they are no values to be told apart, …
const NEARLY_ALL: f64 = 0.9;
/// … and how many there are at least then.
const SEVERAL: usize = 20;
/// Share of texts that are numbers from which on the others look like mistakes.
const MOSTLY: f64 = 0.5;
const SECONDS_A_DAY: f32 = 86_400.0;

/// A table of users, or of items, in the order of its rows.
pub(super) struct SideTable {
    /// Numbers of the ids, in the order in which they come: each stands once.
    pub ids: Interner,
    pub traits: Traits,
    pub vectors: Vec<RowVectors>,
    pub titles: Option<Vec<Option<String>>>,
    pub years: Option<Vec<Option<i32>>>,
    pub images: Option<Vec<Option<PathBuf>>>,
    pub texts: Option<Vec<Option<String>>>,
    /// Columns with what they were taken for.
    pub roles: Roles,
}

/// A column of vectors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowVectors {
    pub name: String,
    pub width: usize,
    /// Back to back, of those rows that have one.
    pub values: Vec<f32>,
    pub is_present: Vec<bool>,
}

/// What columns of single interactions say, by row.
///
/// # Errors
/// The first value that cannot be used, by column and row.
pub(super) fn traits_of_rows(source: &Source, roles: &Roles) -> Result<Traits> {
    let mut traits = Traits::default();
    for ColumnRole { name, role, .. } in &roles.columns {
        match role {
            Role::Id | Role::Bag => {
                let mut values = Values::new();
                source.read_column(name, |array, place| match role {
                    Role::Id => values.add_ids(array, place),
                    _ => values.add_bags(array, place),
                })?;
                traits.categories.push(values.finish(name));
            }
            Role::Dense => {
                let mut values = Vec::new();
                source.read_column(name, |array, place| add_measures(array, &mut values, place))?;
                traits.measures.push(Measure {
                    name: name.clone(),
                    values,
                });
            }
            Role::Vector => {
                let all = source.read_all(&[name])?;
                let vectors = vectors_of(all.column(0), &Place::of(source.table, name));
                let vectors = vectors.map_err(|error| source.in_file(error))?;
                traits.measures.extend(vectors.measures());
            }
            _ => {}
        }
    }
    Ok(traits)
}

impl SideTable {
    /// Reads the table.
    ///
    /// # Errors
    /// The first value that cannot be used, by column and row, and an id that stands twice.
    pub fn read(source: &Source, roles: Roles) -> Result<Self> {
        Self::read_columns(source, roles).map_err(|error| source.in_file(error))
    }

    fn read_columns(source: &Source, roles: Roles) -> Result<Self> {
        let key = match roles.side {
            Side::User => Role::User,
            _ => Role::Item,
        };
        let column = roles.one(key).unwrap_or_default().to_owned();
        let used = roles.columns.iter().filter(|it| it.role != Role::Unused);
        let names: Vec<&str> = used.map(|it| it.name.as_str()).collect();
        let table = source.read_all(&names)?;
        let array = |name: &str| table.column_by_name(name);
        let mut side = Self {
            ids: read_ids(source, &column, array(&column))?,
            traits: Traits::default(),
            vectors: Vec::new(),
            titles: None,
            years: None,
            images: None,
            texts: None,
            roles,
        };
        for number in 0..side.roles.columns.len() {
            let ColumnRole { name, role, .. } = &side.roles.columns[number];
            if matches!(role, Role::Unused | Role::User | Role::Item) {
                continue;
            }
            let Some(array) = array(name) else { continue };
            let role = settled(&side.roles.columns[number], array, source.is_untyped());
            if let Some(remark) = looks_mistaken(name, role, array, source.is_untyped()) {
                tracing::warn!("table of {}: {remark}", source.table);
            }
            side.roles.columns[number].role = role;
            let name = side.roles.columns[number].name.clone();
            let place = Place::of(source.table, &name);
            side.take(role, array, &place, source)?;
        }
        Ok(side)
    }

    fn take(&mut self, role: Role, array: &ArrayRef, place: &Place, source: &Source) -> Result<()> {
        match role {
            Role::Id | Role::Bag => {
                let mut values = Values::new();
                match role {
                    Role::Id => values.add_ids(array, place)?,
                    _ => values.add_bags(array, place)?,
                }
                self.traits.categories.push(values.finish(place.column));
            }
            Role::Dense => {
                let mut values = Vec::new();
                add_measures(array, &mut values, place)?;
                self.traits.measures.push(Measure {
                    name: place.column.to_owned(),
                    values,
                });
            }
            Role::Vector => self.vectors.push(vectors_of(array, place)?),
            Role::Title => self.titles = Some(texts_of(array, place)?),
            Role::Text => self.texts = Some(texts_of(array, place)?),
            Role::Year => self.years = Some(years_of(array, place)?),
            Role::Image => {
                let folder = source.path().and_then(Path::parent);
                let folder = folder.unwrap_or(Path::new(""));
                self.images = Some(images_of(&texts_of(array, place)?, folder, place)?);
            }
            Role::User | Role::Item | Role::Target | Role::Time | Role::Unused => {}
        }
        Ok(())
    }
}

impl RowVectors {
    /// Each of the numbers as a column of its own, `name_0`, `name_1`, ….
    pub fn measures(&self) -> Vec<Measure> {
        let mut vectors = self.values.chunks_exact(self.width);
        let of_rows = self.is_present.iter().map(|&is_present| match is_present {
            true => vectors.next(),
            false => None,
        });
        let of_rows: Vec<Option<&[f32]>> = of_rows.collect();
        let column = |place: usize| Measure {
            name: format!("{}_{place}", self.name),
            values: of_rows
                .iter()
                .map(|it| it.map_or(f32::NAN, |it| it[place]))
                .collect(),
        };
        (0..self.width).map(column).collect()
    }
}

/// Ids, each of which must stand once.
fn read_ids(source: &Source, column: &str, array: Option<&ArrayRef>) -> Result<Interner> {
    let place = Place::of(source.table, column);
    let array = array.ok_or_else(|| place.bad(None, "is missing"))?;
    let mut ids = match source.is_untyped() {
        true => Interner::untyped(),
        false => Interner::for_type(array.data_type(), source.table, column)?,
    };
    let mut numbers = Vec::with_capacity(array.len());
    ids.read(array, &mut numbers, &place)?;
    // An id that is new is numbered by those before it.
    let twice = (0..).zip(&numbers).find(|&(row, &number)| row != number);
    match twice {
        None => Ok(ids),
        Some((row, &before)) => {
            let value = super::source::shown(array, row as usize);
            let problem = format!("'{value}' stands in row {before} too; keep one of them");
            Err(place.bad(Some(row as usize), problem))
        }
    }
}

/// What a column is, now that its values are known.
pub(super) fn settled(column: &ColumnRole, array: &ArrayRef, untyped: bool) -> Role {
    if column.is_named {
        return column.role;
    }
    if column.role == Role::Dense && column.name.eq_ignore_ascii_case("year") && are_years(array) {
        return Role::Year;
    }
    if column.role != Role::Id {
        return column.role;
    }
    let Some(texts) = all_texts(array) else {
        return column.role;
    };
    let mut known: Vec<&str> = texts.iter().copied().flatten().collect();
    if untyped {
        let is_called_so = column.name.eq_ignore_ascii_case("year");
        if is_called_so && known.iter().all(|it| year_in(it).is_some()) {
            return Role::Year;
        }
        if !known.is_empty() && known.iter().all(|it| it.parse::<f32>().is_ok()) {
            return Role::Dense;
        }
        if known.iter().any(|it| it.contains(BETWEEN_VALUES)) {
            return Role::Bag;
        }
    }
    let all = known.len();
    known.sort_unstable();
    known.dedup();
    match all >= SEVERAL && known.len() as f64 >= NEARLY_ALL * all as f64 {
        true => Role::Unused,
        false => Role::Id,
    }
}

/// What looks wrong with a column that nobody gave a role: some of its texts are no numbers, where
/// most are.
pub(super) fn looks_mistaken(
    name: &str,
    role: Role,
    array: &ArrayRef,
    untyped: bool,
) -> Option<String> {
    if !untyped || !matches!(role, Role::Id | Role::Unused) {
        return None;
    }
    let texts = all_texts(array)?;
    let known: Vec<&str> = texts.into_iter().flatten().collect();
    let mut others = known.iter().filter(|it| it.parse::<f32>().is_err());
    let first = others.next()?;
    let count = 1 + others.count();
    let are_mostly = (known.len() - count) as f64 >= MOSTLY * known.len() as f64;
    are_mostly.then(|| {
        format!(
            "column '{name}' is of numbers, but for {count} of its {} values, such as '{}': leave \
             these empty and it is dense; as it is, it is taken for {role}",
            known.len(),
            shorten(first)
        )
    })
}

/// Whether all are years, as they are kept where some are not known too: pandas makes them floats.
fn are_years(array: &ArrayRef) -> bool {
    let is_year = |it: f32| (0.0..=9999.0).contains(&it) && it.fract() == 0.0;
    to_f32(array).is_some_and(|it| it.iter().flatten().all(is_year))
}

/// The year that a text is, or a number.
fn year_in(text: &str) -> Option<i32> {
    let year = text.strip_suffix(".0").unwrap_or(text).parse().ok();
    year.filter(|year| Movies::YEARS.contains(year))
}

/// The texts of a column of any type of texts, dictionaries too; `None` of another.
pub(super) fn all_texts(array: &ArrayRef) -> Option<Vec<Option<&str>>> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = all_texts(dictionary.values())?;
        if values.is_empty() {
            // Keys of no values cannot be asked for.
            return Some(vec![None; array.len()]);
        }
        let keys = dictionary.normalized_keys().into_iter().enumerate();
        let text = |(row, key): (usize, usize)| match dictionary.is_null(row) {
            true => None,
            false => values.get(key).copied().flatten(),
        };
        return Some(keys.map(text).collect());
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().collect(),
        DataType::Utf8View => array.as_string_view().iter().collect(),
        _ => return None,
    })
}

/// What a row lists; `None` where it is null.
fn list_of(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// Appends numbers, and moments as days since 1970; NaN where a row has none.
fn add_measures(array: &ArrayRef, values: &mut Vec<f32>, place: &Place) -> Result<()> {
    let (rows, present) = present(array, place)?;
    let mut numbers = Vec::with_capacity(present.len());
    if is_time(array.data_type()) {
        let mut ticks = Ticks::default();
        let read = ticks.read(&present, place);
        read.map_err(|error| in_table(error, &rows, place.before))?;
        let days = ticks.values.iter();
        numbers.extend(days.map(|&seconds| seconds as f32 / SECONDS_A_DAY));
    } else {
        let read = read_numbers(&present, &mut numbers, DENSE, place);
        read.map_err(|error| in_table(error, &rows, place.before))?;
    }
    let before = values.len();
    values.resize(before + array.len(), f32::NAN);
    for (row, number) in numbers.into_iter().enumerate() {
        let row = rows.value(row) as usize;
        if !number.is_finite() {
            let problem = format!(
                "'{number}' is no finite number; mend it, or leave it empty (null) where it is not \
                 known"
            );
            return Err(place.bad(Some(row), problem));
        }
        values[before + row] = number;
    }
    Ok(())
}

fn vectors_of(array: &ArrayRef, place: &Place) -> Result<RowVectors> {
    let mut vectors = RowVectors {
        name: place.column.to_owned(),
        width: 0,
        values: Vec::new(),
        is_present: Vec::with_capacity(array.len()),
    };
    let mut first = None;
    for row in 0..array.len() {
        let list = list_of(array, row);
        vectors.is_present.push(list.is_some());
        let Some(list) = list else { continue };
        let (width, of_row) = *first.get_or_insert((list.len(), row));
        if list.len() != width {
            let problem = format!(
                "has {} numbers where that of row {of_row} has {width}; take all of them from one \
                 encoder",
                list.len()
            );
            return Err(place.bad(Some(row), problem));
        }
        let numbers = to_f32(&list).filter(|_| list.null_count() == 0);
        let numbers = numbers.ok_or_else(|| {
            place.bad(Some(row), "has a number that is null; leave the vector out")
        })?;
        if let Some(at) = numbers.values().iter().position(|x| !x.is_finite()) {
            let problem = format!(
                "number {at} is {}; make the vector anew, or leave it out (null)",
                numbers.value(at)
            );
            return Err(place.bad(Some(row), problem));
        }
        vectors.values.extend_from_slice(numbers.values());
    }
    match first {
        Some((0, row)) => Err(place.bad(Some(row), "has no numbers; leave the column out")),
        None => Err(place.bad(None, "is null in every row; leave the column out")),
        Some((width, _)) => Ok(RowVectors { width, ..vectors }),
    }
}

fn texts_of(array: &ArrayRef, place: &Place) -> Result<Vec<Option<String>>> {
    let texts = all_texts(array).ok_or_else(|| {
        let problem = format!(
            "is of the type {}, and has to be of texts",
            array.data_type()
        );
        place.bad(None, problem)
    })?;
    let known = texts.into_iter().map(|text| {
        let text = text.map(str::trim).filter(|it| !it.is_empty());
        text.map(str::to_owned)
    });
    Ok(known.collect())
}

/// Paths of pictures. What names no file, as an address of the web, is none, and a warning is
/// logged; where none names one, it is the wrong column.
fn images_of(
    texts: &[Option<String>],
    folder: &Path,
    place: &Place,
) -> Result<Vec<Option<PathBuf>>> {
    let mut first = None;
    let mut rows = 0;
    let paths = texts.iter().enumerate().map(|(row, text)| {
        let text = text.as_ref()?;
        let path = path_of(text, folder);
        path.map_err(|(_, problem)| {
            rows += 1;
            let problem = format!("'{}' {problem}", shorten(text));
            first.get_or_insert_with(|| place.bad(Some(row), problem));
        })
        .ok()
    });
    let paths: Vec<Option<PathBuf>> = paths.collect();
    match first {
        Some(first) if paths.iter().all(Option::is_none) => Err(first),
        Some(first) => {
            tracing::warn!("{rows} pictures are left out, which are no files; the first: {first}");
            Ok(paths)
        }
        None => Ok(paths),
    }
}

fn years_of(array: &ArrayRef, place: &Place) -> Result<Vec<Option<i32>>> {
    let year = |(row, text): (usize, Option<String>)| {
        let Some(text) = text else { return Ok(None) };
        year_in(&text).map(Some).ok_or_else(|| {
            let text = shorten(&text);
            let problem = format!("'{text}' is no year of four digits; mend it, or leave it empty");
            place.bad(Some(row), problem)
        })
    };
    if let Some(numbers) = to_f32(array).filter(|_| array.data_type().is_floating()) {
        let texts = numbers.iter().map(|it| it.map(|it| it.to_string()));
        return texts.enumerate().map(year).collect();
    }
    let mut values = Values::new();
    let numbers = values.numbers(array, place)?.into_iter();
    let texts = numbers.map(|number| number.map(|it| values.text(it)));
    texts.enumerate().map(year).collect()
}
