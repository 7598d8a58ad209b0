use serde::{Deserialize, Serialize};

use super::Side;

/// One embedding table, `[rows, dim]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// Name, for messages and for whoever fills the bags.
    pub name: String,
    /// Number of ids, which run from 0.
    pub rows: usize,
    /// Whom the bag describes.
    pub side: Side,
    /// How the vectors of a bag become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Length of the table's own vectors, with a linear projection to
    /// [`DlrmConfig::dim`](crate::DlrmConfig::dim) behind the pooling (mixed
    /// dimensions: Ginart et al., 2019); `None` for that length itself.
    #[serde(default)]
    pub dim: Option<usize>,
    /// How ids share rows.
    #[serde(default)]
    pub compression: Compression,
    /// Whether each id has a learned weight, 1 at first, that its vector is
    /// multiplied by before pooling.
    #[serde(default)]
    pub learned_weights: bool,
}

impl TableConfig {
    /// A plain table whose bags are summed.
    pub fn new(name: &str, rows: usize, side: Side) -> Self {
        Self {
            name: name.to_owned(),
            rows,
            side,
            pooling: Pooling::Sum,
            dim: None,
            compression: Compression::None,
            learned_weights: false,
        }
    }
}

/// How the vectors of a bag become one. An empty bag gives zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their sum, each times its weight where the bag has
    /// [weights](crate::TableInput::Weighted).
    #[default]
    Sum,
    /// Their mean; bags with weights cannot have it.
    Mean,
    /// Their sum, with weights where there are any, by the square root of their
    /// number: long bags count for more, but not in proportion (Koren, 2008).
    SqrtN,
}

impl Pooling {
    /// What a sum over `ids` ids is multiplied by.
    #[inline]
    pub(crate) fn share(self, ids: usize) -> f32 {
        match self {
            Self::Sum => 1.0,
            Self::Mean => 1.0 / ids.max(1) as f32,
            Self::SqrtN => 1.0 / (ids.max(1) as f32).sqrt(),
        }
    }
}

/// How ids share rows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Each id has a row of its own.
    #[default]
    None,
    /// Id `i` has row `i mod buckets`, as facebookresearch/dlrm's
    /// `--max-ind-range`.
    Hashed {
        /// Rows of the table.
        buckets: usize,
    },
    /// Id `i` has row `i / collisions` of one table and row `i mod collisions`
    /// of another (Shi et al., 2020). Both are pooled over the bag, then
    /// combined.
    QuotientRemainder {
        /// Ids that share a row of the first table.
        collisions: usize,
        /// How the two become one.
        combine: Combine,
    },
}

/// How the pooled vectors of quotient and remainder become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// Their elementwise product.
    #[default]
    Product,
    /// Their sum.
    Sum,
    /// Side by side, each half as long.
    Cat,
}

/// Dimensions for tables of the given numbers of rows, by the power rule of
/// mixed dimensions (Ginart et al., 2019): the smallest table has `dim`, others
/// `dim · (rows / smallest)^−temperature`, rounded, 1 at least; with
/// `power_of_two` to the nearest power of two.
///
/// ```
/// assert_eq!(mmdlrm_model::mixed_dims(&[100, 10_000, 1_000_000], 64, 0.3, true), [64, 16, 4]);
/// ```
pub fn mixed_dims(rows: &[usize], dim: usize, temperature: f64, power_of_two: bool) -> Vec<usize> {
    let smallest = rows.iter().copied().min().unwrap_or(1).max(1) as f64;
    let of = |&rows: &usize| {
        let exact = (dim as f64 * (rows as f64 / smallest).powf(-temperature)).max(1.0);
        let rounded = exact.round();
        if power_of_two {
            rounded.log2().round().exp2() as usize
        } else {
            rounded as usize
        }
    };
    rows.iter().map(of).collect()
}
