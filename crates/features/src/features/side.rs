//! What tables say of users and items, as columns of batches.

use std::sync::Arc;

use mmdlrm_data::{Bags, Category, Column, Error, Measure, Rated, Result, Side, Traits, Users};

use super::Features;

/// Traits of users or of items, by dense row, or of ratings. Of rows behind the last nothing is
/// known: those of somebody new, and of what nobody did yet.
#[derive(Clone, Default)]
pub(super) struct SideColumns {
    pub traits: Arc<Traits>,
    /// Mean and inverse deviation of each measure.
    pub scales: Arc<Vec<(f64, f64)>>,
    /// Measures with mean 0 and deviation 1, 0 where they are not known: `[rows, measures]`.
    dense: Arc<Vec<f32>>,
}

impl SideColumns {
    /// Standardizes the measures over all rows, of which nothing depends on any target.
    pub fn new(traits: Traits) -> Self {
        let scales = traits
            .measures
            .iter()
            .map(|measure| scale_of(&measure.values));
        let scales = scales.collect();
        Self::scaled(traits, scales)
    }

    fn scaled(traits: Traits, scales: Vec<(f64, f64)>) -> Self {
        let width = traits.measures.len();
        let rows = traits.measures.first().map_or(0, |it| it.values.len());
        let mut dense = vec![0.0; rows * width];
        for (place, (measure, (mean, inverse))) in traits.measures.iter().zip(&scales).enumerate() {
            for (row, &value) in measure.values.iter().enumerate() {
                if !value.is_nan() {
                    dense[row * width + place] = ((f64::from(value) - mean) * inverse) as f32;
                }
            }
        }
        Self {
            traits: Arc::new(traits),
            scales: Arc::new(scales),
            dense: Arc::new(dense),
        }
    }

    /// The columns without any row, as a file keeps them.
    pub fn of_columns(categories: Vec<Category>, measures: Vec<(String, (f64, f64))>) -> Self {
        let (names, scales): (Vec<String>, Vec<(f64, f64)>) = measures.into_iter().unzip();
        let measures = names.into_iter().map(|name| Measure {
            name,
            values: Vec::new(),
        });
        let traits = Traits {
            categories,
            measures: measures.collect(),
        };
        Self::scaled(traits, scales)
    }

    /// The same columns, values and scales with other rows, whose columns are found by their names.
    /// Values that these columns lack are left out.
    ///
    /// # Errors
    /// Rows without one of the columns.
    pub fn with_rows(&self, rows: &Traits) -> Result<Self> {
        let missing = |name: &str| {
            let rule =
                "the model was trained with this column of the interactions, and they lack it";
            Error::setting("column", name, rule)
        };
        let categories = self.traits.categories.iter().map(|own| {
            let mut others = rows.categories.iter();
            let other = others.find(|it| it.name == own.name);
            let other = other.ok_or_else(|| missing(&own.name))?;
            let place = |value: &u32| {
                own.values
                    .binary_search(&other.values[*value as usize])
                    .ok()
            };
            let mut bags = Bags::from_pairs(0, []);
            for row in 0..other.bags.len() as u32 {
                let known = other.bags.row(row).iter().filter_map(place);
                bags.push(&known.map(|it| it as u32).collect::<Vec<u32>>());
            }
            Ok(Category {
                name: own.name.clone(),
                values: own.values.clone(),
                bags,
            })
        });
        let measures = self.traits.measures.iter().map(|own| {
            let mut others = rows.measures.iter();
            let other = others.find(|it| it.name == own.name);
            other.cloned().ok_or_else(|| missing(&own.name))
        });
        let traits = Traits {
            categories: categories.collect::<Result<_>>()?,
            measures: measures.collect::<Result<_>>()?,
        };
        Ok(Self::scaled(traits, self.scales.to_vec()))
    }

    /// The same columns of somebody of whom nothing is known.
    pub fn of_nobody(&self) -> Self {
        let categories = self.traits.categories.iter().map(|category| Category {
            bags: Bags::from_pairs(0, []),
            ..category.clone()
        });
        Self {
            traits: Arc::new(Traits {
                categories: categories.collect(),
                measures: self.traits.measures.clone(),
            }),
            scales: Arc::clone(&self.scales),
            dense: Arc::default(),
        }
    }

    /// Number of measures.
    pub fn width(&self) -> usize {
        self.traits.measures.len()
    }

    fn dense_of(&self, row: u32) -> Option<&[f32]> {
        let start = row as usize * self.width();
        self.dense.get(start..start + self.width())
    }

    fn bags_of(&self, place: usize, rows: impl Iterator<Item = u32>) -> Column {
        let bags = &self.traits.categories[place].bags;
        let (mut offsets, mut ids) = (vec![0], Vec::new());
        for row in rows {
            if (row as usize) < bags.len() {
                ids.extend_from_slice(bags.row(row));
            }
            offsets.push(ids.len() as u32);
        }
        Column::Bags { offsets, ids }
    }
}

impl Features {
    /// What tables say of users and of items: values that are told apart, each with the name of its
    /// column in batches, `user_town` or `item_brand`. Of MovieLens, nothing.
    pub fn categories(&self) -> impl Iterator<Item = (String, Side, &Category)> {
        self.sides()
            .into_iter()
            .flat_map(|(prefix, side, columns)| {
                let categories = columns.traits.categories.iter();
                categories.map(move |it| (format!("{prefix}_{}", it.name), side, it))
            })
    }

    /// Where the numbers that tables say of users, and of items, stand among the dense features.
    pub fn measures(&self, side: Side) -> std::ops::Range<usize> {
        let end = self.dense_names().len();
        let of_pairs = end - self.pair_columns.width();
        let of_users = of_pairs - self.user_columns.width();
        let of_items = of_users - self.item_columns.width();
        match side {
            Side::Item => of_items..of_users,
            Side::User => of_users..of_pairs,
            Side::Pair => of_pairs..end,
        }
    }

    /// With what is known of the users.
    ///
    /// # Errors
    /// A column with the name of another.
    pub fn with_users(mut self, users: &Users) -> Result<Self> {
        self.user_columns = SideColumns::new(users.traits(&self.users));
        self.renew_schema()?;
        Ok(self)
    }

    /// With what is known of single ratings, in the order of these: of any but those, nothing is.
    /// Features that know such columns keep their values and scales.
    ///
    /// # Errors
    /// A column with the name of another; one that is known and not there.
    pub fn with_pairs(mut self, pairs: &Traits) -> Result<Self> {
        self.pair_columns = match self.pair_columns.traits.is_empty() {
            true => SideColumns::new(pairs.clone()),
            false => self.pair_columns.with_rows(pairs)?,
        };
        self.renew_schema()?;
        Ok(self)
    }

    /// Whether anything is known of single ratings.
    pub(crate) fn knows_pairs(&self) -> bool {
        !self.pair_columns.traits.is_empty()
    }

    /// Items first, as among the dense features.
    fn sides(&self) -> [(&'static str, Side, &SideColumns); 3] {
        [
            ("item", Side::Item, &self.item_columns),
            ("user", Side::User, &self.user_columns),
            ("pair", Side::Pair, &self.pair_columns),
        ]
    }

    /// Whether batches have columns that tables say, of users or pairs.
    pub(super) fn has_sides(&self) -> bool {
        let sides = self.sides().into_iter();
        sides
            .clone()
            .any(|(_, side, columns)| side != Side::Item && !columns.traits.is_empty())
            || self.widths().iter().sum::<usize>() > 0
    }

    fn widths(&self) -> [usize; 3] {
        self.sides().map(|(_, _, columns)| columns.width())
    }

    /// Names of the measures, as they stand behind the other dense features.
    pub(super) fn measure_names(&self) -> Vec<String> {
        let names = self.sides().into_iter().flat_map(|(prefix, _, columns)| {
            let measures = columns.traits.measures.iter();
            measures.map(move |it| format!("{prefix}_{}", it.name))
        });
        names.collect()
    }

    /// `places` say which of the known ratings each row is; none of an empty list is any.
    pub(super) fn categories_of(&self, rows: &[Rated], places: &[u32]) -> Vec<Column> {
        let sides = self.sides().into_iter();
        let columns = sides.flat_map(|(_, side, columns)| {
            let categories = 0..columns.traits.categories.len();
            categories.map(move |at| columns.bags_of(at, rows_of(side, rows, places)))
        });
        columns.collect()
    }

    /// The dense features with the measures behind them.
    pub(super) fn with_measures(&self, rows: &[Rated], places: &[u32], dense: Column) -> Column {
        let more: usize = self.widths().iter().sum();
        let (Column::Dense { width, values }, 1..) = (&dense, more) else {
            return dense;
        };
        let all = width + more;
        let mut wider = vec![0.0; rows.len() * all];
        for (known, out) in values.chunks_exact(*width).zip(wider.chunks_exact_mut(all)) {
            out[..*width].copy_from_slice(known);
        }
        let mut start = *width;
        for (_, side, columns) in self.sides() {
            let end = start + columns.width();
            for (row, out) in rows_of(side, rows, places).zip(wider.chunks_exact_mut(all)) {
                if let Some(known) = columns.dense_of(row) {
                    out[start..end].copy_from_slice(known);
                }
            }
            start = end;
        }
        Column::Dense {
            width: all,
            values: wider,
        }
    }
}

/// The row of a side that each row of a batch is of.
fn rows_of<'a>(side: Side, rows: &'a [Rated], places: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    rows.iter().enumerate().map(move |(at, row)| match side {
        Side::Item => row.movie,
        Side::User => row.user,
        Side::Pair => places.get(at).copied().unwrap_or(u32::MAX),
    })
}

/// Mean and inverse deviation of the numbers that are known.
fn scale_of(values: &[f32]) -> (f64, f64) {
    let known = || {
        values
            .iter()
            .filter(|it| !it.is_nan())
            .map(|&it| f64::from(it))
    };
    let count = known().count().max(1) as f64;
    let mean = known().sum::<f64>() / count;
    let variance = known().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
    match variance > 0.0 {
        true => (mean, variance.sqrt().recip()),
        false => (mean, 0.0),
    }
}
