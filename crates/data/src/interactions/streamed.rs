//! Interactions whose rows stay on disk.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::events::{Events, Wanted, in_parallel, interner};
use super::interner::Interner;
use super::joined::{Joined, Known, UnknownItems};
use super::place::Place;
use super::roles::{ColumnRole, Roles};
use super::rows_on_disk::{RowsOnDisk, Written};
use super::schema::Role;
use super::source::Source;
use super::table::{NO_ROW, Tables, of_what_is_left, twice};
use super::target::{Spread, check_in};
use super::times::Clock;
use super::{InteractionOptions, StreamedInteractions, Target};
use crate::batch::ByUser;
use crate::cache::{RatingsReader, ScratchRatings};
use crate::movielens::RatingColumns;
use crate::{Duplicates, Error, IdMap, LeftOut, Rated, RatingsStream, Result};

/// Reads all of them. Rows go into a scratch file as they are read, by the numbers that each thread
/// gives to ids; once all ids are known they become ratings, in the order of the table, in another.
pub(super) fn open(
    interactions: &Source,
    users: Option<&Source>,
    items: Option<&Source>,
    options: &InteractionOptions,
    scratch: &Path,
) -> Result<StreamedInteractions> {
    let tables = Tables::open(interactions, users, items, options)?;
    let wanted = Wanted::of(&tables.roles);
    refuse_pairs(interactions, &tables.roles)?;
    let survey = Survey::of(interactions, &wanted, options, scratch)?;
    let users = Joined::new(survey.users, tables.users)?;
    let items = Joined::new(survey.items, tables.items)?;
    let copy = Copy {
        source: interactions,
        wanted: &wanted,
        options,
        users: &users,
        items: &items,
        of_a_second: survey.of_a_second,
        scratch,
    };
    let Copied {
        reader,
        left_out,
        target,
    } = copy.copy(survey.rows)?;
    let known = items.in_table();
    let known = known.unwrap_or_else(|| IdMap::from_ids(0..items.names.len() as u32));
    let known = known.with_names(Some(Arc::clone(&items.names)));
    let names = Some(Arc::clone(&users.names));
    let (ratings, rated) = RatingsStream::of_scratch(reader, (names, known), left_out, target)?;
    let ratings = ratings.with_times(wanted.time.is_some());
    let users = (&users, ratings.users().ids());
    let Known {
        users,
        catalogue,
        unmatched,
    } = Known::of(users, (items, rated.ids()))?;
    tracing::info!(
        interactions = ratings.len(),
        items = catalogue.items.len(),
        "left interactions on disk"
    );
    Ok(StreamedInteractions {
        ratings,
        items: catalogue.items,
        users,
        vectors: Arc::new(catalogue.vectors),
        images: Arc::new(catalogue.images),
        texts: Arc::new(catalogue.texts),
        has_times: wanted.time.is_some(),
        target_column: wanted.target.map(str::to_owned),
        unmatched,
    })
}

/// Only who, what, what it came to, and when, are kept of a row on disk.
fn refuse_pairs(source: &Source, roles: &Roles) -> Result<()> {
    let is_more = |it: &&ColumnRole| !it.role.is_key() && it.role != Role::Unused;
    match roles.columns.iter().find(is_more) {
        None => Ok(()),
        Some(ColumnRole { name, role, .. }) => {
            let problem = format!(
                "is {role} of single interactions, and these stay on disk without it; read them into \
                 memory, or leave the column out"
            );
            Err(source.in_file(Place::of(source.table, name).bad(None, problem)))
        }
    }
}

/// What is found where all rows are read and none is kept.
struct Survey {
    users: Vec<Interner>,
    items: Vec<Interner>,
    rows: RowsOnDisk,
    of_a_second: i64,
}

/// What one thread saw.
struct Surveyor {
    users: Interner,
    items: Interner,
    written: Vec<Written>,
    clock: Clock,
}

impl Survey {
    fn of(
        source: &Source,
        wanted: &Wanted,
        options: &InteractionOptions,
        scratch: &Path,
    ) -> Result<Self> {
        let target = wanted.target.unwrap_or_default();
        let time = wanted.time.unwrap_or_default();
        let new = || {
            Ok(Surveyor {
                users: interner(source, wanted.user)?,
                items: interner(source, wanted.item)?,
                written: Vec::new(),
                clock: Clock::default(),
            })
        };
        let mut rows = RowsOnDisk::new(scratch)?;
        let surveyors = in_parallel(source, &wanted.columns(), new, |seen, _, read| {
            let mut events = Events::default();
            let interners = (&mut seen.users, &mut seen.items);
            events.read(read, source.table, wanted, interners)?;
            if let Some(scale) = options.scale {
                check_in(&events.targets, scale, &source.place(target, read.before))?;
            }
            let place = source.place(time, read.before);
            seen.clock.see(&events.times, &place)?;
            seen.written.push(rows.write(&events, read.before)?);
            Ok(())
        })?;
        let in_file = |error| source.in_file(error);
        let mut clock = Clock::default();
        let (mut users, mut items) = (Vec::new(), Vec::new());
        let time = source.place(time, 0);
        for (worker, seen) in surveyors.into_iter().enumerate() {
            clock.merge(&seen.clock, &time).map_err(in_file)?;
            let written = seen.written.into_iter();
            rows.written.extend(written.map(|it| (worker, it)));
            users.push(seen.users);
            items.push(seen.items);
        }
        rows.written.sort_unstable_by_key(|(_, it)| it.before);
        if rows.written.iter().all(|(_, it)| it.rows == 0) {
            return Err(in_file(source.place(wanted.user, 0).bad(None, NO_ROW)));
        }
        Ok(Self {
            users,
            items,
            rows,
            of_a_second: clock.of_a_second(&time).map_err(in_file)?,
        })
    }
}

/// How rows are written down.
struct Copy<'a> {
    source: &'a Source<'a>,
    wanted: &'a Wanted<'a>,
    options: &'a InteractionOptions,
    users: &'a Joined,
    items: &'a Joined,
    of_a_second: i64,
    scratch: &'a Path,
}

/// The rows on disk, and what they are.
struct Copied {
    reader: RatingsReader,
    left_out: LeftOut,
    target: Target,
}

/// The rows as they are in the table, and what was seen of those whose item is known.
struct Table {
    reader: RatingsReader,
    unknown: Option<UnknownItems>,
    spread: Spread,
    rows_of_users: Vec<u32>,
}

impl Copy<'_> {
    /// Copies the table, and then once more what is left of it, if a policy leaves rows out.
    fn copy(&self, rows: RowsOnDisk) -> Result<Copied> {
        let in_file = |error| self.source.in_file(error);
        let item = self.source.place(self.wanted.item, 0);
        let known = self.items.in_table();
        let is_known = |item: u32| known.as_ref().is_none_or(|it| it.row(item).is_some());
        let written = self.write(&rows, is_known)?;
        // The scratch file is of no more use.
        drop(rows);
        let (mut reader, mut left_out) = (written.reader, LeftOut::default());
        if let Some(unknown) = written.unknown {
            let (policy, rows) = (self.options.unknown_items, reader.rows());
            let items = self.items;
            items
                .leave_out(&unknown, rows, policy, &item, &mut left_out)
                .map_err(in_file)?;
        }
        let mut target = self.target_of(&written.spread, 0)?;
        let policy = self.options.duplicates_of(target);
        if policy != Duplicates::KeepAll {
            let found = Twice::of(
                &reader,
                &written.rows_of_users,
                policy,
                self.scratch,
                is_known,
            )?;
            match (found.first, policy) {
                (None, _) => {}
                (Some(row), Duplicates::Refuse) => {
                    return Err(in_file(twice(&item, row, found.rows)));
                }
                _ => {
                    left_out.duplicates = found.rows;
                    let spread;
                    (reader, spread) = self.without(&reader, &found, is_known)?;
                    // Of what is left: what was left out says nothing of the scale.
                    target = self.target_of(&spread, found.rows)?;
                }
            }
        }
        Ok(Copied {
            reader,
            left_out,
            target,
        })
    }

    fn target_of(&self, spread: &Spread, left_out: usize) -> Result<Target> {
        let Some(target) = self.wanted.target else {
            return Ok(Target::Implicit);
        };
        let place = self.source.place(target, 0);
        let kind = spread.kind(self.options.scale, &place);
        kind.map_err(|error| self.source.in_file(of_what_is_left(error, left_out)))
    }

    fn write(&self, rows: &RowsOnDisk, is_known: impl Fn(u32) -> bool) -> Result<Table> {
        let mut scratch = ScratchRatings::new(self.scratch)?;
        let (mut spread, mut rows_of_users) = (Spread::default(), vec![0; self.users.names.len()]);
        let mut unknown: Option<(usize, u32)> = None;
        let (mut unknown_rows, mut unknown_items) = (0, HashSet::new());
        let time = self.wanted.time.unwrap_or_default();
        for (worker, written) in &rows.written {
            let mut events = rows.read(written)?;
            let of = |numbers: &mut [u32], of_worker: &[u32]| {
                let now = |number: &mut u32| *number = of_worker[*number as usize];
                numbers.iter_mut().for_each(now);
            };
            of(&mut events.users, &self.users.of_events[*worker]);
            of(&mut events.items, &self.items.of_events[*worker]);
            let time = self.source.place(time, written.before);
            let times = events.times.seconds(self.of_a_second, &time);
            let times = times.map_err(|error| self.source.in_file(error))?;
            let columns = RatingColumns {
                stars: match self.wanted.target {
                    None => vec![1.0; written.rows],
                    Some(_) => events.targets,
                },
                timestamps: match self.wanted.time {
                    None => vec![0; written.rows],
                    Some(_) => times,
                },
                users: events.users,
                movies: events.items,
            };
            let rows = (written.before..).zip(columns.rows());
            for (row, (user, item, target, _)) in rows {
                if is_known(item) {
                    spread.see(&[target]);
                    rows_of_users[user as usize] += 1;
                    continue;
                }
                unknown.get_or_insert((row, item));
                unknown_rows += 1;
                unknown_items.insert(item);
            }
            scratch.write(columns)?;
        }
        Ok(Table {
            reader: scratch.finish()?,
            unknown: unknown.map(|first| UnknownItems {
                first,
                rows: unknown_rows,
                items: IdMap::from_ids(unknown_items),
            }),
            spread,
            rows_of_users,
        })
    }

    /// The rows of known items but those that stand twice.
    fn without(
        &self,
        reader: &RatingsReader,
        twice: &Twice,
        is_known: impl Fn(u32) -> bool,
    ) -> Result<(RatingsReader, Spread)> {
        let (mut scratch, mut spread) = (ScratchRatings::new(self.scratch)?, Spread::default());
        let mut row = 0;
        for group in 0..reader.lengths().len() {
            let mut columns = reader.columns(group)?;
            let rows = columns.movies.iter().enumerate();
            let left_out = rows.filter(|(at, item)| !is_known(**item) || twice.has(row + at));
            let left_out: Vec<u32> = left_out.map(|(at, _)| at as u32).collect();
            row += columns.users.len();
            columns.remove(&left_out);
            spread.see(&columns.stars);
            scratch.write(columns)?;
        }
        Ok((scratch.finish()?, spread))
    }
}

/// Rows to leave out since their user has the item in another row, a bit each.
struct Twice {
    bits: Vec<u64>,
    rows: usize,
    first: Option<usize>,
}

impl Twice {
    /// Those that the policy does not keep; where it refuses them, all but the first of each pair.
    fn of(
        reader: &RatingsReader,
        rows_of_users: &[u32],
        policy: Duplicates,
        scratch: &Path,
        is_known: impl Fn(u32) -> bool,
    ) -> Result<Self> {
        let mut by_user = ByUser::new(rows_of_users, scratch)?;
        let mut row = 0;
        for group in 0..reader.lengths().len() {
            for (user, movie, stars, timestamp) in reader.columns(group)?.rows() {
                if is_known(movie) {
                    let rated = Rated {
                        user,
                        movie,
                        stars,
                        timestamp,
                    };
                    by_user.send(rated, row)?;
                }
                row += 1;
            }
        }
        let mut found = Self {
            bits: vec![0; reader.rows().div_ceil(64)],
            rows: 0,
            first: None,
        };
        let mut of_user = Vec::new();
        by_user.hand_out(|rows| {
            of_user.clear();
            of_user.extend(rows.iter().map(|(rated, row)| {
                let order = policy.order(rated.timestamp, *row);
                (rated.movie, order, *row as usize)
            }));
            of_user.sort_unstable();
            let repeats = of_user.windows(2).filter(|pair| pair[0].0 == pair[1].0);
            repeats.for_each(|pair| found.leave_out(pair[0].2));
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }

    fn leave_out(&mut self, row: usize) {
        self.bits[row / 64] |= 1 << (row % 64);
        self.rows += 1;
        self.first = [self.first, Some(row)].into_iter().flatten().min();
    }

    fn has(&self, row: usize) -> bool {
        self.bits[row / 64] >> (row % 64) & 1 == 1
    }
}
