//! Users, or items, of interactions and of a table beside them.

use std::sync::Arc;

use super::interner::{Interner, merge};
use super::place::Place;
use super::schema::Side;
use super::side::{RowVectors, SideTable};
use super::traits::Traits;
use super::{IdNames, Unmatched, Users};
use crate::movielens::RatingColumns;
use crate::{IdMap, LeftOut, Modality, Movies, Poster, Result, Summary, UnknownMovies};

/// Users, or items: all that there are, and what their table says.
pub(super) struct Joined {
    pub names: Arc<IdNames>,
    /// What each worker's numbers are now.
    pub of_events: Vec<Vec<u32>>,
    /// The table, and the number of each of its rows.
    table: Option<(SideTable, Vec<u32>)>,
}

/// The items, and what else is known of them.
pub(super) struct Catalogue {
    pub items: Movies,
    pub vectors: Vec<Modality>,
    pub images: Vec<Poster>,
    pub texts: Vec<Summary>,
}

impl Joined {
    pub fn new(mut of_events: Vec<Interner>, table: Option<SideTable>) -> Result<Self> {
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

    /// The users, and what is known of them.
    fn known(&self) -> Users {
        Users::new(Arc::clone(&self.names), self.traits())
    }

    /// Which of all the events name.
    fn flags(&self, of_events: &[u32]) -> Vec<bool> {
        let mut flags = vec![false; self.names.len()];
        of_events.iter().for_each(|&it| flags[it as usize] = true);
        flags
    }

    /// How many of the table have no event, and of how many that have one it says nothing.
    fn without(&self, has_events: &[bool]) -> (usize, usize) {
        let (mut idle, mut unknown) = (0, 0);
        if self.table.is_some() {
            for (row, &has_events) in self.rows().iter().zip(has_events) {
                idle += usize::from(row.is_some() && !has_events);
                unknown += usize::from(row.is_none() && has_events);
            }
        }
        (idle, unknown)
    }

    /// Those that the table has, where there is one.
    pub fn in_table(&self) -> Option<IdMap> {
        let (_, numbers) = self.table.as_ref()?;
        Some(IdMap::from_ids(numbers.iter().copied()))
    }

    fn name(&self, number: u32) -> String {
        self.names.name(number).unwrap_or_default().into_owned()
    }

    /// Leaves out, or refuses, events with items that the table lacks. Returns the rows that were
    /// left out, ascending.
    pub fn check(
        &self,
        columns: &mut RatingColumns,
        policy: UnknownMovies,
        item: &Place,
        left_out: &mut LeftOut,
    ) -> Result<Vec<u32>> {
        let Some(known) = self.in_table() else {
            return Ok(Vec::new());
        };
        let unknown = columns.pairs().of_unknown_movies(&known);
        let Some(&first) = unknown.first() else {
            return Ok(unknown);
        };
        let found = UnknownItems {
            first: (first as usize, columns.movies[first as usize]),
            rows: unknown.len(),
            items: IdMap::from_ids(unknown.iter().map(|&row| columns.movies[row as usize])),
        };
        self.leave_out(&found, columns.movies.len(), policy, item, left_out)?;
        columns.remove(&unknown);
        Ok(unknown)
    }

    /// Says what is left out of `rows`, or refuses it; of items that nobody interacted with, all are
    /// too many.
    pub fn leave_out(
        &self,
        unknown: &UnknownItems,
        rows: usize,
        policy: UnknownMovies,
        item: &Place,
        left_out: &mut LeftOut,
    ) -> Result<()> {
        let (first, number) = unknown.first;
        if unknown.rows == rows {
            let (table, numbers) = self.table.as_ref().map_or((Side::Item, None), |it| {
                (it.0.roles.side, it.1.first().copied())
            });
            let problem = format!(
                "none of the items of the table of {} has any interaction: an item is called '{}' \
                 here and one '{}' there; are these ids of the same kind?",
                table.table(),
                self.name(number),
                numbers.map_or(String::new(), |it| self.name(it))
            );
            return Err(item.bad(None, problem));
        }
        if policy == UnknownMovies::Refuse {
            let problem = format!(
                "'{}' is not an item of the table of items; {} interactions are with such items, \
                 {} in number: add the items, remove the interactions, or leave them out: \
                 --unknown-movies drop",
                self.name(number),
                unknown.rows,
                unknown.items.len()
            );
            return Err(item.bad(Some(first), problem));
        }
        let numbers = unknown.items.ids();
        left_out.of_unknown_movies = unknown.rows;
        left_out.unknown_movies = numbers.to_vec();
        left_out.unknown_names = numbers.iter().map(|&number| self.name(number)).collect();
        Ok(())
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

/// All that is known of users and items.
pub(super) struct Known {
    pub users: Users,
    pub catalogue: Catalogue,
    /// Of whom and what one table says nothing, or nothing but that.
    pub unmatched: Unmatched,
}

impl Known {
    /// Of users and items, each with those that events name.
    pub fn of(users: (&Joined, &[u32]), items: (Joined, &[u32])) -> Result<Self> {
        let (idle_users, unknown_users) = users.0.without(&users.0.flags(users.1));
        let (idle_items, _) = items.0.without(&items.0.flags(items.1));
        Ok(Self {
            users: users.0.known(),
            catalogue: items.0.catalogue()?,
            unmatched: Unmatched {
                items: idle_items,
                idle_users,
                unknown_users,
            },
        })
    }
}

/// Events with items that the table of items lacks.
pub(super) struct UnknownItems {
    /// The first row, and its item.
    pub first: (usize, u32),
    pub rows: usize,
    pub items: IdMap,
}
