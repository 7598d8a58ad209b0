//! Parameters to and from safetensors.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{Dlrm, DlrmConfig, Error, Result};

/// Key of the file's metadata under which the configuration stands as JSON.
const CONFIG_KEY: &str = "mmdlrm_config";

impl Dlrm {
    /// The configuration and all parameters as a safetensors file, named as
    /// facebookresearch/dlrm names them: `bot_l.0.weight`, `emb_l.1.weight`,
    /// `top_l.2.bias`; a tower's are `tower.image.0.weight` and so on, those of
    /// bottom MLPs by side `bot_user_l.0.weight`. All are `f32`.
    ///
    /// # Errors
    /// Only where the configuration cannot be written as JSON.
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
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .named()
            .map(|(name, shape, values)| {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                (name, shape, bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// The inverse of [`Self::to_safetensors`].
    ///
    /// # Errors
    /// Bytes that are not a whole safetensors file, or not of such a model.
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
        let mut model = Self::new(config, 0)?;
        model.load_parameters(bytes)?;
        Ok(model)
    }

    /// Loads parameters into a model of the same shape, from any safetensors
    /// file with these names: a converted checkpoint of facebookresearch/dlrm
    /// among them.
    ///
    /// # Errors
    /// A tensor that is missing, left over, or of another shape or type, or
    /// settings that change what the parameters mean and differ from those in
    /// the file; all differences are listed, and nothing is loaded.
    pub fn load_parameters(&mut self, bytes: &[u8]) -> Result<()> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let entries = metadata.metadata().as_ref();
        let mut differences = match entries.and_then(|entries| entries.get(CONFIG_KEY)) {
            None => Vec::new(),
            Some(config) => self.config.differences(&serde_json::from_str(config)?),
        };
        let file = SafeTensors::deserialize(bytes)?;
        let mut stored = HashMap::new();
        for (name, tensor) in file.tensors() {
            if tensor.dtype() == Dtype::F32 {
                let data = Cow::Borrowed(tensor.data());
                let shape = tensor.shape().to_vec();
                stored.insert(name, Stored { shape, data });
            } else {
                differences.push(format!("'{name}' is {:?}, not F32", tensor.dtype()));
            }
        }
        self.load_stored(stored, differences)
    }

    /// Takes all parameters from `stored`, or none and lists the differences.
    pub(crate) fn load_stored(
        &mut self,
        mut stored: HashMap<String, Stored>,
        mut differences: Vec<String>,
    ) -> Result<()> {
        let mut loaded = Vec::new();
        for (name, shape, _) in self.named() {
            match stored.remove(&name) {
                None if differences.iter().any(|d| d.contains(&format!("'{name}'"))) => {}
                None => differences.push(format!("'{name}' is missing")),
                Some(tensor) if tensor.shape != shape => {
                    differences.push(format!("'{name}' is {:?}, not {shape:?}", tensor.shape));
                }
                Some(tensor) => loaded.push(tensor.data),
            }
        }
        let mut left_over: Vec<String> = stored
            .into_keys()
            .map(|name| format!("'{name}' is not a parameter of the model"))
            .collect();
        left_over.sort_unstable();
        differences.append(&mut left_over);
        if !differences.is_empty() {
            return Err(Error::Weights(differences.join("; ")));
        }
        let segments = self.segments();
        let (dense, tables) = loaded.split_at(segments.len());
        for (segment, data) in segments.iter().zip(dense) {
            read_le(data, &mut self.parameters.dense[segment.range()]);
        }
        for (table, data) in self.parameters.tables.iter_mut().zip(tables) {
            read_le(data, &mut table.values);
        }
        Ok(())
    }

    /// Name, shape and values of every parameter: the dense segments, then the
    /// tables.
    fn named(&self) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
        let dense = self.segments().into_iter().map(|segment| {
            let values = &self.parameters.dense[segment.range()];
            (segment.name, segment.shape, values)
        });
        let tables = self.layout.tables.iter().zip(&self.parameters.tables);
        dense.chain(tables.map(|(shape, table)| {
            let shape = match shape.is_weights {
                true => vec![shape.rows],
                false => vec![shape.rows, shape.dim],
            };
            (table.name.clone(), shape, table.values.as_slice())
        }))
    }
}

/// A tensor of a file of weights, `f32` in little-endian order.
pub(crate) struct Stored<'a> {
    pub shape: Vec<usize>,
    pub data: Cow<'a, [u8]>,
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
    for (x, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *x = f32::from_le_bytes(*bytes);
    }
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
