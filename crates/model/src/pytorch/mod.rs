//! Checkpoints of DLRMs in PyTorch: facebookresearch/dlrm's and TorchRec's.

mod describe;
mod read;
mod torchrec;

use std::path::Path;

use crate::{Dlrm, Interaction, Result};
use read::{Family, Parameters};

impl Dlrm {
    /// A model as the checkpoint describes it: what `torch.save` wrote of a DLRM of
    /// facebookresearch/dlrm (`dlrm_s_pytorch.py --save-model`) or of TorchRec
    /// (`torchrec.models.dlrm.DLRM`), a state dict alone, one among other things, or the whole
    /// module, in any of PyTorch's formats. Interaction is `dot` or `cat`, and a sigmoid stands
    /// at the end. Tables may be of mixed dimensions; TorchRec's keep their names, others are
    /// called by their number.
    ///
    /// What a checkpoint does not say has to be known: for quotient-remainder
    /// tables, make the model and call [`Self::load_pytorch`]. All tables are
    /// put on the item's side.
    ///
    /// # Errors
    /// A file that cannot be read, or is no such checkpoint: the error says what it holds.
    pub fn from_pytorch(path: impl AsRef<Path>) -> Result<Self> {
        let parameters = Parameters::read(path.as_ref())?;
        let model = parameters
            .describe()
            .and_then(|config| Self::of_stored(config, parameters.stored));
        model.map_err(|error| parameters.holds.add_to(error))
    }

    /// Loads the parameters of a checkpoint, as [`Self::from_pytorch`] reads it, into a model
    /// of the same shape. TorchRec's tables have to stand in the model's order.
    ///
    /// # Errors
    /// A file that cannot be read; a tensor that is missing, left over, or of
    /// another shape: all differences are listed, and nothing is loaded.
    pub fn load_pytorch(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let parameters = Parameters::read(path.as_ref())?;
        let mut differences = Vec::new();
        if parameters.family == Family::TorchRec {
            if self.config.interaction != (Interaction::Dot { itself: false }) {
                differences.push("interaction is dot without itself".to_owned());
            }
            let names = self.config.tables.iter().map(|table| &table.name);
            let is_known = |name| parameters.tables.contains(name);
            if names.clone().all(is_known) && !names.eq(&parameters.tables) {
                let order = parameters.tables.join(", ");
                differences.push(format!("its tables stand in the order {order}"));
            }
        }
        let loaded = self.load_stored(parameters.stored, differences);
        loaded.map_err(|error| parameters.holds.add_to(error))
    }
}
