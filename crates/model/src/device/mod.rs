//! The same model on a device of candle's.

mod forward;
mod loss;

use candle_core::{Device, Tensor, Var};

use crate::embedding_bag::RowGradients;
use crate::grouped::Grouped;
use crate::input::{finite, same};
use crate::{Dlrm, Inputs, Loss, ModalityInput, Objective, Result, Vectors};

/// A [`Dlrm`] whose parameters lie on a device: a GPU, by candle.
///
/// A step uploads ids, dense features and targets; tables, gradients and
/// vectors stay where they are. Gradients are candle's, of the rows that a batch
/// touches.
///
/// ```
/// use candle_core::Device;
/// use mmdlrm_model::{DeviceDlrm, Dlrm, DlrmConfig, Gradients, Inputs, Loss};
///
/// let model = Dlrm::new(DlrmConfig::default(), 42)?;
/// let on_device = DeviceDlrm::new(&model, &[], &Device::Cpu)?;
/// let batch = Inputs { dense: &[0.5, -0.5], tables: &[], modalities: &[] };
/// let found = on_device.gradients(&batch, &[1.0, 2.0], Loss::Mse)?;
///
/// let mut expected = Gradients::default();
/// let loss = model.gradients(&batch, &[1.0, 2.0], Loss::Mse, &mut expected)?;
/// assert!((f64::from(found.loss.to_scalar::<f32>()?) - loss).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeviceDlrm {
    /// Configuration and layout; its parameters are those of the beginning.
    model: Dlrm,
    device: Device,
    dense: Var,
    /// `[rows, dim]` each.
    tables: Vec<Tensor>,
    /// `[rows, width]` each, in the precision they came in.
    vectors: Vec<Tensor>,
}

/// What [`DeviceDlrm::gradients`] computed; all on the device.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeviceGradients {
    /// The mean loss, without penalties: a scalar that nobody has waited for.
    pub loss: Tensor,
    /// Of [`DeviceDlrm::dense`].
    pub dense: Tensor,
    /// Of each of [`DeviceDlrm::tables`]: the distinct rows touched, `[n]`
    /// (`u32`), and their gradients, `[n, dim]`.
    pub tables: Vec<(Tensor, Tensor)>,
}

/// The rows of a table that a batch touches, as leaves of its graph.
struct Touched {
    rows: Tensor,
    values: Var,
    /// For each id of the batch the place of its row.
    places: Tensor,
}

impl DeviceDlrm {
    /// Copies a model, and the vectors of its modalities, to `device`.
    ///
    /// # Errors
    /// Vectors that do not fit the configuration; a device that fails.
    pub fn new(model: &Dlrm, vectors: &[Vectors], device: &Device) -> Result<Self> {
        let modalities = &model.config.modalities;
        same("the list of modalities", vectors.len(), modalities.len())?;
        let dense = Tensor::new(model.parameters.dense.as_slice(), device)?;
        let tables = model.parameters.tables.iter().map(|table| {
            let shape = (table.rows(), table.dim);
            Ok(Tensor::from_slice(&table.values()?, shape, device)?)
        });
        let vectors = vectors.iter().zip(modalities).map(|(vectors, modality)| {
            let shape = (vectors.len() / modality.width, modality.width);
            let whole = shape.0 * shape.1;
            same(
                &format!("vectors of {}", modality.name),
                vectors.len(),
                whole,
            )?;
            Ok(match vectors {
                Vectors::F32(values) => Tensor::from_slice(values, shape, device)?,
                Vectors::F16(values) => Tensor::from_slice(values, shape, device)?,
            })
        });
        Ok(Self {
            dense: Var::from_tensor(&dense)?,
            tables: tables.collect::<Result<_>>()?,
            vectors: vectors.collect::<Result<_>>()?,
            model: model.clone(),
            device: device.clone(),
        })
    }

    /// Weights and biases, as [`Parameters::dense`](crate::Parameters::dense);
    /// for optimizers to set.
    pub fn dense(&self) -> &Var {
        &self.dense
    }

    /// The stored tables, `[rows, dim]` each; for optimizers to write to.
    pub fn tables(&self) -> &[Tensor] {
        &self.tables
    }

    /// Copies the parameters to a model of the same configuration.
    ///
    /// # Errors
    /// A model of another shape; a device that fails.
    pub fn copy_to(&self, model: &mut Dlrm) -> Result<()> {
        let parameters = &mut model.parameters;
        same("dense", parameters.dense.len(), self.dense.elem_count())?;
        same("tables", parameters.tables.len(), self.tables.len())?;
        for (table, values) in parameters.tables.iter_mut().zip(&self.tables) {
            table.set_values(&values.flatten_all()?.to_vec1::<f32>()?)?;
        }
        parameters.dense = self.dense.to_vec1()?;
        Ok(())
    }

    /// Computes the gradients of the mean loss over `batch`, with the penalties
    /// that the configuration asks for. The batch's modalities are read for
    /// their rows alone: the vectors are on the device. What dropout drops is
    /// drawn by the device.
    ///
    /// # Errors
    /// A batch that does not fit the configuration; a device that fails.
    pub fn gradients(
        &self,
        batch: &Inputs,
        targets: &[f32],
        loss: Loss,
    ) -> Result<DeviceGradients> {
        let config = &self.model.config;
        let samples = batch.check(config)?;
        same("targets", targets.len(), samples)?;
        finite("targets", targets, 1)?;
        loss.check(&config.output, targets)?;
        let touched: Vec<Touched> = (0..self.tables.len())
            .map(|table| self.touch(batch, table))
            .collect::<Result<_>>()?;
        let outputs = self.forward(batch, samples, &touched)?;
        let loss = loss.on_device(&outputs.last, targets, &config.output)?;
        let mut objective = loss.clone();
        if let Some(penalty) = outputs.penalty {
            objective = (objective + penalty)?;
        }
        let gradients = objective.backward()?;
        let of = |var: &Var| match gradients.get(var) {
            Some(gradient) => Ok(gradient.clone()),
            None => var.zeros_like(),
        };
        let tables = touched.iter().map(|touched| {
            // A batch without ids has no graph to its rows.
            Ok((touched.rows.clone(), of(&touched.values)?))
        });
        Ok(DeviceGradients {
            loss: loss.detach(),
            dense: of(&self.dense)?,
            tables: tables.collect::<Result<_>>()?,
        })
    }

    fn touch(&self, batch: &Inputs, table: usize) -> Result<Touched> {
        let shape = &self.model.layout.tables[table];
        let mut found = RowGradients::default();
        found.sort(&batch.tables[shape.lookup], shape);
        let rows = Tensor::new(found.rows(), &self.device)?;
        let values = self.tables[table].index_select(&rows, 0)?;
        let places = found.places();
        Ok(Touched {
            values: Var::from_tensor(&values)?,
            places: Tensor::new(places, &self.device)?,
            rows,
        })
    }

    /// The distinct vectors of a modality and for each sample the place of its
    /// own, the number of distinct ones where it has none.
    fn distinct(&self, input: &ModalityInput) -> Result<(Tensor, Tensor)> {
        let mut grouped = Grouped::default();
        let numbered = input.rows.iter().copied().zip(0..);
        grouped.sort(numbered.filter(|&(row, _)| row != ModalityInput::MISSING));
        let mut places = vec![grouped.rows.len() as u32; input.rows.len()];
        grouped.write_places(&mut places);
        Ok((
            Tensor::new(grouped.rows.as_slice(), &self.device)?,
            Tensor::new(places, &self.device)?,
        ))
    }
}
