//! Which of the two sides of a rating.

use serde::{Deserialize, Serialize};

/// Whose neighbours a model looks at.
///
/// ```
/// use mmdlrm_baselines::Side;
///
/// assert_eq!(serde_json::to_string(&Side::Items)?, "\"items\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Those of the items that a user rated.
    #[default]
    Items,
    /// Those of the user.
    Users,
}
