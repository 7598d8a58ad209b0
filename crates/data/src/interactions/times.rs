//! When something happened, in whole seconds since 1970.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::place::Place;
use super::side::all_texts;
use crate::text::{UNITS, moment_of, shorten, ticks_of, unit_of, whole};
use crate::{Error, Result};

const SECONDS_A_DAY: i64 = 86_400;

/// What is said of a column that is written now so, now so.
const IN_TWO_WAYS: &str = "holds numbers here and moments that are written out there; write all of \
                           them in one way";

/// Whether the type is one of moments, and of numbers and texts not.
pub(super) fn is_time(found: &DataType) -> bool {
    use DataType::{Date32, Date64, Timestamp};
    matches!(found, Timestamp(..) | Date32 | Date64)
}

/// A column of times as it is written: seconds, or numbers of a unit that all of them together
/// tell.
#[derive(Default)]
pub(super) struct Ticks {
    pub values: Vec<i64>,
    /// Whether they are seconds, by their type or as texts; `None` of none yet.
    pub are_seconds: Option<bool>,
}

impl Ticks {
    /// Appends the times of a column.
    pub fn read(&mut self, times: &ArrayRef, place: &Place) -> Result<()> {
        if times.null_count() > 0 {
            let row = (0..times.len()).find(|&row| times.is_null(row));
            let problem = "is null, and no moment; give it a time, or remove the row";
            return Err(place.bad(row, problem));
        }
        macro_rules! ticks {
            ($from:ty) => {{
                let values = times.as_primitive::<$from>().values().iter();
                self.values.extend(values.map(|&value| i64::from(value)));
            }};
        }
        if !times.is_empty() {
            self.agree(are_seconds(times), place)?;
        }
        if let Some(texts) = all_texts(times) {
            return self.read_texts(texts, place);
        }
        match times.data_type() {
            DataType::Int64 => ticks!(Int64Type),
            DataType::Int32 => ticks!(Int32Type),
            DataType::UInt32 => ticks!(UInt32Type),
            DataType::UInt64 => {
                let values = times.as_primitive::<UInt64Type>().values().iter();
                let clamped = values.map(|&value| i64::try_from(value).unwrap_or(i64::MAX));
                self.values.extend(clamped);
            }
            DataType::Timestamp(unit, _) => {
                let ticks = times.to_data().into_builder().data_type(DataType::Int64);
                let ticks = ticks.build().map_err(Error::table(place.table))?;
                let ticks = arrow_array::make_array(ticks);
                let ticks = ticks.as_primitive::<Int64Type>().values().iter();
                let of_a_second = ticks_a_second(*unit);
                self.values
                    .extend(ticks.map(|ticks| ticks.div_euclid(of_a_second)));
            }
            DataType::Date32 => {
                let days = times.as_primitive::<Date32Type>().values().iter();
                let seconds = days.map(|&day| i64::from(day) * SECONDS_A_DAY);
                self.values.extend(seconds);
            }
            DataType::Date64 => {
                let ticks = times.as_primitive::<Date64Type>().values().iter();
                self.values
                    .extend(ticks.map(|ticks| ticks.div_euclid(1_000)));
            }
            DataType::Float64 => {
                let values = times.as_primitive::<Float64Type>().values().iter();
                for (row, &time) in values.enumerate() {
                    let ticks = whole(time);
                    self.values.push(ticks.ok_or_else(|| {
                        let problem = format!("'{time}' is no time; mend or remove the row");
                        place.bad(Some(row), problem)
                    })?);
                }
            }
            other => {
                let problem = format!(
                    "is of the type {other}, and has to be one of times, or of whole numbers of \
                     seconds, milliseconds, microseconds or nanoseconds since 1970"
                );
                return Err(place.bad(None, problem));
            }
        }
        Ok(())
    }

    fn read_texts(&mut self, texts: Vec<Option<&str>>, place: &Place) -> Result<()> {
        for (row, text) in texts.into_iter().enumerate() {
            let text = text.unwrap_or_default().trim();
            let time = match self.are_seconds {
                Some(true) => seconds_of(text),
                _ => ticks_of(text),
            };
            self.values.push(time.ok_or_else(|| {
                let problem = format!(
                    "'{}' is no time: seconds since 1970, or as 2026-01-31 18:05:00, all rows \
                     alike; mend or remove the row",
                    shorten(text)
                );
                place.bad(Some(row), problem)
            })?);
        }
        Ok(())
    }

    /// Appends those of a later part of the same column.
    pub fn append(&mut self, later: Self, place: &Place) -> Result<()> {
        if let Some(are_seconds) = later.are_seconds {
            self.agree(are_seconds, place)?;
        }
        self.values.extend(later.values);
        Ok(())
    }

    fn agree(&mut self, are_seconds: bool, place: &Place) -> Result<()> {
        match self.are_seconds.replace(are_seconds) {
            Some(before) if before != are_seconds => Err(place.bad(None, IN_TWO_WAYS)),
            _ => Ok(()),
        }
    }

    /// Seconds since 1970 of all rows; numbers without a unit are of the one that they are as
    /// large as.
    ///
    /// # Errors
    /// Numbers of several units, and times before 1970 or from 2106 on, by row.
    pub fn into_seconds(self, place: &Place) -> Result<Vec<u32>> {
        let mut clock = Clock::default();
        clock.see(&self, place)?;
        self.seconds(clock.of_a_second(place)?, place)
    }

    /// Seconds since 1970 of all rows, of which each is so many ticks.
    ///
    /// # Errors
    /// Times before 1970 or from 2106 on, by row.
    pub fn seconds(&self, of_a_second: i64, place: &Place) -> Result<Vec<u32>> {
        let seconds = |(row, ticks): (usize, i64)| {
            let seconds = u32::try_from(ticks.div_euclid(of_a_second));
            seconds.map_err(|_| {
                let problem = format!(
                    "'{ticks}' lies before 1970 or behind 2106, where seconds of 32 bits end; mend \
                     or remove the row"
                );
                place.bad(Some(row), problem)
            })
        };
        let ticks = self.values.iter().copied();
        ticks.enumerate().map(seconds).collect()
    }
}

/// How a column of times is written, as far as it was seen.
#[derive(Default)]
pub(super) struct Clock {
    are_seconds: Option<bool>,
    /// Of each of [`UNITS`] the first row, and what it holds.
    first: [Option<(usize, i64)>; UNITS.len()],
}

impl Clock {
    /// Looks at rows of the column.
    ///
    /// # Errors
    /// Numbers where moments were written out before, and the other way round.
    pub fn see(&mut self, ticks: &Ticks, place: &Place) -> Result<()> {
        let mut of_rows = Self {
            are_seconds: ticks.are_seconds,
            ..Self::default()
        };
        // 0 is 1970 in every unit.
        let rows = (place.before..).zip(ticks.values.iter().copied());
        for (row, ticks) in rows.filter(|(_, ticks)| *ticks != 0) {
            let of_unit = &mut of_rows.first[unit_of(ticks)];
            *of_unit = of_unit.or(Some((row, ticks)));
        }
        self.merge(&of_rows, place)
    }

    /// With what another saw of the same column.
    ///
    /// # Errors
    /// As [`Self::see`].
    pub fn merge(&mut self, other: &Self, place: &Place) -> Result<()> {
        if let (Some(before), Some(now)) = (self.are_seconds, other.are_seconds)
            && before != now
        {
            return Err(place.bad(None, IN_TWO_WAYS));
        }
        self.are_seconds = self.are_seconds.or(other.are_seconds);
        for (own, other) in self.first.iter_mut().zip(other.first) {
            *own = [*own, other].into_iter().flatten().min();
        }
        Ok(())
    }

    /// Ticks a second.
    ///
    /// # Errors
    /// Numbers of several units.
    pub fn of_a_second(&self, place: &Place) -> Result<i64> {
        if self.are_seconds == Some(true) {
            return Ok(1);
        }
        let found = UNITS.iter().zip(self.first);
        let found = found.filter_map(|(unit, first)| Some((unit, first?)));
        let found: Vec<(_, (usize, i64))> = found.collect();
        match found[..] {
            [] => Ok(1),
            [((_, of_a_second, _), _)] => Ok(*of_a_second),
            [_, (_, (row, _)), ..] => {
                let told = found.iter().map(|((.., unit), (row, ticks))| {
                    format!("'{ticks}' in row {row} looks like {unit}")
                });
                let told = told.collect::<Vec<_>>().join(", ");
                let problem = format!(
                    "holds times in {} units: {told}; write all of them in one",
                    found.len()
                );
                let column = Place {
                    before: 0,
                    ..*place
                };
                Err(column.bad(Some(row), problem))
            }
        }
    }
}

/// Whether a column tells seconds, by its type or since moments are written out.
fn are_seconds(times: &ArrayRef) -> bool {
    use DataType::{Float64, Int32, Int64, UInt32, UInt64};
    match (times.data_type(), all_texts(times)) {
        (Int64 | Int32 | UInt32 | UInt64 | Float64, _) => false,
        (_, Some(texts)) => {
            let first = texts.into_iter().next().flatten();
            first.is_none_or(|text| ticks_of(text).is_none())
        }
        _ => true,
    }
}

/// Ticks of Arrow's in a second.
fn ticks_a_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A moment that is written out; UTC, unless it says otherwise.
fn seconds_of(text: &str) -> Option<i64> {
    moment_of(text).map(|moment| moment.seconds)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Float64Array, Int64Array, LargeStringArray, StringArray, TimestampMillisecondArray,
    };

    use super::*;

    fn seconds(times: ArrayRef) -> Result<Vec<u32>> {
        let place = Place::of("interactions", "time");
        let mut ticks = Ticks::default();
        ticks.read(&times, &place)?;
        ticks.into_seconds(&place)
    }

    #[test]
    fn every_way_to_write_a_time_comes_to_the_same_seconds() {
        let moment = 1_700_000_123i64;
        let all: [ArrayRef; 11] = [
            Arc::new(Int64Array::from(vec![0, moment])),
            Arc::new(Int64Array::from(vec![0, moment * 1_000 + 999])),
            Arc::new(Int64Array::from(vec![0, moment * 1_000_000])),
            Arc::new(Int64Array::from(vec![0, moment * 1_000_000_000 + 7])),
            Arc::new(TimestampMillisecondArray::from(vec![0, moment * 1_000])),
            Arc::new(Float64Array::from(vec![0.0, moment as f64 + 0.75])),
            Arc::new(Float64Array::from(vec![0.0, moment as f64 * 1_000.0])),
            Arc::new(StringArray::from(vec!["0.0", "1700000123.75"])),
            Arc::new(LargeStringArray::from(vec!["0", "1700000123000"])),
            Arc::new(StringArray::from(vec!["0", "1700000123"])),
            Arc::new(StringArray::from(vec!["1970-01-01", "2023-11-14 22:15:23"])),
        ];
        for times in all {
            assert_eq!(
                seconds(Arc::clone(&times)).unwrap(),
                [0, moment as u32],
                "{times:?}"
            );
        }
        assert_eq!(seconds_of("2023-11-14T23:15:23+01:00"), Some(moment));
    }

    #[test]
    fn times_in_several_units_are_told_apart_with_a_row_of_each() {
        let mixed = vec![1_700_000_000, 1_700_000_000_000, 5, 1_700_000_000_000_000];
        let error = seconds(Arc::new(Int64Array::from(mixed)))
            .unwrap_err()
            .to_string();
        for part in [
            "row 1: holds times in 3 units",
            "'1700000000' in row 0 looks like seconds",
            "'1700000000000' in row 1 looks like milliseconds",
            "'1700000000000000' in row 3 looks like microseconds",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_by_row() {
        let refused = |times: ArrayRef, why: &str| {
            let error = seconds(times).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(
            Arc::new(Int64Array::from(vec![5, -7])),
            "row 1: '-7' lies before 1970",
        );
        refused(
            Arc::new(StringArray::from(vec!["2024-01-31", "31.1.24"])),
            "row 1: '31.1.24'",
        );
        refused(
            Arc::new(Int64Array::from(vec![Some(3), None])),
            "row 1: is null",
        );
        refused(Arc::new(Float64Array::from(vec![f64::NAN])), "'NaN'");
    }
}
