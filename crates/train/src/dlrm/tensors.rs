//! A model's parameters by name, to a checkpoint and from it.

use mmdlrm_model::Parameters;

use crate::{Kept, Result, Tensors};

pub(super) fn parameter_tensors(parameters: &Parameters) -> Result<Tensors<'_>> {
    let mut tensors = Tensors::default();
    tensors.put("parameters.dense", &*parameters.dense);
    for table in &parameters.tables {
        tensors.put(table_name(&table.name), table.values()?);
    }
    Ok(tensors)
}

pub(super) fn load_parameters(kept: &Kept, parameters: &mut Parameters) -> Result<()> {
    kept.load("parameters.dense", &mut parameters.dense)?;
    for table in &mut parameters.tables {
        table.set_values(kept.get(&table_name(&table.name))?)?;
    }
    Ok(())
}

fn table_name(table: &str) -> String {
    format!("parameters.{table}")
}
