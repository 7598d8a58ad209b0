//! Which model has parameters of the names and shapes in a file.

use crate::config::BottomConfig;
use crate::pytorch::read::{Family, Parameters};
use crate::{DlrmConfig, Error, Interaction, Output, OutputActivation, Result, Side, TableConfig};

impl Parameters {
    /// The configuration that has these parameters.
    pub fn describe(&self) -> Result<DlrmConfig> {
        let (bottom, mut top) = (self.layers("bot_l"), self.layers("top_l"));
        let (&(_, features), &(dim, _)) = bottom
            .first()
            .zip(bottom.last())
            .ok_or_else(|| self.no_matrix("bot_l.0.weight"))?;
        let first_top = top
            .first()
            .ok_or_else(|| self.no_matrix("top_l.0.weight"))?;
        let (_, interacted) = *first_top;
        top.pop();
        let tables = self.table_configs()?;
        let interaction = self.interaction(1 + tables.len(), dim, interacted)?;
        let widths = |layers: Vec<(usize, usize)>| layers.into_iter().map(|(width, _)| width);
        Ok(DlrmConfig {
            dim,
            bottoms: vec![BottomConfig::new(
                Side::Pair,
                0..features,
                widths(bottom).collect::<Vec<_>>(),
            )],
            tables,
            interaction,
            top: widths(top).collect(),
            output: Output {
                activation: OutputActivation::Sigmoid,
                ..Output::default()
            },
            ..DlrmConfig::default()
        })
    }

    /// Rows and columns of a matrix.
    fn matrix(&self, name: &str) -> Option<(usize, usize)> {
        match *self.stored.get(name)?.shape {
            [rows, columns] => Some((rows, columns)),
            _ => None,
        }
    }

    fn layers(&self, prefix: &str) -> Vec<(usize, usize)> {
        let layers =
            (0..).map_while(|layer| self.matrix(&format!("{prefix}.{}.weight", 2 * layer)));
        layers.collect()
    }

    fn table_configs(&self) -> Result<Vec<TableConfig>> {
        let mut configs = Vec::new();
        for number in 0.. {
            let quotient = format!("emb_l.{number}.weight_q");
            if self.stored.contains_key(&quotient) {
                return Err(Error::Weights(format!(
                    "'{quotient}' is of a quotient-remainder table, whose number of rows the file does not say: make the model and call load_pytorch"
                )));
            }
            let whole = self.matrix(&format!("emb_l.{number}.weight"));
            let projected = self.matrix(&format!("emb_l.{number}.embs.weight"));
            let Some((rows, dim)) = whole.or(projected) else {
                break;
            };
            let name = match self.tables.get(number) {
                Some(name) => name.clone(),
                None => number.to_string(),
            };
            configs.push(TableConfig {
                dim: whole.is_none().then_some(dim),
                learned_weights: self.stored.contains_key(&format!("v_W_l.{number}")),
                ..TableConfig::new(&name, rows, Side::Item)
            });
        }
        Ok(configs)
    }

    /// The interaction of `vectors` vectors that gives as many numbers as the top MLP takes.
    fn interaction(&self, vectors: usize, dim: usize, interacted: usize) -> Result<Interaction> {
        let dot = Interaction::Dot { itself: false };
        let others = [Interaction::Dot { itself: true }, Interaction::Cat];
        let known: &[Interaction] = match self.family {
            Family::TorchRec => &[],
            Family::Facebook => &others,
        };
        let mut known = std::iter::once(&dot).chain(known);
        let fits = known.find(|it| it.width(vectors, dim, vectors * dim) == interacted);
        fits.copied().ok_or_else(|| {
            let interactions = match self.family {
                Family::TorchRec => "a dot interaction of",
                Family::Facebook => "neither dot nor cat interaction of",
            };
            let gives = match self.family {
                Family::TorchRec => "does not give (a table that several features share counts once for each)",
                Family::Facebook => "gives",
            };
            Error::Weights(format!(
                "'{}' takes {interacted} numbers, which {interactions} {vectors} vectors of {dim} {gives}",
                self.file_name("top_l.0.weight")
            ))
        })
    }
}
