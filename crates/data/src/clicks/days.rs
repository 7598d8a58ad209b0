use std::ops::Range;

use crate::{Error, Result, SplitPart};

/// Where each part lies among all rows of a click log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts(pub [Range<usize>; 3]);

impl Parts {
    pub fn of(&self, part: SplitPart) -> Range<usize> {
        self.0[part as usize].clone()
    }

    /// Of files of so many rows: each is a day, or all of them are cut into so many days.
    ///
    /// # Errors
    /// No day to learn from, or too few rows on the last, which is held out.
    pub fn new(rows: &[usize], days: Option<usize>) -> Result<Self> {
        let all: usize = rows.iter().sum();
        let last = match days {
            None => rows.last().copied().unwrap_or(0),
            // The first days have one more, where not all can have as many.
            Some(days) => all / days.max(1),
        };
        if last < 2 || last == all {
            let rule = "there must be rows to learn from, and two or more on the last day, which is \
                        held out; name more files, or say how many days they hold";
            let days = days.unwrap_or(rows.len());
            return Err(Error::setting("number of days", days, rule));
        }
        let held = all - last;
        let middle = held + last.div_ceil(2);
        Ok(Self([0..held, middle..all, held..middle]))
    }
}

/// Refuses days of which none can be held out.
pub(super) fn check_days(files: usize, days: Option<usize>) -> Result<()> {
    let (value, rule) = match (files, days) {
        (0, _) => ("none".to_owned(), "name one or more"),
        (1, None) => (
            "1".to_owned(),
            "the last day is held out; name a file for each, or say how many days this one holds",
        ),
        (_, Some(days @ (0 | 1))) => (
            days.to_string(),
            "it must be 2 or more, since the last is held out",
        ),
        _ => return Ok(()),
    };
    let setting = match files {
        0 => "files of a click log",
        _ => "number of days",
    };
    Err(Error::setting(setting, value, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_tested_on_and_chosen_by() {
        let of = |rows: &[usize], days| Parts::new(rows, days).unwrap().0;
        assert_eq!(of(&[5, 4, 3], None), [0..9, 11..12, 9..11]);
        assert_eq!(of(&[14], Some(7)), [0..12, 13..14, 12..13]);
        // np.array_split cuts 16 rows into 3, 3, 2, 2, 2, 2, 2.
        assert_eq!(of(&[10, 6], Some(7)), [0..14, 15..16, 14..15]);
        for (rows, days) in [
            (&[5][..], None),
            (&[5, 1], None),
            (&[9], Some(7)),
            (&[0, 4], None),
        ] {
            assert!(Parts::new(rows, days).is_err(), "{rows:?}");
        }
    }
}
