//! The rows of a table of interactions.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::interner::Interner;
use super::place::Place;
use super::roles::Roles;
use super::schema::Role;
use super::source::{Rows, Source};
use super::target;
use super::times::Ticks;
use crate::{Error, Result};

/// Columns that are read, by name.
pub(super) struct Wanted<'a> {
    pub user: &'a str,
    pub item: &'a str,
    pub target: Option<&'a str>,
    pub time: Option<&'a str>,
}

/// Rows as they were read.
#[derive(Default)]
pub(super) struct Events {
    /// Numbers by the worker's interners, and then by the names of all.
    pub users: Vec<u32>,
    pub items: Vec<u32>,
    /// Empty where there are none.
    pub targets: Vec<f32>,
    pub times: Ticks,
}

/// What one thread read: some parts of the table, and whom it met.
pub(super) struct Worker {
    pub users: Interner,
    pub items: Interner,
    pub parts: Vec<(usize, Events)>,
}

impl<'a> Wanted<'a> {
    pub fn of(roles: &'a Roles) -> Self {
        Self {
            user: roles.one(Role::User).unwrap_or_default(),
            item: roles.one(Role::Item).unwrap_or_default(),
            target: roles.one(Role::Target),
            time: roles.one(Role::Time),
        }
    }

    /// Those that are there, in the order of the fields.
    pub fn columns(&self) -> Vec<&'a str> {
        let columns = [Some(self.user), Some(self.item), self.target, self.time];
        columns.into_iter().flatten().collect()
    }

    /// Reads all parts of a table, as many side by side as there are threads.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn read(&self, source: &Source) -> Result<Vec<Worker>> {
        let new = || {
            Ok(Worker {
                users: interner(source, self.user)?,
                items: interner(source, self.item)?,
                parts: Vec::new(),
            })
        };
        in_parallel(source, &self.columns(), new, |worker, part, rows| {
            if worker.parts.last().is_none_or(|(last, _)| *last != part) {
                worker.parts.push((part, Events::default()));
            }
            let Worker {
                users,
                items,
                parts,
            } = worker;
            match parts.last_mut() {
                Some((_, events)) => events.read(rows, source.table, self, (users, items)),
                None => Ok(()),
            }
        })
    }
}

/// Hands out all parts of a table to workers, as many as there are threads, each of which takes one
/// after the other.
///
/// # Errors
/// Of the parts that cannot be used the first one's.
pub(super) fn in_parallel<W: Send>(
    source: &Source,
    columns: &[&str],
    new: impl Fn() -> Result<W> + Sync,
    take: impl Fn(&mut W, usize, &Rows) -> Result<()> + Sync,
) -> Result<Vec<W>> {
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().clamp(1, source.parts().max(1));
    let workers = (0..threads).into_par_iter().map(|_| {
        let mut worker = new().map_err(|error| (0, error))?;
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= source.parts() {
                return Ok(worker);
            }
            let read = source.read(part, columns, &mut |rows| take(&mut worker, part, &rows));
            read.map_err(|error| (part, error))?;
        }
    });
    let workers: Vec<Result<W, (usize, Error)>> = workers.collect();
    let mut read = Vec::with_capacity(workers.len());
    let mut failed: Option<(usize, Error)> = None;
    for worker in workers {
        match worker {
            Ok(worker) => read.push(worker),
            // Parts are taken in their order, so that the first that fails has been looked at.
            Err(error) if failed.as_ref().is_none_or(|(first, _)| error.0 < *first) => {
                failed = Some(error);
            }
            Err(_) => {}
        }
    }
    match failed {
        None => Ok(read),
        Some((_, error)) => Err(error),
    }
}

/// For the ids of a column.
pub(super) fn interner(source: &Source, column: &str) -> Result<Interner> {
    if source.is_untyped() {
        return Ok(Interner::untyped());
    }
    let found = source.schema().field_with_name(column);
    let found = found.map_err(Error::table(source.table))?.data_type();
    let interner = Interner::for_type(found, source.table, column);
    interner.map_err(|error| source.in_file(error))
}

impl Events {
    /// Appends rows.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn read(
        &mut self,
        rows: &Rows,
        table: &'static str,
        wanted: &Wanted,
        (of_users, of_items): (&mut Interner, &mut Interner),
    ) -> Result<()> {
        let mut columns = rows.batch.columns().iter();
        let mut next = |column| {
            let before = rows.before;
            let place = Place {
                table,
                column,
                before,
            };
            let array = columns
                .next()
                .ok_or_else(|| place.bad(None, "is missing"))?;
            Ok::<_, Error>((array, place))
        };
        let (users, items) = (next(wanted.user)?, next(wanted.item)?);
        let (known_users, known_items) = rayon::join(
            || of_users.read(users.0, &mut self.users, &users.1),
            || of_items.read(items.0, &mut self.items, &items.1),
        );
        known_users.and(known_items)?;
        if let Some(column) = wanted.target {
            let (targets, place) = next(column)?;
            target::read(targets, &mut self.targets, &place)?;
        }
        if let Some(column) = wanted.time {
            let (times, place) = next(column)?;
            self.times.read(times, &place)?;
        }
        Ok(())
    }

    /// Puts the parts of all workers together in the order of the table; `users` and `items` say
    /// what each worker's numbers are now.
    ///
    /// # Errors
    /// Times that are written in several ways.
    pub fn join(
        workers: Vec<Vec<(usize, Self)>>,
        users: &[Vec<u32>],
        items: &[Vec<u32>],
        time: &Place,
    ) -> Result<Self> {
        let maps = users.iter().zip(items);
        let mut parts: Vec<(usize, Self)> = workers
            .into_par_iter()
            .zip(maps.collect::<Vec<_>>())
            .flat_map_iter(|(parts, (users, items))| {
                parts.into_iter().map(move |(part, mut events)| {
                    let renumber = |numbers: &mut Vec<u32>, map: &[u32]| {
                        numbers.iter_mut().for_each(|it| *it = map[*it as usize]);
                    };
                    renumber(&mut events.users, users);
                    renumber(&mut events.items, items);
                    (part, events)
                })
            })
            .collect();
        parts.sort_unstable_by_key(|(part, _)| *part);
        let rows = parts.iter().map(|(_, part)| part.users.len()).sum();
        let mut all = Self::default();
        all.users.reserve_exact(rows);
        all.items.reserve_exact(rows);
        for (_, part) in parts {
            all.users.extend(part.users);
            all.items.extend(part.items);
            all.targets.extend(part.targets);
            all.times.append(part.times, time)?;
        }
        Ok(all)
    }
}
