//! What an interaction came to.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::side::all_texts;
use crate::tables::to_f32;
use crate::text::shorten;
use crate::{HIGHEST_RATING, LOWEST_RATING, Result};

/// What the targets of interactions say.
///
/// ```
/// use mmdlrm_data::Target;
///
/// assert_eq!(Target::STARS.bounds(), (0.5, 5.0));
/// assert_eq!(Target::Label.bounds(), (0.0, 1.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Target {
    /// How much: a number from the lowest to the highest. What is predicted is kept within them.
    Rating {
        /// The least that there is.
        lowest: f32,
        /// The most.
        highest: f32,
    },
    /// Whether: 0 or 1. What is predicted is how likely a 1 is.
    Label,
    /// Nothing: that there was one says all, and whoever had none is not known to dislike it. Each
    /// counts as 1.
    Implicit,
}

impl Target {
    /// The scale of MovieLens, in stars.
    pub const STARS: Self = Self::Rating {
        lowest: LOWEST_RATING,
        highest: HIGHEST_RATING,
    };

    /// A target as models learn it: a rating in the stars of MovieLens, from 0.5 for the lowest to
    /// 5 for the highest, so that what was chosen for these fits any scale; all else as it is.
    ///
    /// ```
    /// use mmdlrm_data::Target;
    ///
    /// let points = Target::Rating { lowest: 0.0, highest: 100.0 };
    /// assert_eq!(points.to_stars(100.0), 5.0);
    /// assert_eq!(points.from_stars(0.5), 0.0);
    /// // A star is so many points.
    /// assert!((points.of_a_star() - 100.0 / 4.5).abs() < 1e-9);
    /// assert_eq!(Target::Label.to_stars(1.0), 1.0);
    /// ```
    pub fn to_stars(self, target: f32) -> f32 {
        self.in_stars(f64::from(target)) as f32
    }

    /// Whether stars are other numbers than the targets.
    pub(crate) fn is_stretched(self) -> bool {
        matches!(self, Self::Rating { .. }) && self != Self::STARS
    }

    /// The inverse of [`Self::to_stars`].
    pub fn from_stars(self, stars: f64) -> f64 {
        match self {
            Self::Rating { lowest, .. } if self.is_stretched() => {
                f64::from(lowest) + (stars - f64::from(LOWEST_RATING)) * self.of_a_star()
            }
            _ => stars,
        }
    }

    /// As [`Self::to_stars`], of a number of 64 bits.
    pub fn in_stars(self, target: f64) -> f64 {
        match self {
            Self::Rating { lowest, .. } if self.is_stretched() => {
                f64::from(LOWEST_RATING) + (target - f64::from(lowest)) / self.of_a_star()
            }
            _ => target,
        }
    }

    /// How much of the targets a star is: what errors in stars are multiplied by.
    pub fn of_a_star(self) -> f64 {
        match self {
            Self::Rating { lowest, highest } if self != Self::STARS => {
                let all = f64::from(HIGHEST_RATING) - f64::from(LOWEST_RATING);
                (f64::from(highest) - f64::from(lowest)) / all
            }
            _ => 1.0,
        }
    }

    /// The least and the most that can be predicted.
    pub fn bounds(self) -> (f32, f32) {
        match self {
            Self::Rating { lowest, highest } => (lowest, highest),
            Self::Label | Self::Implicit => (0.0, 1.0),
        }
    }

    /// From which target on, [as stars](Self::to_stars), an item counts as liked: of the stars of
    /// MovieLens 4, of any other scale three quarters of it up; a label of 1, all where there is no
    /// target.
    ///
    /// ```
    /// use mmdlrm_data::Target;
    ///
    /// let of_five = Target::Rating { lowest: 1.0, highest: 5.0 };
    /// assert!(of_five.to_stars(4.0) >= of_five.liked() && of_five.to_stars(3.0) < of_five.liked());
    /// ```
    pub fn liked(self) -> f32 {
        /// What rounding may take from three quarters.
        const ROUNDED: f32 = 1e-4;
        match self {
            stars if stars == Self::STARS => 4.0,
            Self::Rating { .. } => {
                LOWEST_RATING + 0.75 * (HIGHEST_RATING - LOWEST_RATING) - ROUNDED
            }
            Self::Label | Self::Implicit => 1.0,
        }
    }

    /// Whether targets are probabilities, and no amounts.
    pub fn is_probability(self) -> bool {
        !matches!(self, Self::Rating { .. })
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::STARS
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rating { lowest, highest } => write!(f, "ratings from {lowest} to {highest}"),
            Self::Label => f.write_str("labels, 0 or 1"),
            Self::Implicit => f.write_str("none: that there is an interaction says all"),
        }
    }
}

/// Appends the targets of a column.
///
/// # Errors
/// Nulls, texts that are no numbers, and numbers that are not finite, by row.
pub(super) fn read(targets: &ArrayRef, values: &mut Vec<f32>, place: &Place) -> Result<()> {
    let before = values.len();
    read_numbers(targets, values, TARGET, place)?;
    let unusable = values[before..].iter().position(|value| !value.is_finite());
    match unusable {
        None => Ok(()),
        Some(row) => {
            let problem = format!(
                "'{}' is no target, which is a finite number; mend or remove the row",
                values[before + row]
            );
            Err(place.bad(Some(row), problem))
        }
    }
}

/// What is said of a target that is no number, …
pub(super) const TARGET: &str = "a target is a number (or true and false): name another column, give texts numbers, or leave \
     the target out where that there is an interaction says all";
/// … and of what is no number in a dense column.
pub(super) const DENSE: &str = "a dense column is of numbers (or true and false): mend the value, leave it empty where it is \
     not known, or give the column another role, as id or unused";

/// Appends the numbers of a column; `rule` is said of what is none.
///
/// # Errors
/// Nulls, and what is no number.
pub(super) fn read_numbers(
    array: &ArrayRef,
    values: &mut Vec<f32>,
    rule: &str,
    place: &Place,
) -> Result<()> {
    if array.null_count() > 0 {
        let row = (0..array.len()).find(|&row| array.is_null(row));
        let problem = "is null, and no number; give it one, or remove the row";
        return Err(place.bad(row, problem));
    }
    if let Some(texts) = all_texts(array) {
        return read_written(texts, values, rule, place);
    }
    match array.data_type() {
        DataType::Boolean => {
            let flags = array.as_boolean().iter().flatten();
            values.extend(flags.map(|flag| f32::from(u8::from(flag))));
        }
        found => match to_f32(array) {
            Some(numbers) => values.extend_from_slice(numbers.values()),
            None => {
                return Err(place.bad(None, format!("is of the type {found}, and {rule}")));
            }
        },
    }
    Ok(())
}

/// Appends numbers that are written out.
fn read_written(
    texts: Vec<Option<&str>>,
    values: &mut Vec<f32>,
    rule: &str,
    place: &Place,
) -> Result<()> {
    for (row, text) in texts.into_iter().enumerate() {
        let text = text.unwrap_or_default();
        let number = number_of(text).ok_or_else(|| {
            let problem = format!("'{}' is a text, and {rule}", shorten(text));
            place.bad(Some(row), problem)
        })?;
        values.push(number);
    }
    Ok(())
}

/// A number, or what is true or false, as it is written.
fn number_of(text: &str) -> Option<f32> {
    let text = text.trim();
    match text {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ => text.parse().ok(),
    }
}

/// Refuses a target outside the scale that is given.
pub(super) fn check_in(values: &[f32], scale: (f32, f32), place: &Place) -> Result<()> {
    let (lowest, highest) = scale;
    let outside = values
        .iter()
        .position(|it| !(lowest..=highest).contains(it));
    match outside {
        None => Ok(()),
        Some(row) => {
            let problem = format!(
                "'{}' is outside the scale of {lowest} to {highest}; mend or remove the row, or \
                 give the scale that it is of",
                values[row]
            );
            Err(place.bad(Some(row), problem))
        }
    }
}

/// What values targets have, as far as they were seen.
pub(super) struct Spread {
    rows: usize,
    lowest: f32,
    highest: f32,
    are_labels: bool,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            rows: 0,
            lowest: f32::INFINITY,
            highest: f32::NEG_INFINITY,
            are_labels: true,
        }
    }
}

impl Spread {
    pub fn of(values: &[f32]) -> Self {
        let mut spread = Self::default();
        spread.see(values);
        spread
    }

    pub fn see(&mut self, values: &[f32]) {
        self.rows += values.len();
        self.lowest = values.iter().copied().fold(self.lowest, f32::min);
        self.highest = values.iter().copied().fold(self.highest, f32::max);
        self.are_labels &= values.iter().all(|&value| value == 0.0 || value == 1.0);
    }

    /// What targets of these values are, on the scale that is given, if any.
    ///
    /// # Errors
    /// Targets that are all the same: of such, nothing is learned.
    pub fn kind(&self, scale: Option<(f32, f32)>, place: &Place) -> Result<Target> {
        if let Some((lowest, highest)) = scale {
            return Ok(Target::Rating { lowest, highest });
        }
        let Self {
            rows,
            lowest,
            highest,
            are_labels,
        } = *self;
        if lowest == highest {
            let problem = match lowest {
                0.0 => format!(
                    "is 0 in all {rows} rows, and a label that is never 1 says nothing; name \
                     another column, or add the rows in which it is 1"
                ),
                other => format!(
                    "is {other} in all {rows} rows, and says nothing; leave the target out, and \
                     that there is an interaction is learned"
                ),
            };
            return Err(place.bad(None, problem));
        }
        Ok(match are_labels {
            true => Target::Label,
            false => Target::Rating { lowest, highest },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Int16Array, StringArray};

    use super::*;

    fn of(targets: ArrayRef, scale: Option<(f32, f32)>) -> Result<(Vec<f32>, Target)> {
        let place = Place::of("interactions", "bought");
        let mut values = Vec::new();
        read(&targets, &mut values, &place)?;
        if let Some(scale) = scale {
            check_in(&values, scale, &place)?;
        }
        let kind = Spread::of(&values).kind(scale, &place)?;
        Ok((values, kind))
    }

    #[test]
    fn the_values_tell_labels_from_ratings() {
        let labels: [ArrayRef; 3] = [
            Arc::new(BooleanArray::from(vec![true, false])),
            Arc::new(Int16Array::from(vec![1, 0])),
            Arc::new(StringArray::from(vec!["true", "False"])),
        ];
        for labels in labels {
            assert_eq!(of(labels, None).unwrap(), (vec![1.0, 0.0], Target::Label));
        }
        let ratings: ArrayRef = Arc::new(Int16Array::from(vec![-10, 7, 10]));
        let (lowest, highest) = (-10.0, 10.0);
        let kind = Target::Rating { lowest, highest };
        assert_eq!(of(ratings, None).unwrap().1, kind);
        // A scale may have values that nobody gave yet.
        let ratings: ArrayRef = Arc::new(Int16Array::from(vec![0, 1]));
        let scale = Some((0.0, 10.0));
        assert_eq!(of(ratings, scale).unwrap().1.bounds(), (0.0, 10.0));
    }

    #[test]
    fn stars_of_any_scale_come_back_as_they_were() {
        for (lowest, highest) in [(1.0, 5.0), (-10.0, 10.0), (0.0, 100.0), (0.5, 5.0)] {
            let target = Target::Rating { lowest, highest };
            assert_eq!(
                (target.to_stars(lowest), target.to_stars(highest)),
                (0.5, 5.0)
            );
            for step in 0..=20u8 {
                let rating = lowest + (highest - lowest) * f32::from(step) / 20.0;
                let again = target.from_stars(f64::from(target.to_stars(rating)));
                assert!((again - f64::from(rating)).abs() < 1e-5, "{rating} {again}");
            }
        }
    }

    #[test]
    fn targets_that_say_nothing_are_refused() {
        let refused = |targets: ArrayRef, scale, why: &str| {
            let error = of(targets, scale).unwrap_err().to_string();
            assert!(
                error.contains("column 'bought'") && error.contains(why),
                "{error}"
            );
        };
        let zeros: ArrayRef = Arc::new(Int16Array::from(vec![0; 7]));
        refused(
            zeros,
            None,
            "is 0 in all 7 rows, and a label that is never 1",
        );
        refused(
            Arc::new(Int16Array::from(vec![3; 2])),
            None,
            "leave the target out",
        );
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "yes"]));
        refused(texts, None, "row 1: 'yes' is a text");
        let out: ArrayRef = Arc::new(Int16Array::from(vec![1, 11]));
        refused(
            out,
            Some((1.0, 10.0)),
            "row 1: '11' is outside the scale of 1 to 10",
        );
        let none: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), None]));
        refused(none, None, "row 1: is null");
        let nan: ArrayRef = Arc::new(StringArray::from(vec!["1", "NaN"]));
        refused(nan, None, "row 1: 'NaN' is no target");
    }
}
