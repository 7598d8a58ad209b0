//! Rows beside the ratings that cannot be used, counted and gone on without.

use std::collections::{BTreeMap, HashMap};

use crate::{Error, IdMap, Movies, Result};

/// Why a row of a table of posters or plots is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeftOutBecause {
    /// Its movie is none of the table of movies.
    UnknownMovie,
    /// An earlier row has its movie.
    Duplicate,
    /// It names no picture.
    Blank,
    /// What it names is no file of this system, as an address of the web.
    NotAFile,
}

/// Rows of a table of posters or plots that are left out.
#[derive(Debug, Default)]
pub struct LeftOutRows {
    by_reason: BTreeMap<LeftOutBecause, Group>,
}

/// Rows that are left out for the same reason.
#[derive(Debug)]
struct Group {
    rows: usize,
    /// What is the matter with the first of them, and where.
    first: Error,
}

/// What a table of posters or plots holds.
#[derive(Debug)]
#[non_exhaustive]
pub struct SideRows<T> {
    /// The rows that can be used, at most one a movie.
    pub rows: Vec<T>,
    /// The others.
    pub left_out: LeftOutRows,
}

impl LeftOutRows {
    /// How many there are.
    pub fn rows(&self) -> usize {
        self.by_reason.values().map(|group| group.rows).sum()
    }

    /// How many there are for a reason.
    pub fn because(&self, reason: LeftOutBecause) -> usize {
        self.by_reason.get(&reason).map_or(0, |group| group.rows)
    }

    /// A line for each reason: how many rows, and which is the first.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.by_reason
            .iter()
            .map(|(reason, Group { rows, first })| {
                let rows = match rows {
                    1 => "1 row".to_owned(),
                    rows => format!("{rows} rows"),
                };
                let what = match reason {
                    LeftOutBecause::UnknownMovie => "of movies that the table of movies lacks",
                    LeftOutBecause::Duplicate => "of movies that have an earlier row",
                    LeftOutBecause::Blank => "without a path",
                    LeftOutBecause::NotAFile => "that name no file",
                };
                format!("left out: {rows} {what}; the first: {first}")
            })
    }

    fn add(&mut self, reason: LeftOutBecause, error: impl FnOnce() -> Error) {
        let group = self.by_reason.entry(reason).or_insert_with(|| Group {
            rows: 0,
            first: error(),
        });
        group.rows += 1;
    }
}

impl<T> Default for SideRows<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            left_out: LeftOutRows::default(),
        }
    }
}

impl<T> SideRows<T> {
    /// The rows that can be used; of the others a warning is logged.
    pub fn or_warn(self) -> Vec<T> {
        self.left_out
            .notes()
            .for_each(|note| tracing::warn!("{note}"));
        self.rows
    }
}

/// Lets rows through that can be used, and counts the others.
pub(crate) struct Sieve<T> {
    /// How the table of movies is called.
    movies: &'static str,
    index: Option<IdMap>,
    /// Where the row of a movie stands among those that passed.
    seen: HashMap<u32, usize>,
    /// Whether something stands for nothing, so that a later row of its movie is better.
    is_blank: fn(&T) -> bool,
    passed: SideRows<T>,
}

impl<T> Sieve<T> {
    pub(crate) fn new(movies: Option<&Movies>, called: &'static str) -> Self {
        Self {
            movies: called,
            index: movies.map(Movies::index),
            seen: HashMap::new(),
            is_blank: |_| false,
            passed: SideRows::default(),
        }
    }

    /// Prefers rows that are not blank to those that are.
    pub(crate) fn unless(self, is_blank: fn(&T) -> bool) -> Self {
        Self { is_blank, ..self }
    }

    /// A row of a movie and what it has of it, or else why that cannot be used. `at` makes an
    /// error at the row, of its movie (0) or what it has of it (1).
    pub(crate) fn take(
        &mut self,
        movie_id: u32,
        value: Result<T, (LeftOutBecause, String)>,
        at: impl Fn(usize, &str) -> Error,
    ) {
        let is_unknown = |index: &IdMap| index.row(movie_id).is_none();
        let left_out = &mut self.passed.left_out;
        if self.index.as_ref().is_some_and(is_unknown) {
            let problem = format!(
                "is not a movie of {}; add the movie there or remove this row",
                self.movies
            );
            left_out.add(LeftOutBecause::UnknownMovie, || at(0, &problem));
            return;
        }
        let value = match value {
            Err((reason, problem)) => return left_out.add(reason, || at(1, &problem)),
            Ok(value) => value,
        };
        let Some(&earlier) = self.seen.get(&movie_id) else {
            self.seen.insert(movie_id, self.passed.rows.len());
            return self.passed.rows.push(value);
        };
        let earlier = &mut self.passed.rows[earlier];
        let problem = match (self.is_blank)(earlier) && !(self.is_blank)(&value) {
            true => {
                *earlier = value;
                "has an earlier row too, which is blank; remove that"
            }
            false => "has an earlier row too, which is used; remove one of them",
        };
        left_out.add(LeftOutBecause::Duplicate, || at(0, problem));
    }

    /// What came through.
    ///
    /// # Errors
    /// Rows of which none can be used: then it is the wrong table.
    pub(crate) fn finish(self) -> Result<SideRows<T>> {
        if !self.passed.rows.is_empty() {
            return Ok(self.passed);
        }
        let all = self.passed.left_out.rows();
        let groups = self.passed.left_out.by_reason.into_values();
        let Some(mut largest) = groups.max_by_key(|group| group.rows) else {
            return Ok(SideRows::default());
        };
        if let (Error::Row { problem, .. } | Error::Column { problem, .. }, true) =
            (&mut largest.first, all > 1)
        {
            problem.push_str(&format!(" (none of the {all} rows can be used)"));
        }
        Err(largest.first)
    }
}
