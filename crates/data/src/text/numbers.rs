//! Numbers as people's programs write them.

use std::borrow::Cow;

/// A whole number of 0 to 2³² − 1; also as `21.0`, which data frames make of numbers of which some
/// are missing. With `has_thousands` (where a comma is no separator of fields) `1.000` may be a
/// thousand, and is none.
pub(crate) fn id_of(text: &str, has_thousands: bool) -> Option<u32> {
    let text = text.trim();
    text.parse().ok().or_else(|| whole_id(text, has_thousands))
}

fn whole_id(text: &str, has_thousands: bool) -> Option<u32> {
    let is_number = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b',' | b'e' | b'E' | b'+');
    if !text.bytes().all(is_number) {
        return None;
    }
    let fraction = text.split_once(['.', ',']).map_or("", |(_, rest)| rest);
    if fraction.len() == 3 && (has_thousands || text.contains(',')) {
        return None;
    }
    let number: f64 = with_point(text).parse().ok()?;
    let is_id = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_id.then_some(number as u32)
}

/// A number with a decimal point or comma, which may be infinite or none.
pub(crate) fn decimal_of(text: &str) -> Option<f32> {
    with_point(text.trim()).parse().ok()
}

/// A number with a point in place of a decimal comma.
pub(crate) fn with_point(text: &str) -> Cow<'_, str> {
    match text.split_once(',') {
        Some((whole, fraction)) if !fraction.contains([',', '.']) && !whole.contains('.') => {
            format!("{whole}.{fraction}").into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pandas 3.1 writes of a column of ids that holds a missing one, and reads back.
    #[test]
    fn whole_numbers_are_ids_however_they_are_written() {
        for (text, id) in [
            ("21", 21),
            (" 21 ", 21),
            ("21.0", 21),
            ("21,0", 21),
            ("2.1e+01", 21),
            ("4294967295.0", u32::MAX),
            ("21.000", 21),
        ] {
            assert_eq!(id_of(text, false), Some(id), "{text}");
        }
        for text in [
            "21.5",
            "-21",
            "-21.0",
            "4294967296.0",
            "nan",
            "inf",
            "",
            "1,000",
            "1.000,0",
            "0x1",
            "e",
        ] {
            assert_eq!(id_of(text, false), None, "{text}");
        }
        assert_eq!(id_of("1.000", true), None);
        assert_eq!(id_of("1.0", true), Some(1));
    }

    #[test]
    fn a_decimal_comma_is_a_point() {
        assert_eq!(decimal_of("2,5"), Some(2.5));
        assert_eq!(decimal_of(" 2.5"), Some(2.5));
        assert_eq!(decimal_of("1.234,5"), None);
        assert_eq!(decimal_of("1,2,3"), None);
    }
}
