//! A column of times, row by row.

use super::moments::{UNITS, moment_of, ticks_of, unit_of};
use super::numbers::with_point;
use super::rows::{Row, shorten};
use crate::{Error, Result};

/// What is said of what is no time.
const NO_TIME: &str = "is not a timestamp: seconds since 1970 (or milli-, micro- or nanoseconds), \
                       or written as 2005-04-02 23:53:47; mend or remove the row";

const OUT_OF_RANGE: &str = "is not a timestamp from 1970 to 2106, where seconds of 32 bits end; mend \
                            or remove the row";

/// Reads times that are all written in one way, which the first of them tells.
#[derive(Debug, Default)]
pub(crate) struct TimeColumn {
    first: Option<First>,
}

/// The row that tells how times are written.
#[derive(Debug)]
struct First {
    way: Way,
    line: u64,
    text: String,
}

/// A way to write times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// 0, which is 1970 in every unit.
    Zero,
    /// A number of a unit, by its place among [`UNITS`].
    Number(usize),
    /// Written out, with a time zone or without.
    Moment { has_zone: bool },
}

impl Way {
    /// Whether a column may hold both.
    fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Zero, Self::Number(_)) | (Self::Number(_), Self::Zero) => true,
            (one, other) => one == other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Zero => "a number",
            Self::Number(unit) => UNITS[unit].2,
            Self::Moment { has_zone: true } => "a moment with a time zone",
            Self::Moment { has_zone: false } => "a moment without a time zone",
        }
    }
}

impl TimeColumn {
    /// Whole seconds since 1970 of a row, UTC.
    ///
    /// # Errors
    /// What is no time, or is written in another way than rows before.
    pub(crate) fn read(&mut self, row: &Row, column: usize) -> Result<u32> {
        let bad = |problem| row.bad(column, problem);
        let field = std::str::from_utf8(row.field(column)).map_err(|_| bad(NO_TIME))?;
        let text = field.trim();
        let (way, seconds) = read(text).ok_or_else(|| bad(NO_TIME))?;
        match &self.first {
            Some(first) if !first.way.agrees(way) => return Err(first.mix(way, row, column)),
            Some(first) if first.way != Way::Zero || way == Way::Zero => {}
            _ => {
                self.first = Some(First {
                    way,
                    line: row.line(),
                    text: shorten(text),
                });
            }
        }
        u32::try_from(seconds).map_err(|_| bad(OUT_OF_RANGE))
    }
}

impl First {
    /// That a later row is written in another way.
    fn mix(&self, way: Way, row: &Row, column: usize) -> Error {
        let problem = format!(
            "looks like {}, and '{}' on line {} like {}; write all times of the file in one way",
            way.name(),
            self.text,
            self.line,
            self.way.name()
        );
        row.bad(column, &problem)
    }
}

/// How a time is written, and its seconds.
fn read(text: &str) -> Option<(Way, i64)> {
    let Some(ticks) = ticks_of(&with_point(text)) else {
        let moment = moment_of(text)?;
        let has_zone = moment.has_zone;
        return Some((Way::Moment { has_zone }, moment.seconds));
    };
    if ticks == 0 {
        return Some((Way::Zero, 0));
    }
    let unit = unit_of(ticks);
    Some((Way::Number(unit), ticks.div_euclid(UNITS[unit].1)))
}
