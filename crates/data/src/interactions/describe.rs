//! What is in tables, before anything is learned from them.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use chrono::DateTime;

use super::Target;
use super::interner::Interner;
use super::place::Place;
use super::roles::Roles;
use super::schema::{Role, Schema, Side};
use super::side::{all_texts, looks_mistaken, settled};
use super::source::Source;
use super::target::{DENSE, Spread, TARGET, read_numbers};
use super::times::Ticks;
use super::values::{Values, in_table, present};
use crate::Result;
use crate::cache::read_unchanged;
use crate::fingerprint::with_commas;

/// What is in a table: [`describe`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableDescription {
    /// What it is of.
    pub side: Side,
    /// Number of rows.
    pub rows: usize,
    /// The columns, in their order.
    pub columns: Vec<ColumnDescription>,
    /// What the targets say; `None` of a table that is not of interactions, and where they cannot
    /// be read.
    pub target: Option<Target>,
    /// What looks wrong, or is worth a thought, a line each.
    pub remarks: Vec<String>,
}

/// What is in a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its Arrow type, as text; `text` of a file without types.
    pub found: String,
    /// What it is taken for.
    pub role: Role,
    /// Nulls, and empty fields of text.
    pub missing: usize,
    /// Distinct values, of those columns of which they are counted.
    pub distinct: Option<usize>,
    /// The least and the most, or the first and the last, as they are written.
    pub range: Option<(String, String)>,
}

/// Describes the table in a file: of interactions, if it has a user and an item by the `schema`;
/// of items or of users, if it has one of them. It is read whole, column by column.
///
/// ```
/// use mmdlrm_data::generate::PlantedShop;
/// use mmdlrm_data::{Role, Schema, Side, describe};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// PlantedShop::default().write(folder)?;
/// let products = describe(&folder.join("products.parquet"), &Schema::default())?;
/// assert_eq!((products.side, products.rows), (Side::Item, 500));
/// assert_eq!(products.columns[2].role, Role::Id);
/// println!("{products}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A file that cannot be read, or a schema that does not fit it.
pub fn describe(path: &Path, schema: &Schema) -> Result<TableDescription> {
    read_unchanged(path, || {
        let source = Source::open(Side::Pair.table(), path)?;
        let (side, roles) = roles_of(&source, schema)?;
        TableDescription::of(&source, side, roles)
    })
}

fn thousands(count: usize) -> String {
    with_commas(count as u64)
}

/// Whom the table is about, and the roles of its columns then.
fn roles_of(source: &Source, schema: &Schema) -> Result<(Side, Roles)> {
    let fields = source.schema().fields().iter();
    let names: Vec<&str> = fields.map(|it| it.name().as_str()).collect();
    let has = |name: &str| names.contains(&name);
    let mut of_columns = schema.clone();
    of_columns.roles.retain(|name, _| has(name));
    let of = |side, schema: &Schema| {
        let roles = schema.roles_of(side, source.schema(), source.is_untyped());
        roles.map_err(|error| source.in_file(error))
    };
    // Interactions alone have a target and times.
    let mut keys = of_columns.clone();
    (keys.target, keys.time) = (None, None);
    let mut named = [&schema.target, &schema.time].into_iter().flatten();
    if of(Side::Pair, &keys).is_ok() || named.any(|name| has(name)) {
        return Ok((Side::Pair, of(Side::Pair, &of_columns)?));
    }
    for side in [Side::Item, Side::User] {
        if let Ok(roles) = of(side, &keys) {
            return Ok((side, roles));
        }
    }
    Ok((Side::Pair, of(Side::Pair, &of_columns)?))
}

impl TableDescription {
    fn of(source: &Source, side: Side, mut roles: Roles) -> Result<Self> {
        let mut description = Self {
            side,
            rows: 0,
            columns: Vec::new(),
            target: (side == Side::Pair).then_some(Target::Implicit),
            remarks: Vec::new(),
        };
        let mut pairs = [Vec::new(), Vec::new()];
        for place in 0..roles.columns.len() {
            let name = roles.columns[place].name.clone();
            let table = source.read_all(&[&name])?;
            description.rows = table.num_rows();
            let array = table.column(0);
            roles.columns[place].role = settled(&roles.columns[place], array, source.is_untyped());
            let role = roles.columns[place].role;
            let ids = description.add(source, &name, role, array);
            match role {
                Role::User => pairs[0] = ids,
                Role::Item => pairs[1] = ids,
                _ => {}
            }
        }
        if side == Side::Pair {
            description.look_at_pairs(&roles, pairs);
        }
        Ok(description)
    }

    /// Adds a column; the numbers of its ids, if it is one of users or items.
    fn add(&mut self, source: &Source, name: &str, role: Role, array: &ArrayRef) -> Vec<u32> {
        let place = Place::of(self.side.table(), name);
        let mut column = ColumnDescription {
            name: name.to_owned(),
            found: match source.is_untyped() {
                true => "text".to_owned(),
                false => array.data_type().to_string(),
            },
            role,
            missing: array.null_count(),
            distinct: None,
            range: None,
        };
        let mut ids = Vec::new();
        let seen = match role {
            Role::User | Role::Item | Role::Id => {
                self.look_at_ids(&mut column, array, &place, &mut ids)
            }
            Role::Time => self.look_at_times(&mut column, array, &place),
            Role::Target => self.look_at_targets(&mut column, array, &place),
            Role::Dense | Role::Year => look_at_numbers(&mut column, array, DENSE, &place),
            _ => Ok(()),
        };
        if let Err(error) = seen {
            self.remarks.push(source.in_file(error).to_string());
            if role == Role::Target {
                self.target = None;
            }
        }
        let mistaken = looks_mistaken(name, role, array, source.is_untyped());
        self.remarks.extend(mistaken);
        self.columns.push(column);
        ids
    }

    fn look_at_ids(
        &mut self,
        column: &mut ColumnDescription,
        array: &ArrayRef,
        place: &Place,
        numbers: &mut Vec<u32>,
    ) -> Result<()> {
        let is_key = column.role != Role::Id;
        if let (true, Some(row)) = (is_key, (0..array.len()).find(|&row| array.is_null(row))) {
            self.remarks.push(format!(
                "column '{}' is null in {} rows, the first is row {row}: every row is somebody's",
                column.name, column.missing
            ));
        }
        let (present, distinct) = match is_key {
            true => {
                let (_, present) = present(array, place)?;
                let mut ids = Interner::for_type(present.data_type(), place.table, place.column)?;
                ids.read(&present, numbers, place)?;
                (present.len(), ids.len())
            }
            false => {
                let mut values = Values::new();
                let numbers = values.numbers(array, place)?;
                (numbers.iter().flatten().count(), values.len())
            }
        };
        column.distinct = Some(distinct);
        if column.role == Role::Id && distinct > 1 && 2 * distinct > present {
            self.remarks.push(format!(
                "column '{}' has {} values in {} rows: a table of embeddings learns little of values \
                 that hardly come twice; leave it out ({}=unused) or group them",
                column.name,
                thousands(distinct),
                thousands(present),
                column.name
            ));
        }
        if let (Side::Item, Role::Item) | (Side::User, Role::User) = (self.side, column.role)
            && distinct < present
        {
            self.remarks.push(format!(
                "column '{}' has {} ids in {} rows: each should stand once",
                column.name,
                thousands(distinct),
                thousands(present)
            ));
        }
        Ok(())
    }

    fn look_at_times(
        &mut self,
        column: &mut ColumnDescription,
        array: &ArrayRef,
        place: &Place,
    ) -> Result<()> {
        let mut ticks = Ticks::default();
        ticks.read(array, place)?;
        let seconds = ticks.into_seconds(place)?;
        let (first, last) = (seconds.iter().min(), seconds.iter().max());
        let moment = |seconds: &u32| {
            let moment = DateTime::from_timestamp(i64::from(*seconds), 0);
            moment.map_or(String::new(), |it| {
                it.format("%Y-%m-%d %H:%M:%S").to_string()
            })
        };
        column.range = first
            .zip(last)
            .map(|(first, last)| (moment(first), moment(last)));
        if first.is_some() && first == last {
            self.remarks.push(format!(
                "column '{}' is the same moment in all rows: it tells no order",
                column.name
            ));
        }
        Ok(())
    }

    fn look_at_targets(
        &mut self,
        column: &mut ColumnDescription,
        array: &ArrayRef,
        place: &Place,
    ) -> Result<()> {
        look_at_numbers(column, array, TARGET, place)?;
        let mut values = Vec::new();
        read_numbers(array, &mut values, TARGET, place)?;
        let kind = Spread::of(&values).kind(None, place)?;
        self.target = Some(kind);
        if kind == Target::Label {
            let ones = values.iter().filter(|&&value| value == 1.0).count();
            let share = 100.0 * ones as f64 / values.len().max(1) as f64;
            self.remarks.push(format!(
                "column '{}' is 1 in {share:.1} % of the rows",
                column.name
            ));
        }
        Ok(())
    }

    fn look_at_pairs(&mut self, roles: &Roles, [users, items]: [Vec<u32>; 2]) {
        for (role, what) in [(Role::Time, "time"), (Role::Target, "target")] {
            if roles.one(role).is_none() {
                self.remarks.push(match role {
                    Role::Time => {
                        "no column is the time: only random splits can be drawn".to_owned()
                    }
                    _ => format!("no column is the {what}: that there is an interaction says all"),
                });
            }
        }
        // Nulls have no number, and are told by themselves.
        let mut pairs: Vec<(u32, u32)> = match [&users, &items].map(Vec::len) == [self.rows; 2] {
            true => users.into_iter().zip(items).collect(),
            false => Vec::new(),
        };
        pairs.sort_unstable();
        let repeats = pairs.windows(2).filter(|pair| pair[0] == pair[1]).count();
        if repeats > 0 {
            let then = match self.target {
                Some(Target::Rating { .. }) | None => "refused unless it is said which to keep",
                Some(Target::Label) => "left out but for the latest of each",
                Some(Target::Implicit) => "left out but for the earliest of each",
            };
            self.remarks.push(format!(
                "{} rows are of a user and an item that have another row: they are {then} \
                 (--duplicates)",
                thousands(repeats)
            ));
        }
        let distinct = |role| {
            let column = self.columns.iter().find(|it| it.role == role)?;
            column.distinct
        };
        if let (Some(users), Some(items)) = (distinct(Role::User), distinct(Role::Item)) {
            let share = 100.0 * self.rows as f64 / (users as f64 * items as f64).max(1.0);
            self.remarks.push(format!(
                "{} users and {} items: {share:.3} % of their pairs, {:.1} interactions a user",
                thousands(users),
                thousands(items),
                self.rows as f64 / users.max(1) as f64
            ));
        }
        let unused = self.columns.iter().filter(|it| it.role == Role::Unused);
        let names: Vec<&str> = unused.map(|column| column.name.as_str()).collect();
        if !names.is_empty() {
            self.remarks.push(format!(
                "columns of single interactions may tell how these ended, and are learned from where \
                 they are given a role (--column NAME=id): {}",
                names.join(", ")
            ));
        }
    }
}

/// Numbers, of which those that are no finite ones are an error, and of text the distinct ones;
/// `rule` is said of what is none.
fn look_at_numbers(
    column: &mut ColumnDescription,
    array: &ArrayRef,
    rule: &str,
    place: &Place,
) -> Result<()> {
    let (rows, present) = present(array, place)?;
    if super::times::is_time(present.data_type()) {
        return Ok(());
    }
    let mut values = Vec::new();
    read_numbers(&present, &mut values, rule, place)
        .map_err(|error| in_table(error, &rows, place.before))?;
    if let Some(row) = values.iter().position(|it| !it.is_finite()) {
        let problem = format!("'{}' is no finite number", values[row]);
        return Err(in_table(place.bad(Some(row), problem), &rows, place.before));
    }
    let least = values.iter().copied().reduce(f32::min);
    let most = values.iter().copied().reduce(f32::max);
    column.range = least.zip(most).map(|(a, b)| (a.to_string(), b.to_string()));
    if let (Some(texts), DataType::Utf8) = (all_texts(array), array.data_type()) {
        let distinct: HashMap<&str, ()> = texts.into_iter().flatten().map(|it| (it, ())).collect();
        column.distinct = Some(distinct.len());
    }
    Ok(())
}

impl fmt::Display for TableDescription {
    /// A line a column, and the remarks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = thousands(self.rows);
        writeln!(f, "table of {}, {rows} rows", self.side.table())?;
        let longest = |of: fn(&ColumnDescription) -> &str| {
            self.columns
                .iter()
                .map(|it| of(it).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (names, types) = (longest(|it| &it.name), longest(|it| &it.found));
        for column in &self.columns {
            let ColumnDescription {
                name,
                found,
                role,
                missing,
                ..
            } = column;
            write!(f, "  {name:names$}  {found:types$}  {role:7}")?;
            if let Some(distinct) = column.distinct {
                write!(f, "  {} distinct", thousands(distinct))?;
            }
            if let Some((from, to)) = &column.range {
                write!(f, "  {from} to {to}")?;
            }
            if *missing > 0 {
                write!(f, "  {} missing", thousands(*missing))?;
            }
            writeln!(f)?;
        }
        if let Some(target) = self.target {
            writeln!(f, "target: {target}")?;
        }
        for remark in &self.remarks {
            writeln!(f, "note: {remark}")?;
        }
        Ok(())
    }
}
