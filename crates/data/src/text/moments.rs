//! Moments as they are written: numbers of several units, and dates.

use std::ops::Range;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Sizes by which whole numbers without a unit are told apart: seconds until the year 5138, then
/// milliseconds from 1973 on, microseconds, nanoseconds.
pub(crate) const UNITS: [(Range<u64>, i64, &str); 4] = [
    (0..100_000_000_000, 1, "seconds"),
    (100_000_000_000..100_000_000_000_000, 1_000, "milliseconds"),
    (
        100_000_000_000_000..100_000_000_000_000_000,
        1_000_000,
        "microseconds",
    ),
    (
        100_000_000_000_000_000..u64::MAX,
        1_000_000_000,
        "nanoseconds",
    ),
];

/// Ways to write a moment that are not those of [`iso`], beside RFC 3339.
const FORMATS: [&str; 4] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y/%m/%d %H:%M:%S%.f",
];

/// A moment that is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Whole seconds since 1970, UTC.
    pub seconds: i64,
    /// Whether it says of which time zone it is; if not, it is taken for UTC.
    pub has_zone: bool,
}

/// Which of [`UNITS`] a number is as large as.
pub(crate) fn unit_of(ticks: i64) -> usize {
    let size = ticks.unsigned_abs();
    let unit = UNITS.iter().position(|(range, ..)| range.contains(&size));
    unit.unwrap_or(UNITS.len() - 1)
}

/// A number as it is written.
pub(crate) fn ticks_of(text: &str) -> Option<i64> {
    let text = text.trim();
    let ticks = text.parse().ok();
    ticks.or_else(|| whole(text.parse().ok()?))
}

/// What is whole of a number, as data frames write times.
pub(crate) fn whole(number: f64) -> Option<i64> {
    let is_within = (i64::MIN as f64..i64::MAX as f64).contains(&number);
    is_within.then(|| number.floor() as i64)
}

/// A moment that is written out; UTC, unless it says otherwise.
pub(crate) fn moment_of(text: &str) -> Option<Moment> {
    iso(text).or_else(|| other(text))
}

/// `2005-04-02`, `2005-04-02 23:53:47`, `2005-04-02T23:53:47.25Z`, `2005/04/02 23:53+0100`.
fn iso(text: &str) -> Option<Moment> {
    let (year, rest) = digits(text, 4)?;
    let sign = rest
        .chars()
        .next()
        .filter(|sign| matches!(sign, '-' | '/'))?;
    let (month, rest) = digits(&rest[1..], 2)?;
    let (day, rest) = digits(rest.strip_prefix(sign)?, 2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let Some(rest) = rest.strip_prefix(['T', ' ']) else {
        let midnight = NaiveDateTime::new(date, NaiveTime::MIN).and_utc();
        return rest.is_empty().then(|| Moment {
            seconds: midnight.timestamp(),
            has_zone: false,
        });
    };
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2)?,
        None => (0, rest),
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
        None => rest,
    };
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    let seconds = NaiveDateTime::new(date, time).and_utc().timestamp();
    Some(match zone {
        "" => Moment {
            seconds,
            has_zone: false,
        },
        zone => Moment {
            seconds: seconds - east(zone)?,
            has_zone: true,
        },
    })
}

/// Seconds that a zone is before UTC: `Z`, ` UTC`, `+01:00`, `-0730`, `+01`.
fn east(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z" | " UTC") {
        return Some(0);
    }
    let is_west = zone.starts_with('-');
    let (hours, rest) = digits(zone.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest) = match rest.strip_prefix(':').unwrap_or(rest) {
        "" if !rest.is_empty() => return None,
        "" => (0, ""),
        minutes => digits(minutes, 2)?,
    };
    let is_zone = rest.is_empty() && hours < 24 && minutes < 60;
    let seconds = i64::from(hours * 3600 + minutes * 60);
    is_zone.then_some(if is_west { -seconds } else { seconds })
}

/// So many digits off the front of a text.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let all = number.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| Some((number.parse().ok()?, rest)))?
}

fn other(text: &str) -> Option<Moment> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(Moment {
            seconds: moment.timestamp(),
            has_zone: true,
        });
    }
    let mut formats = FORMATS.iter();
    let moment = formats.find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let moment = moment.or_else(|| day()?.and_hms_opt(0, 0, 0));
    moment.map(|moment| Moment {
        seconds: moment.and_utc().timestamp(),
        has_zone: text.ends_with(" UTC"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds are what pandas 3.1 gives,
    /// `pd.to_datetime(text, utc=True).as_unit("ns").value // 10**9`, and so is whether there is a
    /// zone, `pd.to_datetime(text).tzinfo is not None`.
    #[test]
    fn moments_are_those_of_pandas() {
        for (text, seconds, has_zone) in MOMENTS {
            assert_eq!(
                moment_of(text),
                Some(Moment { seconds, has_zone }),
                "{text}"
            );
        }
    }

    const MOMENTS: [(&str, i64, bool); 18] = [
        ("2005-04-02", 1112400000, false),
        ("2005-04-02 23:53:47", 1112486027, false),
        ("2005-04-02T23:53:47Z", 1112486027, true),
        ("2005-04-02T23:53:47.999Z", 1112486027, true),
        ("2005-04-02 23:53:47.123456", 1112486027, false),
        ("2005-04-02 23:53:47.123456789", 1112486027, false),
        ("2005-04-02T23:53:47+02:00", 1112478827, true),
        ("2005-04-02 23:53:47-0730", 1112513027, true),
        ("2005-04-02 23:53:47+00:00", 1112486027, true),
        ("2005-04-02T23:53:47+05", 1112468027, true),
        ("2005-04-02 23:53", 1112485980, false),
        ("2005/04/02", 1112400000, false),
        ("2005/04/02 23:53:47", 1112486027, false),
        ("2004-02-29 00:00:00", 1078012800, false),
        ("1970-01-01", 0, false),
        ("1969-12-31 23:59:59.5", -1, false),
        ("2005-04-02 23:53:47 UTC", 1112486027, true),
        ("2106-02-07 06:28:15", 4294967295, false),
    ];

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2005",
            "2005-04",
            "2005-13-02",
            "2005-02-29",
            "2005-04-02 ",
            "2005-04-02 25:00:00",
            "2005-04-02 23:60:00",
            "2005-04-02T23:53:47+",
            "2005-04-02T23:53:47+01:",
            "2005-04-02T23:53:47+25:00",
            "2005-04-02T23:53:47.",
            "2005-04-02 23:53:47 CET",
            "2005-04/02",
            "02/04/2005",
            "2005-04-02 2\u{e9}:53",
            "20\u{e9}5-04-02",
            "yesterday",
        ] {
            assert_eq!(moment_of(text), None, "{text}");
        }
    }
}
