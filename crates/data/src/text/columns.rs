//! Which column of a file is which.

use std::path::Path;

use super::rows::shorten;
use crate::interactions::{Role, is_usual};
use crate::{Error, Result};

/// What a column is called beside its own name and what [`is_usual`] knows, small letters and no
/// signs.
const OTHER_NAMES: [(&str, &[&str]); 6] = [
    ("movieId", &["movie", "film", "filmid", "mid"]),
    ("rating", &["ratings", "score"]),
    (
        "timestamp",
        &[
            "date",
            "datetime",
            "time",
            "timestamps",
            "timestampms",
            "unixtime",
            "unixtimestamp",
            "createdat",
            "ratedat",
            "ratingdate",
            "reviewdate",
            "ratingtime",
            "ratingtimestamp",
        ],
    ),
    ("title", &["movietitle"]),
    ("genres", &["genre", "moviegenres"]),
    ("tag", &["tags"]),
];

/// Columns that are looked for; the last ones may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub names: &'a [&'a str],
    /// How many of the last ones may be.
    pub optional: usize,
}

/// What became of a search.
pub(super) enum Found {
    /// Where each of the columns stands.
    All(Vec<Option<usize>>),
    /// How many there are of those that are needed, and what is wrong with the first other one.
    Some(usize, Error),
}

impl<'a> Columns<'a> {
    /// All of which are needed.
    pub(crate) fn all(names: &'a [&'a str]) -> Self {
        Self { names, optional: 0 }
    }

    /// The last of which may be missing.
    pub(crate) fn but_the_last(names: &'a [&'a str]) -> Self {
        Self { names, optional: 1 }
    }

    /// How many are needed.
    pub(super) fn required(&self) -> usize {
        self.names.len() - self.optional
    }

    /// For messages.
    pub(super) fn expected(&self) -> String {
        self.names.join(",")
    }

    /// Where they are in a row that has them, or the first `width` of them, in order.
    pub(super) fn in_order(&self, width: usize) -> Vec<Option<usize>> {
        let places = 0..self.names.len();
        places
            .map(|place| (place < width).then_some(place))
            .collect()
    }

    /// Finds them in a header.
    pub(super) fn find(&self, path: &Path, header: &[String]) -> Found {
        let (mut positions, mut wrong, mut count) = (Vec::new(), None, 0);
        for (place, name) in self.names.iter().enumerate() {
            let found = position(path, header, name);
            let is_needed = place < self.required();
            match found {
                Ok(Some(at)) => {
                    count += usize::from(is_needed);
                    positions.push(Some(at));
                }
                Ok(None) if !is_needed => positions.push(None),
                Ok(None) => {
                    wrong.get_or_insert_with(|| Error::MissingColumn {
                        path: path.to_owned(),
                        column: (*name).to_owned(),
                        found: shorten(&header.join(",")),
                        expected: self.expected(),
                    });
                }
                Err(twice) => {
                    // It is there, only too often.
                    count += 1;
                    wrong.get_or_insert(twice);
                }
            }
        }
        match wrong {
            None => Found::All(positions),
            Some(wrong) => Found::Some(count, wrong),
        }
    }
}

/// Where a column is: as it is called, or else in other letters, or else by another usual name.
fn position(path: &Path, header: &[String], wanted: &str) -> Result<Option<usize>> {
    let plain_wanted = plain(wanted);
    let is_exact = |name: &str| name == wanted;
    let is_alike = |name: &str| plain(name) == plain_wanted;
    let is_other = |name: &str| is_other_name(wanted, &plain(name));
    let ways: [&dyn Fn(&str) -> bool; 3] = [&is_exact, &is_alike, &is_other];
    for is_it in ways {
        let mut found = (0..header.len()).filter(|&at| is_it(&header[at]));
        let Some(first) = found.next() else {
            continue;
        };
        return match found.next() {
            None => Ok(Some(first)),
            Some(second) if header[first] == header[second] => Err(Error::DuplicateColumn {
                path: path.to_owned(),
                column: shorten(&header[first]),
            }),
            Some(second) => Err(Error::AmbiguousColumn {
                path: path.to_owned(),
                column: wanted.to_owned(),
                first: shorten(&header[first]),
                second: shorten(&header[second]),
            }),
        };
    }
    Ok(None)
}

/// Small letters and digits alone, without the types that RecBole writes behind names
/// (`user_id:token`).
fn plain(name: &str) -> String {
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let plain = name.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_other_name(wanted: &str, plain: &str) -> bool {
    let role = match wanted {
        "userId" => Some(Role::User),
        "movieId" => Some(Role::Item),
        "timestamp" => Some(Role::Time),
        "title" => Some(Role::Title),
        _ => None,
    };
    let mut others = OTHER_NAMES.iter();
    role.is_some_and(|role| is_usual(role, plain))
        || others.any(|(of, names)| *of == wanted && names.contains(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["userId", "movieId", "rating", "timestamp"];

    fn find(header: &str) -> Result<Vec<Option<usize>>> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        match Columns::but_the_last(&NAMES).find(Path::new("ratings.csv"), &header) {
            Found::All(positions) => Ok(positions),
            Found::Some(_, error) => Err(error),
        }
    }

    #[test]
    fn columns_are_found_by_their_usual_names_in_any_order() {
        let all = vec![Some(0), Some(1), Some(2), Some(3)];
        for header in [
            "userId,movieId,rating,timestamp",
            "user_id,movie_id,rating,timestamp",
            "userid,movieid,Rating,TIMESTAMP",
            "User ID,Item ID,Rating,Date",
            "user,item,ratings,time",
            "UserID,MovieID,Score,unix_time",
            "user_id:token,item_id:token,rating:float,timestamp:float",
        ] {
            assert_eq!(find(header).unwrap(), all, "{header}");
        }
        let others = vec![Some(3), Some(1), Some(2), None];
        assert_eq!(find(",movie_id,rating,userId").unwrap(), others);
        // Its own name goes before others.
        let own = vec![Some(1), Some(2), Some(3), None];
        assert_eq!(find("user,userId,movieId,rating").unwrap(), own);
    }

    #[test]
    fn columns_that_are_missing_or_may_be_two_are_told() {
        let error = find("userId,rating").unwrap_err().to_string();
        assert!(error.contains("no column 'movieId'"), "{error}");
        let error = find("userId,movieId,movieId,rating").unwrap_err();
        assert!(error.to_string().contains("'movieId' twice"), "{error}");
        let error = find("user,uid,movieId,rating").unwrap_err().to_string();
        assert!(
            error.contains("'user'") && error.contains("'uid'"),
            "{error}"
        );
    }
}
