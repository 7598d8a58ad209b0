//! Tables of interactions, users and items become one.

use std::sync::Arc;

use super::events::{Events, Wanted};
use super::joined::{Joined, Known};
use super::place::Place;
use super::roles::Roles;
use super::schema::{Role, Schema, Side};
use super::side::{SideTable, traits_of_rows};
use super::source::Source;
use super::target::{Spread, check_in};
use super::{InteractionOptions, Interactions, Target};
use crate::movielens::RatingColumns;
use crate::tables::did_you_mean;
use crate::{Duplicates, Error, LeftOut, Ratings, Result};

/// Roles of the interactions' columns, and the tables beside them, read.
pub(super) struct Tables {
    pub roles: Roles,
    pub users: Option<SideTable>,
    pub items: Option<SideTable>,
}

impl Tables {
    /// The small tables are read first: what is wrong with them is found at once.
    pub fn open(
        interactions: &Source,
        users: Option<&Source>,
        items: Option<&Source>,
        options: &InteractionOptions,
    ) -> Result<Self> {
        check_scale(options.scale)?;
        let schema = &options.schema;
        let sources = [Some(interactions), users, items];
        check_names(schema, &sources)?;
        let roles = roles_of(schema, Side::Pair, interactions)?;
        let wanted = Wanted::of(&roles);
        if let (Some((lowest, highest)), None) = (options.scale, wanted.target) {
            let rule = "it is the scale of targets, and there are none; say which column they are, \
                        or leave it out";
            let scale = format!("{lowest} to {highest}");
            return Err(Error::setting("scale", scale, rule));
        }
        let side = |side, source: Option<&Source>| {
            let read = source.map(|source| {
                let schema = with_keys(schema, &wanted, side, source);
                SideTable::read(source, roles_of(&schema, side, source)?)
            });
            read.transpose()
        };
        let (users, items) = (side(Side::User, users)?, side(Side::Item, items)?);
        Ok(Self {
            roles,
            users,
            items,
        })
    }
}

/// Reads all of them.
pub(super) fn read(
    interactions: &Source,
    users: Option<&Source>,
    items: Option<&Source>,
    options: &InteractionOptions,
) -> Result<Interactions> {
    let Tables {
        roles,
        users,
        items,
    } = Tables::open(interactions, users, items, options)?;
    let wanted = Wanted::of(&roles);
    let workers = wanted.read(interactions)?;

    let (mut of_users, mut of_items, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for worker in workers {
        of_users.push(worker.users);
        of_items.push(worker.items);
        parts.push(worker.parts);
    }
    let users = Joined::new(of_users, users)?;
    let items = Joined::new(of_items, items)?;
    let at = |column| Place::of(interactions.table, column);
    let (user, item) = (at(wanted.user), at(wanted.item));
    let target = at(wanted.target.unwrap_or_default());
    let time = at(wanted.time.unwrap_or_default());
    let in_file = |error| interactions.in_file(error);
    let events = Events::join(parts, &users.of_events, &items.of_events, &time).map_err(in_file)?;
    if events.users.is_empty() {
        return Err(in_file(user.bad(None, NO_ROW)));
    }
    if let Some(scale) = options.scale {
        check_in(&events.targets, scale, &target).map_err(in_file)?;
    }
    let rows = events.users.len();
    let mut columns = RatingColumns {
        users: events.users,
        movies: events.items,
        stars: match wanted.target {
            None => vec![1.0; rows],
            Some(_) => events.targets,
        },
        timestamps: match wanted.time {
            None => vec![0; rows],
            Some(_) => events.times.into_seconds(&time).map_err(in_file)?,
        },
    };
    let mut pairs = traits_of_rows(interactions, &roles)?;
    let mut left_out = LeftOut::default();
    let unknown = items.check(&mut columns, options.unknown_items, &item, &mut left_out);
    let unknown = unknown.map_err(in_file)?;
    if !unknown.is_empty() {
        pairs = pairs.without(&unknown);
    }
    let kind_of = |columns: &RatingColumns, left_out: usize| match wanted.target {
        None => Ok(Target::Implicit),
        Some(_) => {
            let kind = Spread::of(&columns.stars).kind(options.scale, &target);
            kind.map_err(|error| in_file(of_what_is_left(error, left_out)))
        }
    };
    let kind = kind_of(&columns, 0)?;
    let twice = check_twice(&mut columns, options, kind, &item, &unknown).map_err(in_file)?;
    left_out.duplicates = twice.len();
    if !twice.is_empty() {
        pairs = pairs.without(&twice);
    }
    // Of what is left: what was left out says nothing of the scale.
    let kind = kind_of(&columns, twice.len())?;

    let Known {
        users,
        catalogue,
        unmatched,
    } = Known::of((&users, &columns.users), (items, &columns.movies))?;
    let ratings = Ratings::of_columns(columns)?
        .with_target(kind)
        .with_times(wanted.time.is_some());
    tracing::info!(
        interactions = ratings.len(),
        items = catalogue.items.len(),
        "read interactions"
    );
    Ok(Interactions {
        ratings,
        items: catalogue.items,
        users,
        pairs: Arc::new(pairs),
        vectors: Arc::new(catalogue.vectors),
        images: Arc::new(catalogue.images),
        texts: Arc::new(catalogue.texts),
        tags: None,
        left_out,
        has_times: wanted.time.is_some(),
        target_column: wanted.target.map(str::to_owned),
        unmatched,
    })
}

fn check_scale(scale: Option<(f32, f32)>) -> Result<()> {
    match scale {
        Some((lowest, highest))
            if !(lowest < highest && lowest.is_finite() && highest.is_finite()) =>
        {
            let rule = "a scale goes from the least to the most";
            Err(Error::setting(
                "scale",
                format!("{lowest} to {highest}"),
                rule,
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses roles of columns that no table has.
fn check_names(schema: &Schema, sources: &[Option<&Source>]) -> Result<()> {
    let sources = sources.iter().flatten();
    let fields = sources.flat_map(|source| source.schema().fields().iter());
    let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
    match schema
        .roles
        .keys()
        .find(|name| !names.contains(&name.as_str()))
    {
        None => Ok(()),
        Some(name) => {
            let nearest = did_you_mean(name, names.iter().copied());
            Err(Error::Column {
                table: "any kind",
                column: name.clone(),
                row: None,
                problem: format!("has a role, and no table has it{nearest}"),
            })
        }
    }
}

fn roles_of(schema: &Schema, side: Side, source: &Source) -> Result<Roles> {
    let roles = schema.roles_of(side, source.schema(), source.is_untyped());
    roles.map_err(|error| source.in_file(error))
}

/// The schema of a table beside the interactions, whose ids are called as they are there, if
/// nothing else is said.
fn with_keys(schema: &Schema, wanted: &Wanted, side: Side, source: &Source) -> Schema {
    let mut schema = schema.clone();
    let (column, role) = match side {
        Side::User => (wanted.user, Role::User),
        _ => (wanted.item, Role::Item),
    };
    let has = |name: &str| source.schema().field_with_name(name).is_ok();
    let mut roles = schema.roles.iter().filter(|(name, _)| has(name));
    let is_named = roles.any(|(_, &of_column)| of_column == role);
    let key = (!is_named && has(column)).then(|| column.to_owned());
    match side {
        Side::User => schema.user = key,
        _ => schema.item = key,
    }
    schema
}

/// What is said of a table without rows.
pub(super) const NO_ROW: &str = "there is no row; write one an interaction";

/// What is done where a user interacted with an item more than once; the rows that are left out,
/// ascending. Before these, some `left_out` of the table were.
fn check_twice(
    columns: &mut RatingColumns,
    options: &InteractionOptions,
    kind: Target,
    item: &Place,
    left_out: &[u32],
) -> Result<Vec<u32>> {
    match options.duplicates_of(kind) {
        Duplicates::Refuse => match columns.pairs().first_of_twice() {
            None => Ok(Vec::new()),
            Some((row, all)) => Err(twice(item, row_before(row, left_out), all)),
        },
        policy => Ok(columns.keep_one_of_each(policy)),
    }
}

/// The row of the table that is `row` of those that are not `left_out`, ascending.
fn row_before(row: usize, left_out: &[u32]) -> usize {
    left_out
        .iter()
        .fold(row, |row, &out| row + usize::from(out as usize <= row))
}

/// What is wrong with targets, where some rows were left out before.
pub(super) fn of_what_is_left(error: Error, left_out: usize) -> Error {
    match error {
        Error::Column {
            table,
            column,
            row,
            problem,
        } if left_out > 0 => Error::Column {
            table,
            column,
            row,
            problem: format!(
                "{problem}; {left_out} rows were left out before, whose user has the item in \
                 another: --duplicates says which of them is kept"
            ),
        },
        other => other,
    }
}

/// That a row has a pair that an earlier one has, as so many have in all.
pub(super) fn twice(item: &Place, row: usize, all: usize) -> Error {
    let problem = format!(
        "the user rated this item in an earlier row too, as it is with {all} rows in all; remove \
         them, or say which to keep: --duplicates keep-latest (or keep-first, keep-earliest, \
         keep-all)"
    );
    item.bad(Some(row), problem)
}
