//! Which column is what.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// Who: of interactions, and of the table of users.
    User,
    /// What: of interactions, and of the table of items.
    Item,
    /// What an interaction came to.
    Target,
    /// When it was.
    Time,
    /// One of several values that are told apart: a brand, a country.
    Id,
    /// Any number of such values: tags.
    Bag,
    /// A number, as a price. It is standardized; a null is the mean.
    Dense,
    /// A list of as many numbers in each row.
    Vector,
    /// What people call an item.
    Title,
    /// In which year an item came out.
    Year,
    /// The path of an item's picture.
    Image,
    /// A text about an item.
    Text,
    /// Nothing that a model looks at.
    Unused,
}

/// Roles with their names.
const ROLES: [(&str, Role); 13] = [
    ("user", Role::User),
    ("item", Role::Item),
    ("target", Role::Target),
    ("time", Role::Time),
    ("id", Role::Id),
    ("bag", Role::Bag),
    ("dense", Role::Dense),
    ("vector", Role::Vector),
    ("title", Role::Title),
    ("year", Role::Year),
    ("image", Role::Image),
    ("text", Role::Text),
    ("unused", Role::Unused),
];

impl Role {
    /// Whether it is one of those that say what an interaction is.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::User | Self::Item | Self::Target | Self::Time)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ROLES.iter().find(|(_, role)| role == self);
        f.pad(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let role = ROLES.iter().find(|(name, _)| *name == text);
        role.map(|&(_, role)| role).ok_or_else(|| {
            let rule = "a role is user, item, target, time, id, bag, dense, vector, title, year, \
                        image, text or unused";
            Error::setting("role of a column", format!("'{text}'"), rule)
        })
    }
}

/// Whom the columns of a table are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The user, wherever the user meets an item.
    User,
    /// The item.
    Item,
    /// Both and the moment: an interaction.
    Pair,
}

impl Side {
    /// What its table is called in messages.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Item => "items",
            Self::Pair => "interactions",
        }
    }
}

/// Which columns are what, where types and usual names do not say it, or say it wrong.
///
/// Left out, the user, the item, the target and the time are found by the names that they usually
/// have (`user_id`, `item_id`, `rating`, `timestamp`, …), and so is the title of items; other columns
/// are what their Arrow types say:
///
/// | type | role |
/// | --- | --- |
/// | texts, dictionaries of texts | [`Id`](Role::Id) |
/// | lists of texts or whole numbers, CSV with `|` between values | [`Bag`](Role::Bag) |
/// | numbers, moments, true and false | [`Dense`](Role::Dense) |
/// | lists of floats | [`Vector`](Role::Vector) |
/// | texts that are nearly all different, structs, bytes | [`Unused`](Role::Unused) |
///
/// Other columns of interactions are [`Unused`](Role::Unused) but where the [roles](Self::roles) say
/// otherwise: what goes with a single interaction may tell how it ended.
///
/// ```
/// use mmdlrm_data::{Role, Schema};
///
/// let mut schema = Schema {
///     user: Some("customer".to_owned()),
///     item: Some("sku".to_owned()),
///     ..Schema::default()
/// };
/// schema.roles.insert("store_number".to_owned(), Role::Id);
/// assert_eq!("dense".parse::<Role>()?, Role::Dense);
/// # Ok::<(), mmdlrm_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schema {
    /// Column of the users' ids.
    pub user: Option<String>,
    /// Column of the items' ids.
    pub item: Option<String>,
    /// Column of the targets. Left out, only one of a usual name is taken for it; without one the
    /// interactions are [implicit](super::Target::Implicit).
    pub target: Option<String>,
    /// Column of the times.
    pub time: Option<String>,
    /// Whether no column is the target, whatever it is called.
    pub implicit: bool,
    /// Roles of other columns, by name, in every table that has them.
    pub roles: BTreeMap<String, Role>,
}

/// Names that the column of a role usually has, small letters and no signs.
const USUAL: [(Role, &[&str]); 5] = [
    (
        Role::User,
        &[
            "user",
            "userid",
            "customer",
            "customerid",
            "visitorid",
            "uid",
        ],
    ),
    (
        Role::Item,
        &[
            "item",
            "itemid",
            "movieid",
            "product",
            "productid",
            "sku",
            "articleid",
            "iid",
        ],
    ),
    (
        Role::Target,
        &[
            "target",
            "rating",
            "label",
            "stars",
            "clicked",
            "bought",
            "purchased",
        ],
    ),
    (
        Role::Time,
        &["time", "timestamp", "ts", "datetime", "eventtime"],
    ),
    (
        Role::Title,
        &["title", "name", "itemname", "productname", "producttitle"],
    ),
];

/// Whether a column of items' ids is usually called so.
pub(crate) fn is_usual_item(name: &str) -> bool {
    is_usual(Role::Item, name)
}

pub(crate) fn is_usual(role: Role, name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_lowercase();
    let mut of_roles = USUAL.iter();
    of_roles.any(|(of, usual)| *of == role && usual.contains(&plain.as_str()))
}
