//! One error for each value that makes no sense.

use super::{Combine, Compression, DlrmConfig, Interaction, TableConfig};
use crate::{Error, Result};

/// The longest list of parameters that a configuration may ask for, in
/// numbers: 2³⁵ numbers are 128 GiB.
const MOST_PARAMETERS: usize = 1 << 35;
/// Ids are 32-bit.
const MOST_IDS: usize = 1 << 32;

impl DlrmConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Config`] for the first value that makes no sense.
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
        let names: Vec<&str> = tables.chain(modalities).collect();
        for (number, name) in names.iter().enumerate() {
            if name.is_empty() || names[..number].contains(name) {
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

    /// Refuses what no machine could hold, before anything is allocated.
    fn check_size(&self) -> Result<()> {
        let bottoms = self
            .bottoms
            .iter()
            .map(|b| (b.columns.len(), b.layers.as_slice()));
        let towers = self
            .modalities
            .iter()
            .map(|m| (m.width, m.tower.as_slice()));
        let mut total = 0usize;
        let mut add = |rows: usize, columns: usize| {
            total = total.saturating_add(rows.saturating_mul(columns));
        };
        for (mut input, widths) in bottoms.chain(towers) {
            for &width in widths {
                add(input, width);
                input = width;
            }
        }
        for table in &self.tables {
            add(table.stored_rows(), table.dim.unwrap_or(self.dim));
        }
        if total > MOST_PARAMETERS {
            return Err(bad(
                "number of parameters",
                total,
                "it must stay below 2^35",
            ));
        }
        Ok(())
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
                rule("ids are 32-bit: it must be from 1 to 2^32"),
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

    /// Rows that are stored in all.
    fn stored_rows(&self) -> usize {
        match self.compression {
            Compression::None => self.rows,
            Compression::Hashed { buckets } => buckets,
            Compression::QuotientRemainder { collisions, .. } => {
                self.rows.div_ceil(collisions).saturating_add(collisions)
            }
        }
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
    Error::Config {
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
        let cases: [(&str, Spoil); 25] = [
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
        ];
        assert!(DlrmConfig::default().validate().is_ok());
        for (name, spoil) in cases {
            let mut config = DlrmConfig::default();
            spoil(&mut config);
            match config.validate() {
                Err(Error::Config { setting, .. }) => assert_eq!(setting, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
