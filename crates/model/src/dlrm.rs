use mmdlrm_kernels::InstructionSet;

use crate::layout::Layout;
use crate::parameters::{furthest, furthest_of};
use crate::{Compression, DlrmConfig, Error, Parameters, Result, Segment, Table};

/// The deep learning recommendation model (Naumov et al., 2019) with towers
/// for further modalities.
///
/// Dense features go through bottom MLPs, ids through embedding bags, and
/// vectors from encoders through towers; the resulting vectors interact, and a
/// top MLP makes a prediction of what they interact to.
///
/// ```
/// use mmdlrm_model::{
///     TableInput, Inputs, BottomConfig, Dlrm, DlrmConfig, Gradients, Loss, Side, TableConfig,
/// };
///
/// let config = DlrmConfig {
///     dim: 8,
///     bottoms: vec![BottomConfig::new(Side::User, 0..2, vec![8])],
///     tables: vec![TableConfig::new("user", 3, Side::User)],
///     ..DlrmConfig::default()
/// };
/// let model = Dlrm::new(config, 42)?;
/// let batch = Inputs {
///     dense: &[0.5, 1.0, -0.5, 2.0],
///     tables: &[TableInput::Single(&[0, 2])],
///     modalities: &[],
/// };
/// let mut predictions = Vec::new();
/// model.predict(&batch, &mut predictions)?;
/// assert_eq!(predictions.len(), 2);
///
/// let mut gradients = Gradients::default();
/// let loss = model.gradients(&batch, &[3.5, 4.0], Loss::Mse, &mut gradients)?;
/// assert!(loss > 0.0);
/// assert_eq!(gradients.tables[0].rows(), [0, 2]);
/// # Ok::<(), mmdlrm_model::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dlrm {
    pub(crate) config: DlrmConfig,
    pub(crate) layout: Layout,
    pub(crate) parameters: Parameters,
}

impl Dlrm {
    /// A model with parameters drawn by `seed`, as facebookresearch/dlrm draws
    /// them.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a setting that makes no
    /// sense.
    pub fn new(config: DlrmConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        InstructionSet::in_use()?;
        let layout = Layout::new(&config);
        let parameters = Parameters::draw(&config, &layout, seed)?;
        Ok(Self {
            config,
            layout,
            parameters,
        })
    }

    /// What the model looks like.
    pub fn config(&self) -> &DlrmConfig {
        &self.config
    }

    /// Everything it has learned.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// For optimizers. The lengths must stay as they are.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Names and places of the pieces of [`Parameters::dense`].
    pub fn segments(&self) -> Vec<Segment> {
        self.layout.segments(&self.config)
    }

    /// The model with `rows` rows in the table called `table`: the first of those it has,
    /// and zeros behind them. For users or items that it was not trained with.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no such table, or one that is compressed or has
    /// learned weights.
    pub fn with_rows(mut self, table: &str, rows: usize) -> Result<Self> {
        let (number, stored) = self.plain_table(table)?;
        self.config.tables[number].rows = rows;
        self.config.validate()?;
        self.layout = Layout::new(&self.config);
        let table = &mut self.parameters.tables[stored];
        let mut values = table.values()?.into_owned();
        values.resize(rows * table.dim, 0.0);
        *table = Table::new(table.name.clone(), table.dim, values);
        Ok(self)
    }

    /// Numbers of a table in the configuration and among those that are stored, where
    /// its rows are stored as they are.
    fn plain_table(&self, name: &str) -> Result<(usize, usize)> {
        let config_error = |rule: &str| Error::Setting {
            setting: "table".to_owned(),
            value: name.to_owned(),
            rule: rule.to_owned(),
        };
        let mut tables = self.config.tables.iter();
        let number = tables.position(|table| table.name == name);
        let number = number.ok_or_else(|| config_error("the model has no table of that name"))?;
        let lookup = &self.layout.lookups[number];
        let is_plain = lookup.is_plain()
            && lookup.tables.len() == 1
            && lookup.weights.is_none()
            && self.config.tables[number].compression == Compression::None;
        match is_plain {
            true => Ok((number, lookup.tables.start)),
            false => Err(config_error("its rows are not stored as they are")),
        }
    }

    /// Name and value of the parameter furthest from 0; NaN is further than any
    /// other. Whether a model is still sound shows here.
    ///
    /// # Errors
    /// A [store](crate::TableStore) that fails.
    pub fn extreme_parameter(&self) -> Result<(String, f32)> {
        let dense = self.segments().into_iter().map(|segment| {
            let value = furthest(&self.parameters.dense[segment.range()]);
            Ok((segment.name, value))
        });
        let tables = self.parameters.tables.iter();
        let tables = tables.map(|table| Ok((table.name.clone(), furthest(&table.values()?))));
        Ok(furthest_of(
            dense.chain(tables).collect::<Result<Vec<_>>>()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_furthest_from_zero_is_named() {
        let mut model = Dlrm::new(DlrmConfig::default(), 1).unwrap();
        model.parameters.dense[7] = -50.0;
        assert_eq!(
            model.extreme_parameter().unwrap(),
            ("bot_l.0.weight".to_owned(), -50.0)
        );
        *model.parameters.dense.last_mut().unwrap() = f32::NAN;
        let (name, value) = model.extreme_parameter().unwrap();
        assert_eq!(name, "top_l.2.bias");
        assert!(value.is_nan());
    }
}
