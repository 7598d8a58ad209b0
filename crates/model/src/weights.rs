//! Parameters to and from safetensors.

use std::borrow::Cow;
use std::collections::HashMap;

use mmdlrm_kernels::InstructionSet;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::layout::Layout;
use crate::{Dlrm, DlrmConfig, Error, Parameters, Result, Table};

/// Key of the file's metadata under which the configuration stands as JSON.
const CONFIG_KEY: &str = "mmdlrm_config";

impl Dlrm {
    /// The configuration and all parameters as a safetensors file, named as
    /// facebookresearch/dlrm names them: `bot_l.0.weight`, `emb_l.1.weight`,
    /// `top_l.2.bias`; a tower's are `tower.image.0.weight` and so on, those of
    /// bottom MLPs by side `bot_user_l.0.weight`. All are `f32`.
    ///
    /// # Errors
    /// A configuration that cannot be written as JSON, or a [store](crate::TableStore) that
    /// fails.
    ///
    /// ```
    /// use mmdlrm_model::{Dlrm, DlrmConfig};
    ///
    /// let model = Dlrm::new(DlrmConfig::default(), 42)?;
    /// let loaded = Dlrm::from_safetensors(&model.to_safetensors()?)?;
    /// assert_eq!(model.parameters(), loaded.parameters());
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let config = serde_json::to_string(&self.config)?;
        let shapes = self.layout.shapes(&self.config).into_iter();
        let bytes = shapes.zip(self.values()).map(|((name, shape), values)| {
            let bytes = values?.iter().flat_map(|x| x.to_le_bytes()).collect();
            Ok((name, shape, bytes))
        });
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = bytes.collect::<Result<_>>()?;
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// The inverse of [`Self::to_safetensors`]. What is allocated is no more than the
    /// file holds.
    ///
    /// # Errors
    /// Bytes that are not a whole safetensors file, or not of such a model; parameters
    /// that are infinite or NaN.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let config = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(CONFIG_KEY))
            .ok_or_else(|| {
                Error::Weights(format!(
                    "the file has no '{CONFIG_KEY}' entry; it was not written by this library"
                ))
            })?;
        let config: DlrmConfig = serde_json::from_str(config)?;
        Self::of_stored(config, stored(bytes)?)
    }

    /// Loads parameters into a model of the same shape, from any safetensors
    /// file with these names: a converted checkpoint of facebookresearch/dlrm
    /// among them.
    ///
    /// # Errors
    /// A tensor that is missing, left over, of another shape or type, or with numbers
    /// that are infinite or NaN, or settings that change what the parameters mean and
    /// differ from those in the file; all differences are listed, and nothing is
    /// loaded. After a [store](crate::TableStore) that fails, the tables before it are.
    pub fn load_parameters(&mut self, bytes: &[u8]) -> Result<()> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let entries = metadata.metadata().as_ref();
        let differences = match entries.and_then(|entries| entries.get(CONFIG_KEY)) {
            None => Vec::new(),
            Some(config) => self.config.differences(&serde_json::from_str(config)?),
        };
        self.load_stored(stored(bytes)?, differences)
    }

    /// The model that a configuration and its parameters make.
    pub(crate) fn of_stored(config: DlrmConfig, stored: HashMap<String, Stored>) -> Result<Self> {
        config.validate()?;
        InstructionSet::in_use()?;
        let layout = Layout::new(&config);
        // Before anything is allocated, since it is no larger than what is stored then.
        let tensors = layout.check_stored(&config, stored, Vec::new())?;
        let mut model = Self {
            parameters: Parameters::zeros(&layout),
            layout,
            config,
        };
        model.read_stored(&tensors)?;
        Ok(model)
    }

    /// Takes all parameters from `stored`, or none and lists the differences.
    pub(crate) fn load_stored(
        &mut self,
        stored: HashMap<String, Stored>,
        differences: Vec<String>,
    ) -> Result<()> {
        let tensors = self
            .layout
            .check_stored(&self.config, stored, differences)?;
        self.read_stored(&tensors)
    }

    /// Reads tensors that were checked, in their order.
    fn read_stored(&mut self, tensors: &[Cow<[u8]>]) -> Result<()> {
        let segments = self.segments();
        let (dense, tables) = tensors.split_at(segments.len());
        for (table, data) in self.parameters.tables.iter_mut().zip(tables) {
            match table.store_mut().as_mut_slice() {
                Some(values) => read_le(data, values),
                None => table.set_values(&numbers(data).collect::<Vec<f32>>())?,
            }
        }
        for (segment, data) in segments.iter().zip(dense) {
            read_le(data, &mut self.parameters.dense[segment.range()]);
        }
        Ok(())
    }

    /// The numbers of every parameter: the dense segments, then the tables.
    fn values(&self) -> impl Iterator<Item = Result<Cow<'_, [f32]>>> {
        let dense = self.segments().into_iter();
        let dense = dense.map(|it| Ok(Cow::Borrowed(&self.parameters.dense[it.range()])));
        dense.chain(self.parameters.tables.iter().map(Table::values))
    }
}

impl Layout {
    /// Name and shape of every parameter: the dense segments, then the tables.
    fn shapes(&self, config: &DlrmConfig) -> Vec<(String, Vec<usize>)> {
        let dense = self.segments(config).into_iter();
        let dense = dense.map(|segment| (segment.name, segment.shape));
        let tables = self.tables.iter().map(|table| {
            let shape = match table.is_weights {
                true => vec![table.rows],
                false => vec![table.rows, table.dim],
            };
            (table.name.clone(), shape)
        });
        dense.chain(tables).collect()
    }

    /// The numbers of every parameter, in the order of [`Self::shapes`], where `stored`
    /// has them all, nothing else, and there are no `differences` before.
    fn check_stored<'a>(
        &self,
        config: &DlrmConfig,
        mut stored: HashMap<String, Stored<'a>>,
        mut differences: Vec<String>,
    ) -> Result<Vec<Cow<'a, [u8]>>> {
        let mut tensors = Vec::new();
        for (name, shape) in self.shapes(config) {
            let Some(tensor) = stored.remove(&name) else {
                differences.push(format!("'{name}' is missing"));
                continue;
            };
            match tensor.difference(&shape) {
                Some(difference) => differences.push(format!("'{name}' {difference}")),
                None => tensors.push(tensor.data),
            }
        }
        let mut left_over: Vec<String> = stored
            .into_keys()
            .map(|name| format!("'{name}' is not a parameter of the model"))
            .collect();
        left_over.sort_unstable();
        differences.append(&mut left_over);
        match differences.is_empty() {
            true => Ok(tensors),
            false => Err(Error::Weights(differences.join("; "))),
        }
    }
}

/// A tensor of a file of weights, in little-endian order.
pub(crate) struct Stored<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Cow<'a, [u8]>,
}

/// The tensors of a safetensors file.
fn stored(bytes: &[u8]) -> Result<HashMap<String, Stored<'_>>> {
    let file = SafeTensors::deserialize(bytes)?;
    let tensors = file.iter().map(|(name, tensor)| {
        let stored = Stored {
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            data: Cow::Borrowed(tensor.data()),
        };
        (name.to_owned(), stored)
    });
    Ok(tensors.collect())
}

impl Stored<'_> {
    /// Why these are not the numbers of a parameter of the given shape.
    fn difference(&self, shape: &[usize]) -> Option<String> {
        if self.dtype != Dtype::F32 {
            return Some(format!("is {:?}, not F32", self.dtype));
        }
        if self.shape != shape {
            return Some(format!("is {:?}, not {shape:?}", self.shape));
        }
        let mut numbers = numbers(&self.data);
        let place = numbers.position(|x| !x.is_finite())?;
        Some(format!("has a number at {place} that is infinite or NaN"))
    }
}

/// Numbers in little-endian order.
pub(crate) fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|bytes| f32::from_le_bytes(*bytes))
}

impl DlrmConfig {
    /// Settings that change what parameters of the same shapes mean and differ
    /// from another configuration's.
    fn differences(&self, of_file: &Self) -> Vec<String> {
        let settings = |config: &Self| -> Vec<(String, String)> {
            let mut list = vec![
                (
                    "interaction".to_owned(),
                    format!("{:?}", config.interaction),
                ),
                (
                    "top_activation".to_owned(),
                    format!("{:?}", config.top_activation),
                ),
                ("output".to_owned(), format!("{:?}", config.output)),
            ];
            for (number, bottom) in config.bottoms.iter().enumerate() {
                let what = format!("{:?} of the {}", bottom.columns, bottom.side.name());
                list.push((format!("bottoms[{number}].columns"), what));
            }
            for (number, table) in config.tables.iter().enumerate() {
                let what = format!(
                    "{} ({} ids, {:?}, {:?})",
                    table.name, table.rows, table.pooling, table.compression
                );
                list.push((format!("tables[{number}]"), what));
            }
            for (number, modality) in config.modalities.iter().enumerate() {
                list.push((format!("modalities[{number}]"), modality.name.clone()));
            }
            list
        };
        let (own, others) = (settings(self), settings(of_file));
        own.iter()
            .filter_map(|(setting, value)| {
                let (_, other) = others.iter().find(|(other, _)| other == setting)?;
                (other != value).then(|| format!("{setting} is {other}, not {value}"))
            })
            .collect()
    }
}

fn read_le(bytes: &[u8], out: &mut [f32]) {
    out.iter_mut().zip(numbers(bytes)).for_each(|(x, y)| *x = y);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Side, TableConfig};

    fn model(rows: usize) -> Dlrm {
        let tables = vec![TableConfig::new("user", rows, Side::User)];
        Dlrm::new(
            DlrmConfig {
                tables,
                ..DlrmConfig::default()
            },
            1,
        )
        .unwrap()
    }

    #[test]
    fn a_file_of_another_model_is_refused_with_every_difference() {
        let bytes = model(5).to_safetensors().unwrap();
        let error = model(6).load_parameters(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("'emb_l.0.weight' is [5, 64], not [6, 64]"),
            "{error}"
        );
    }

    #[test]
    fn settings_that_differ_are_listed_though_the_shapes_are_the_same() {
        let bytes = model(5).to_safetensors().unwrap();
        let mut other = model(5);
        other.config.output.offset = 3.5;
        other.config.tables[0].name = "movie".to_owned();
        let before = other.parameters.clone();
        let error = other.load_parameters(&bytes).unwrap_err().to_string();
        assert!(error.contains("output is"), "{error}");
        assert!(error.contains("tables[0] is user"), "{error}");
        assert_eq!(other.parameters, before);
    }

    #[test]
    fn a_file_cut_short_is_refused() {
        let bytes = model(5).to_safetensors().unwrap();
        for length in [0, 7, 100, bytes.len() - 1] {
            assert!(
                Dlrm::from_safetensors(&bytes[..length]).is_err(),
                "{length}"
            );
        }
    }
}
