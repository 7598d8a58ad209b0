//! Tables of interactions, users and items become one.

use std::sync::Arc;

use super::events::{Events, Wanted};
use super::interner::{Interner, merge};
use super::place::Place;
use super::schema::{Role, Schema, Side};
use super::side::{RowVectors, SideTable, traits_of_rows};
use super::source::Source;
use super::target::{check_in, kind_of};
use super::traits::Traits;
use super::{IdNames, InteractionOptions, Interactions, Target, Unmatched, Users};
use crate::movielens::RatingColumns;
use crate::tables::did_you_mean;
use crate::{
    Duplicates, Error, IdMap, LeftOut, Modality, Movies, Poster, Ratings, Result, Summary,
    UnknownMovies,
};

/// Reads all of them.
pub(super) fn read(
    interactions: &Source,
    users: Option<&Source>,
    items: Option<&Source>,
    options: &InteractionOptions,
) -> Result<Interactions> {
    check_scale(options.scale)?;
    let schema = &options.schema;
    let sources = [Some(interactions), users, items];
    check_names(schema, &sources)?;
    let roles = roles_of(schema, Side::Pair, interactions)?;
    let wanted = Wanted::of(&roles);
    if let (Some((lowest, highest)), None) = (options.scale, wanted.target) {
        let rule = "it is the scale of targets, and there are none; say which column they are, or \
                    leave it out";
        return Err(Error::setting(
            "scale",
            format!("{lowest} to {highest}"),
            rule,
        ));
    }
    // The small tables first: what is wrong with them is found at once.
    let side = |side, source: Option<&Source>| {
        let read = source.map(|source| {
            let schema = with_keys(schema, &wanted, side, source);
            SideTable::read(source, roles_of(&schema, side, source)?)
        });
        read.transpose()
    };
    let (users, items) = (side(Side::User, users)?, side(Side::Item, items)?);
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
        let problem = "there is no row; write one an interaction";
        return Err(in_file(user.bad(None, problem)));
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
    let kind_of = |columns: &RatingColumns| match wanted.target {
        None => Ok(Target::Implicit),
        Some(_) => kind_of(&columns.stars, options.scale, &target).map_err(in_file),
    };
    let kind = kind_of(&columns)?;
    let twice = check_twice(&mut columns, options, kind, &item, &unknown).map_err(in_file)?;
    left_out.duplicates = twice.len();
    if !twice.is_empty() {
        pairs = pairs.without(&twice);
    }
    // Of what is left: what was left out says nothing of the scale.
    let kind = kind_of(&columns)?;

    let unmatched = Unmatched {
        items: items.without(&columns.movies),
        ..users.unmatched(&columns.users)
    };
    let ratings = Ratings::of_columns(columns)?.with_target(kind);
    let users = Users::new(Arc::clone(&users.names), users.traits());
    let Catalogue {
        items,
        vectors,
        images,
        texts,
    } = items.catalogue()?;
    tracing::info!(
        interactions = ratings.len(),
        items = items.len(),
        "read interactions"
    );
    Ok(Interactions {
        ratings,
        items,
        users,
        pairs: Arc::new(pairs),
        vectors: Arc::new(vectors),
        images: Arc::new(images),
        texts: Arc::new(texts),
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

fn roles_of(schema: &Schema, side: Side, source: &Source) -> Result<super::roles::Roles> {
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

/// Users, or items: all that there are, and what their table says.
struct Joined {
    names: Arc<IdNames>,
    /// What each worker's numbers are now.
    of_events: Vec<Vec<u32>>,
    /// The table, and the number of each of its rows.
    table: Option<(SideTable, Vec<u32>)>,
}

struct Catalogue {
    items: Movies,
    vectors: Vec<Modality>,
    images: Vec<Poster>,
    texts: Vec<Summary>,
}

impl Joined {
    fn new(mut of_events: Vec<Interner>, table: Option<SideTable>) -> Result<Self> {
        let table = table.map(|mut table| {
            let ids = std::mem::replace(&mut table.ids, Interner::untyped());
            of_events.push(ids);
            table
        });
        let (names, mut numbers) = merge(of_events)?;
        let table = table.map(|table| (table, numbers.pop().unwrap_or_default()));
        Ok(Self {
            names: Arc::new(names),
            of_events: numbers,
            table,
        })
    }

    /// For each number the row of the table that it has.
    fn rows(&self) -> Vec<Option<u32>> {
        let mut rows = vec![None; self.names.len()];
        if let Some((_, numbers)) = &self.table {
            for (row, &number) in (0..).zip(numbers) {
                rows[number as usize] = Some(row);
            }
        }
        rows
    }

    /// What the table says of each user, by number. Vectors are so many numbers: what a modality is
    /// of an item, is of a user nobody's business but the bottom MLP's.
    fn traits(&self) -> Traits {
        let Some((table, _)) = &self.table else {
            return Traits::default();
        };
        let mut traits = table.traits.clone();
        traits
            .measures
            .extend(table.vectors.iter().flat_map(RowVectors::measures));
        traits.of(&self.rows())
    }

    /// How many interacted with nothing, and of how many the table says nothing.
    fn unmatched(&self, of_events: &[u32]) -> Unmatched {
        let mut unmatched = Unmatched::default();
        if self.table.is_some() {
            let mut has_events = vec![false; self.names.len()];
            of_events
                .iter()
                .for_each(|&it| has_events[it as usize] = true);
            for (row, has_events) in self.rows().iter().zip(has_events) {
                unmatched.idle_users += usize::from(row.is_some() && !has_events);
                unmatched.unknown_users += usize::from(row.is_none() && has_events);
            }
        }
        unmatched
    }

    /// How many of the table no event names.
    fn without(&self, of_events: &[u32]) -> usize {
        self.unmatched(of_events).idle_users
    }

    /// Leaves out, or refuses, events with items that the table lacks; of items that nobody
    /// interacted with, all are too many. Returns the rows that were left out, ascending.
    fn check(
        &self,
        columns: &mut RatingColumns,
        policy: UnknownMovies,
        item: &Place,
        left_out: &mut LeftOut,
    ) -> Result<Vec<u32>> {
        let Some((table, numbers)) = &self.table else {
            return Ok(Vec::new());
        };
        let known = IdMap::from_ids(numbers.iter().copied());
        let unknown = columns.pairs().of_unknown_movies(&known);
        let name = |number: u32| self.names.name(number).unwrap_or_default().into_owned();
        if unknown.len() == columns.movies.len() {
            let (here, there) = (columns.movies.first(), numbers.first());
            let (here, there) = (here.map(|&it| name(it)), there.map(|&it| name(it)));
            let problem = format!(
                "none of the items of the table of {} has any interaction: an item is called '{}' \
                 here and one '{}' there; are these ids of the same kind?",
                table.roles.side.table(),
                here.unwrap_or_default(),
                there.unwrap_or_default()
            );
            return Err(item.bad(None, problem));
        }
        let Some(&first) = unknown.first() else {
            return Ok(unknown);
        };
        let ids = IdMap::from_ids(unknown.iter().map(|&row| columns.movies[row as usize]));
        if policy == UnknownMovies::Refuse {
            let problem = format!(
                "'{}' is not an item of the table of items; {} interactions are with such items, \
                 {} in number: add the items, remove the interactions, or choose the policy that \
                 drops them",
                name(columns.movies[first as usize]),
                unknown.len(),
                ids.len()
            );
            return Err(item.bad(Some(first as usize), problem));
        }
        left_out.of_unknown_movies = unknown.len();
        left_out.unknown_movies = ids.ids().to_vec();
        left_out.unknown_names = ids.ids().iter().map(|&number| name(number)).collect();
        columns.remove(&unknown);
        Ok(unknown)
    }

    /// The items as a table, and what else is known of them. Without a table they are those that
    /// somebody interacted with.
    fn catalogue(mut self) -> Result<Catalogue> {
        let Some((mut table, numbers)) = self.table.take() else {
            let count = self.names.len();
            let all: Vec<u32> = (0..count as u32).collect();
            let items =
                Movies::of_items(&self.names, &all, |_| None, |_| None, &Traits::default())?;
            return Ok(Catalogue {
                items,
                vectors: Vec::new(),
                images: Vec::new(),
                texts: Vec::new(),
            });
        };
        // In the order of the numbers: an item that is left out is none of the table.
        let mut rows: Vec<(u32, u32)> = numbers.iter().copied().zip(0..).collect();
        rows.sort_unstable();
        let of_rows: Vec<Option<u32>> = rows.iter().map(|&(_, row)| Some(row)).collect();
        let all: Vec<u32> = rows.iter().map(|&(number, _)| number).collect();
        let traits = table.traits.of(&of_rows);
        let row = |place: usize| rows[place].1 as usize;
        let title = |place| table.titles.as_ref()?[row(place)].clone();
        let year = |place| table.years.as_ref()?[row(place)];
        let items = Movies::of_items(&self.names, &all, title, year, &traits)?;
        let index = items.index();
        let vectors = table.vectors.iter();
        let vectors = vectors.map(|vectors| vectors.modality(&numbers, &index));
        let vectors = vectors.collect::<Result<_>>()?;
        let with_ids = |row: usize| numbers[row];
        let images = table.images.take().into_iter().flatten().enumerate();
        let image = |(row, path): (usize, Option<_>)| {
            Some(Poster {
                movie_id: with_ids(row),
                path: path?,
            })
        };
        let texts = table.texts.take().into_iter().flatten().enumerate();
        let text = |(row, text): (usize, Option<String>)| {
            Some(Summary {
                movie_id: with_ids(row),
                text: text?,
            })
        };
        Ok(Catalogue {
            items,
            vectors,
            images: images.filter_map(image).collect(),
            texts: texts.filter_map(text).collect(),
        })
    }
}

impl RowVectors {
    fn modality(&self, numbers: &[u32], items: &IdMap) -> Result<Modality> {
        let present = numbers.iter().zip(&self.is_present);
        let present = present.filter(|(_, is_present)| **is_present);
        let rows = present.map(|(&number, _)| number);
        let vectors = rows.zip(self.values.chunks_exact(self.width));
        Modality::standardized(&self.name, self.width, items, vectors)
    }
}

/// What is done where a user interacted with an item more than once; the rows that are left out,
/// ascending. Before these, some `left_out` of the table were.
fn check_twice(
    columns: &mut RatingColumns,
    options: &InteractionOptions,
    kind: Target,
    item: &Place,
    left_out: &[u32],
) -> Result<Vec<u32>> {
    let usual = match kind {
        Target::Rating { .. } => Duplicates::Refuse,
        _ => Duplicates::KeepLatest,
    };
    match options.duplicates.unwrap_or(usual) {
        Duplicates::Refuse => match columns.pairs().first_of_twice() {
            None => Ok(Vec::new()),
            Some((row, all)) => {
                let problem = format!(
                    "the user rated this item in an earlier row too, as it is with {all} rows in \
                     all; remove them, or choose the policy that says which to keep"
                );
                Err(item.bad(Some(row_before(row, left_out)), problem))
            }
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
