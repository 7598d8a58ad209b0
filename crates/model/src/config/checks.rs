//! One error for each value that makes no sense.

use std::collections::HashSet;

use super::{Combine, Compression, DlrmConfig, Interaction, ModalityConfig, TableConfig};
use crate::{Error, Result};

/// The longest list of parameters that a configuration may ask for, in
/// numbers: 2³⁵ numbers are 128 GiB.
const MOST_PARAMETERS: u128 = 1 << 35;
/// Ids are 32-bit, and so is their number, which ids are divided by where they share
/// rows.
const MOST_IDS: usize = u32::MAX as usize;

impl DlrmConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first value that makes no sense.
    pub fn validate(&self) -> Result<()> {
        at_least_one("dim", self.dim)?;
        self.check_bottoms()?;
        check_layers("top", &self.top)?;
        for (number, table) in self.tables.iter().enumerate() {
            table.check(self.dim).map_err(|(field, value, rule)| {
                bad(&format!("tables[{number}].{field}"), value, rule)
            })?;
        }
        for (number, modality) in self.modalities.iter().enumerate() {
            at_least_one(&format!("modalities[{number}].width"), modality.width)?;
            check_layers(&format!("modalities[{number}].tower"), &modality.tower)?;
        }
        self.check_names()?;
        if matches!(self.interaction, Interaction::Dot { .. }) {
            self.check_dot_widths()?;
        }
        self.check_numbers()?;
        self.check_size()
    }

    fn check_bottoms(&self) -> Result<()> {
        if self.bottoms.is_empty() {
            return Err(bad("bottoms", "empty", "a model needs dense features"));
        }
        let columns = self.dense_features();
        let mut taken = vec![false; columns];
        for (number, bottom) in self.bottoms.iter().enumerate() {
            let setting = |field: &str| format!("bottoms[{number}].{field}");
            if self.bottoms[..number].iter().any(|b| b.side == bottom.side) {
                let rule = "a side has at most one bottom MLP";
                return Err(bad(&setting("side"), bottom.side.name(), rule));
            }
            if bottom.columns.is_empty() {
                return Err(bad(
                    &setting("columns"),
                    "empty",
                    "a bottom MLP needs a column",
                ));
            }
            for &column in &bottom.columns {
                if taken.get(column) != Some(&false) {
                    let rule =
                        format!("the bottoms take each of columns 0 to {} once", columns - 1);
                    return Err(bad(&setting("columns"), column, rule));
                }
                taken[column] = true;
            }
            if bottom.layers.is_empty() {
                return Err(bad(
                    &setting("layers"),
                    "empty",
                    "a bottom MLP needs a layer",
                ));
            }
            check_layers(&setting("layers"), &bottom.layers)?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        let tables = self.tables.iter().map(|table| table.name.as_str());
        let modalities = self
            .modalities
            .iter()
            .map(|modality| modality.name.as_str());
        let mut names = HashSet::new();
        for name in tables.chain(modalities) {
            if name.is_empty() || !names.insert(name) {
                let rule = "tables and modalities need names of their own";
                return Err(bad("name", format!("'{name}'"), rule));
            }
        }
        Ok(())
    }

    /// A dot product needs vectors of one length.
    fn check_dot_widths(&self) -> Result<()> {
        let rule = |dim| format!("with dot interaction it must end at dim, {dim}");
        for (number, bottom) in self.bottoms.iter().enumerate() {
            if bottom.layers.last() != Some(&self.dim) {
                let setting = format!("bottoms[{number}].layers");
                return Err(bad(
                    &setting,
                    format!("{:?}", bottom.layers),
                    rule(self.dim),
                ));
            }
        }
        for (number, modality) in self.modalities.iter().enumerate() {
            if modality.output_width() != self.dim {
                let tower = format!("{:?} on vectors of {}", modality.tower, modality.width);
                let setting = format!("modalities[{number}].tower");
                return Err(bad(&setting, tower, rule(self.dim)));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        let Self {
            output,
            dropout,
            l2,
            embedding_norm,
            table_l2,
            ..
        } = *self;
        if !(output.scale.is_finite() && output.scale > 0.0) {
            return Err(bad("output.scale", output.scale, "it must be above 0"));
        }
        if !output.offset.is_finite() {
            return Err(bad(
                "output.offset",
                output.offset,
                "it must be a finite number",
            ));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(bad("dropout", dropout, "it must be at least 0 and below 1"));
        }
        let penalties = [
            ("l2", l2),
            ("embedding_norm", embedding_norm),
            ("table_l2", table_l2),
        ];
        for (setting, value) in penalties {
            if !(value.is_finite() && value >= 0.0) {
                return Err(bad(setting, value, "it must be 0 or more"));
            }
        }
        Ok(())
    }

    /// Refuses what no machine could hold, before anything is allocated. No number or
    /// place of the layout is beyond the number of parameters, so that it overflows
    /// nowhere either.
    fn check_size(&self) -> Result<()> {
        let bottoms = self.bottoms.iter().map(|bottom| {
            let columns = bottom.columns.len() as u128;
            layers(columns, &bottom.layers)
        });
        let tables = self.tables.iter().map(|table| table.parameters(self.dim));
        let towers = self.modalities.iter().map(ModalityConfig::parameters);
        let parts = bottoms.chain(tables).chain(towers);
        let total = parts.fold(self.top_parameters(), u128::saturating_add);
        check_parameters(total)
    }

    /// Parameters of the top MLP and the wide layer.
    fn top_parameters(&self) -> u128 {
        let last = |widths: &[usize]| widths.last().map_or(0, |&width| width as u128);
        let first: u128 = self.bottoms.iter().map(|b| last(&b.layers)).sum();
        let direct = if self.wide { self.dense_features() } else { 0 } as u128;
        let vectors = (self.bottoms.len() + self.tables.len() + self.modalities.len()) as u128;
        let read = direct
            + match self.interaction {
                Interaction::Dot { itself } => {
                    let others = if itself { vectors + 1 } else { vectors - 1 };
                    first + vectors * others / 2
                }
                Interaction::Cat => {
                    let modalities = self.modalities.iter().map(ModalityConfig::output_width);
                    let modalities: u128 = modalities.map(|width| width as u128).sum();
                    first + self.tables.len() as u128 * self.dim as u128 + modalities
                }
            };
        let mut widths = self.top.clone();
        widths.push(1);
        let wide = if self.wide { read } else { 0 };
        layers(read, &widths).saturating_add(wide)
    }
}

/// Refuses more parameters than [`MOST_PARAMETERS`].
pub(crate) fn check_parameters(total: u128) -> Result<()> {
    if total > MOST_PARAMETERS {
        let rule = "it must be 2^35 or less";
        return Err(bad("number of parameters", total, rule));
    }
    Ok(())
}

/// Parameters of layers of the given widths; as many as can be counted where there are
/// more.
fn layers(mut inputs: u128, widths: &[usize]) -> u128 {
    let mut total = 0u128;
    for &width in widths {
        let width = width as u128;
        total = total.saturating_add((inputs + 1).saturating_mul(width));
        inputs = width;
    }
    total
}

impl ModalityConfig {
    /// Parameters of the tower and of what stands for a missing vector.
    fn parameters(&self) -> u128 {
        let missing = self.output_width() as u128;
        layers(self.width as u128, &self.tower).saturating_add(missing)
    }
}

impl TableConfig {
    /// The field that makes no sense, its value and the rule.
    fn check(&self, dim: usize) -> std::result::Result<(), (&'static str, usize, String)> {
        let rule = |rule: &str| rule.to_owned();
        if self.rows == 0 || self.rows > MOST_IDS {
            return Err((
                "rows",
                self.rows,
                rule("ids are 32-bit: it must be from 1 to 2^32 - 1"),
            ));
        }
        let own = self.dim.unwrap_or(dim);
        if own == 0 || own > dim {
            return Err((
                "dim",
                own,
                format!("it must be from 1 to the model's dim, {dim}"),
            ));
        }
        match self.compression {
            Compression::None => {}
            Compression::Hashed { buckets } => {
                if buckets == 0 || buckets > self.rows {
                    let rule = format!("it must be from 1 to the number of ids, {}", self.rows);
                    return Err(("compression.buckets", buckets, rule));
                }
            }
            Compression::QuotientRemainder {
                collisions,
                combine,
            } => {
                if collisions < 2 || collisions > self.rows {
                    let rule = format!("it must be from 2 to the number of ids, {}", self.rows);
                    return Err(("compression.collisions", collisions, rule));
                }
                if combine == Combine::Cat && own % 2 == 1 {
                    return Err(("dim", own, rule("halves side by side need an even length")));
                }
            }
        }
        Ok(())
    }

    /// Parameters of what is stored, of the projection, and of the ids' weights.
    fn parameters(&self, dim: usize) -> u128 {
        let own = self.dim.unwrap_or(dim) as u128;
        let (rows, dim) = (self.rows as u128, dim as u128);
        let stored = match self.compression {
            Compression::None => rows,
            Compression::Hashed { buckets } => buckets as u128,
            Compression::QuotientRemainder { collisions, .. } => {
                rows.div_ceil(collisions as u128) + collisions as u128
            }
        };
        let projection = if own == dim { 0 } else { own * dim };
        let weights = if self.learned_weights { rows } else { 0 };
        // Ids are below 2³², own and dim below 2⁶⁴.
        (stored * own)
            .saturating_add(projection)
            .saturating_add(weights)
    }
}

fn check_layers(setting: &str, widths: &[usize]) -> Result<()> {
    widths
        .iter()
        .enumerate()
        .try_for_each(|(layer, &width)| at_least_one(&format!("{setting}[{layer}]"), width))
}

fn at_least_one(setting: &str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(bad(setting, value, "it must be 1 or more"));
    }
    Ok(())
}

fn bad(setting: &str, value: impl ToString, rule: impl Into<String>) -> Error {
    Error::Setting {
        setting: setting.to_owned(),
        value: value.to_string(),
        rule: rule.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BottomConfig, ModalityConfig, Side};

    fn table(change: impl FnOnce(&mut TableConfig)) -> Vec<TableConfig> {
        let mut table = TableConfig::new("user", 10, Side::User);
        change(&mut table);
        vec![table]
    }

    #[test]
    fn each_nonsense_value_is_named() {
        type Spoil = fn(&mut DlrmConfig);
        let cases: [(&str, Spoil); 31] = [
            ("dim", |c| c.dim = 0),
            ("bottoms", |c| c.bottoms.clear()),
            ("bottoms[0].columns", |c| c.bottoms[0].columns.clear()),
            ("bottoms[0].columns", |c| c.bottoms[0].columns = vec![0, 2]),
            ("bottoms[0].columns", |c| c.bottoms[0].columns = vec![0, 0]),
            ("bottoms[1].side", |c| {
                let again = BottomConfig::new(Side::Pair, 1..2, vec![64]);
                c.bottoms.push(again);
            }),
            ("bottoms[0].layers", |c| c.bottoms[0].layers.clear()),
            ("bottoms[0].layers[0]", |c| c.bottoms[0].layers[0] = 0),
            ("bottoms[0].layers", |c| c.bottoms[0].layers = vec![32]),
            ("top[0]", |c| c.top = vec![0]),
            ("tables[0].rows", |c| c.tables = table(|t| t.rows = 0)),
            ("tables[0].dim", |c| c.tables = table(|t| t.dim = Some(65))),
            ("tables[0].compression.buckets", |c| {
                c.tables = table(|t| t.compression = Compression::Hashed { buckets: 11 });
            }),
            ("tables[0].compression.collisions", |c| {
                let combine = Combine::Sum;
                let compression = Compression::QuotientRemainder {
                    collisions: 1,
                    combine,
                };
                c.tables = table(|t| t.compression = compression);
            }),
            ("tables[0].dim", |c| {
                let combine = Combine::Cat;
                let compression = Compression::QuotientRemainder {
                    collisions: 2,
                    combine,
                };
                c.tables = table(|t| (t.compression, t.dim) = (compression, Some(7)));
            }),
            ("name", |c| {
                c.tables = table(|_| {});
                c.tables.extend(table(|_| {}));
            }),
            ("modalities[0].width", |c| {
                c.modalities = vec![ModalityConfig::new("image", 0, vec![64])]
            }),
            ("modalities[0].tower", |c| {
                c.modalities = vec![ModalityConfig::new("image", 512, vec![])]
            }),
            ("output.scale", |c| c.output.scale = 0.0),
            ("output.offset", |c| c.output.offset = f32::NAN),
            ("dropout", |c| c.dropout = 1.0),
            ("l2", |c| c.l2 = -1.0),
            ("embedding_norm", |c| c.embedding_norm = f32::INFINITY),
            ("table_l2", |c| c.table_l2 = -0.1),
            ("number of parameters", |c| {
                c.tables = table(|t| t.rows = u32::MAX as usize)
            }),
            ("number of parameters", |c| c.top = vec![1 << 63]),
            ("number of parameters", |c| c.top = vec![1 << 32, 1 << 32]),
            ("number of parameters", |c| {
                (c.interaction, c.dim) = (Interaction::Cat, usize::MAX);
                c.tables = table(|t| t.dim = Some(1));
            }),
            ("number of parameters", |c| {
                c.interaction = Interaction::Cat;
                c.modalities = vec![ModalityConfig::new("image", usize::MAX, Vec::new())];
            }),
            ("tables[0].rows", |c| {
                c.tables = table(|t| {
                    t.rows = 1 << 32;
                    t.compression = Compression::Hashed { buckets: 1 << 32 };
                });
            }),
            ("tables[0].rows", |c| {
                let combine = Combine::Sum;
                c.tables = table(|t| {
                    t.rows = 1 << 33;
                    t.compression = Compression::QuotientRemainder {
                        collisions: 1 << 32,
                        combine,
                    };
                });
            }),
        ];
        assert!(DlrmConfig::default().validate().is_ok());
        for (name, spoil) in cases {
            let mut config = DlrmConfig::default();
            spoil(&mut config);
            match config.validate() {
                Err(Error::Setting { setting, .. }) => assert_eq!(setting, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
