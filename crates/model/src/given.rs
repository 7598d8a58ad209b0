//! Gradients of vectors that a batch gives in place of a table's rows.

use std::borrow::Borrow;

use mmdlrm_kernels::add_scaled;
use rayon::prelude::*;

use crate::forward::{PIECE, Pass};
use crate::gradients::Scratch;
use crate::input::{finite, same};
use crate::mlp::Sums;
use crate::per_thread::PerThread;
use crate::{Dlrm, Error, Inputs, Loss, Objective, Predictor, Result, TableInput};

impl<M: Borrow<Dlrm>> Predictor<M> {
    /// Writes the gradient of the mean loss over `batch` by each of the vectors that the
    /// batch gives for the table called `table` ([`TableInput::Given`]), `[vectors, dim]`, and
    /// returns that loss. The model is taken as it predicts: nothing is dropped, no penalty
    /// is added, and its parameters stay as they are. `targets` are in the unit of the
    /// predictions, `[batch]`.
    ///
    /// # Errors
    /// As [`Self::predict`]; a table that there is not, or for which nothing is given.
    ///
    /// ```
    /// use mmdlrm_model::{TableInput, Inputs, Dlrm, DlrmConfig, Loss, Predictor, Side, TableConfig};
    ///
    /// let config = DlrmConfig {
    ///     dim: 8,
    ///     bottoms: vec![mmdlrm_model::BottomConfig::new(Side::Pair, 0..1, vec![8])],
    ///     tables: vec![TableConfig::new("user", 2, Side::User)],
    ///     ..DlrmConfig::default()
    /// };
    /// let predictor = Predictor::new(Dlrm::new(config, 42)?, &[])?;
    /// // Somebody whom the table does not know, by two ratings.
    /// let (mut vector, mut gradient) = (vec![0.1; 8], Vec::new());
    /// let mut losses = Vec::new();
    /// for _ in 0..2 {
    ///     let bags = [TableInput::Given { vectors: &vector, rows: &[0, 0] }];
    ///     let batch = Inputs { dense: &[0.5, -0.5], tables: &bags, modalities: &[] };
    ///     let loss = predictor.given_gradients(&batch, &[3.5, 4.0], Loss::Mse, "user", &mut gradient)?;
    ///     vector.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= 0.01 * g);
    ///     losses.push(loss);
    /// }
    /// assert!(losses[1] < losses[0]);
    /// # Ok::<(), mmdlrm_model::Error>(())
    /// ```
    pub fn given_gradients(
        &self,
        batch: &Inputs,
        targets: &[f32],
        loss: Loss,
        table: &str,
        gradients: &mut Vec<f32>,
    ) -> Result<f64> {
        let samples = self.check(batch)?;
        let model = self.model();
        same("targets", targets.len(), samples)?;
        finite("targets", targets, 1)?;
        loss.check(&model.config.output, targets)?;
        let number = model.config.tables.iter().position(|it| it.name == table);
        let given = number.and_then(|number| match batch.tables[number] {
            TableInput::Given { vectors, rows } => Some((number, vectors, rows)),
            _ => None,
        });
        let (number, vectors, rows) = given.ok_or_else(|| Error::Setting {
            setting: "table".to_owned(),
            value: table.to_owned(),
            rule: "no vectors are given for it".to_owned(),
        })?;
        let mut fetched = Vec::new();
        model.fetch_rows(batch, None, None, &mut fetched)?;
        let pass = self.pass(batch, &fetched);
        let scratch = PerThread::new();
        let pieces = (0..samples).into_par_iter().step_by(PIECE);
        let pieces: Vec<(f64, Vec<f32>)> = pieces
            .map(|start| {
                let targets = &targets[start..samples.min(start + PIECE)];
                let share = 1.0 / samples as f32;
                scratch
                    .with(|buffers| pass.given_piece(number, start, targets, loss, share, buffers))
            })
            .collect();
        // In the order of the samples, whatever thread they were on.
        let dim = model.config.dim;
        gradients.clear();
        gradients.resize(vectors.len(), 0.0);
        let of_samples = pieces
            .iter()
            .flat_map(|(_, values)| values.chunks_exact(dim));
        for (&row, gradient) in rows.iter().zip(of_samples) {
            add_scaled(&mut gradients[row as usize * dim..][..dim], gradient, 1.0);
        }
        Ok(pieces.iter().map(|(loss, _)| loss).sum::<f64>() / samples.max(1) as f64)
    }
}

/// What a thread works with.
#[derive(Debug, Default)]
struct Buffers {
    scratch: Scratch,
    /// Gradient of the row of each sample, `[piece, row_width]`.
    rows: Vec<f32>,
    /// Gradients of parameters, which nobody reads.
    dense: Vec<f32>,
}

impl Pass<'_> {
    /// The sum of the losses of a piece, and the gradient of the vector that each of its
    /// samples is given for table `number`, `[piece, dim]`.
    fn given_piece(
        &self,
        number: usize,
        start: usize,
        targets: &[f32],
        loss: Loss,
        share: f32,
        buffers: &mut Buffers,
    ) -> (f64, Vec<f32>) {
        let layout = &self.model.layout;
        let Buffers {
            scratch,
            rows,
            dense,
        } = buffers;
        self.forward_piece(start..start + targets.len(), &mut scratch.piece);
        let top = &mut scratch.piece.top;
        top.last_gradient(&layout.top, targets.len());
        let mut sum = 0.0;
        if let (Some(last), Some(slopes)) = (top.outputs.last(), top.gradients.last_mut()) {
            let output = &self.model.config.output;
            sum = loss.of_samples(last, targets, output, share, slopes);
        }
        rows.resize(targets.len() * layout.row_width, 0.0);
        dense.resize(layout.towers_start, 0.0);
        let mut sums = Sums {
            values: dense,
            first: 0,
        };
        self.top_backward(targets.len(), rows, &mut sums, scratch);
        let slot = &layout.lookups[number].slot;
        let of_samples = rows.chunks_exact(layout.row_width);
        let values = of_samples.flat_map(|row| &row[slot.clone()]).copied();
        (sum, values.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BottomConfig, Combine, Compression, DlrmConfig, Gradients, Side, TableConfig};

    /// Samples of more than one piece.
    const SAMPLES: usize = 2 * PIECE + 5;

    fn table(name: &str, change: impl FnOnce(&mut TableConfig)) -> TableConfig {
        let mut table = TableConfig::new(name, 9, Side::User);
        change(&mut table);
        table
    }

    /// Vectors are given for the last of `tables`.
    fn model(tables: Vec<TableConfig>, change: impl FnOnce(&mut DlrmConfig)) -> Dlrm {
        let mut config = DlrmConfig {
            dim: 6,
            bottoms: vec![BottomConfig::new(Side::Pair, 0..2, vec![6])],
            tables,
            top: vec![8],
            wide: true,
            ..DlrmConfig::default()
        };
        change(&mut config);
        Dlrm::new(config, 3).unwrap()
    }

    fn dense() -> Vec<f32> {
        (0..2 * SAMPLES).map(|i| (i as f32 * 0.7).sin()).collect()
    }

    fn targets() -> Vec<f32> {
        (0..SAMPLES).map(|i| (i as f32 * 1.3).cos()).collect()
    }

    fn ids(count: u32) -> Vec<u32> {
        (0..SAMPLES as u32).map(|i| i * 7 % count).collect()
    }

    /// Loss and gradient by two vectors that are given for the last table.
    fn of_given(model: &Dlrm, vectors: &[f32]) -> (f64, Vec<f32>) {
        let predictor = Predictor::new(model, &[]).unwrap();
        let (dense, movies, rows) = (dense(), ids(9), ids(2));
        let mut bags = vec![TableInput::Single(&movies); model.config.tables.len()];
        let last = bags.len() - 1;
        bags[last] = TableInput::Given {
            vectors,
            rows: &rows,
        };
        let batch = Inputs {
            dense: &dense,
            tables: &bags,
            modalities: &[],
        };
        let (name, mut gradients) = (&model.config.tables[last].name, Vec::new());
        let loss = predictor.given_gradients(&batch, &targets(), Loss::Mse, name, &mut gradients);
        (loss.unwrap(), gradients)
    }

    fn vectors() -> Vec<f32> {
        (0..12).map(|i| 0.3 * (i as f32).sin()).collect()
    }

    #[test]
    fn gradients_of_given_vectors_are_finite_differences_whatever_the_tables() {
        let quotient = Compression::QuotientRemainder {
            collisions: 2,
            combine: Combine::Product,
        };
        let pair = |user: TableConfig| vec![table("movie", |it| it.compression = quotient), user];
        for tables in [
            pair(table("user", |_| {})),
            pair(table("user", |it| it.compression = quotient)),
            pair(table("user", |it| {
                it.compression = Compression::Hashed { buckets: 4 }
            })),
            pair(table("user", |it| it.dim = Some(3))),
            pair(table("user", |it| it.learned_weights = true)),
        ] {
            let model = model(tables, |_| {});
            let (_, gradients) = of_given(&model, &vectors());
            assert_eq!(gradients.len(), 12);
            for place in 0..12 {
                let step = 1e-2;
                let loss = |by: f32| {
                    let mut moved = vectors();
                    moved[place] += by;
                    of_given(&model, &moved).0
                };
                let slope = (loss(step) - loss(-step)) / f64::from(2.0 * step);
                let found = f64::from(gradients[place]);
                assert!(
                    (found - slope).abs() < 1e-3 + 0.02 * slope.abs(),
                    "{found} {slope}"
                );
            }
        }
    }

    #[test]
    fn neither_dropout_nor_penalties_are_in_gradients_of_given_vectors() {
        let tables = || vec![table("movie", |_| {}), table("user", |_| {})];
        let plain = model(tables(), |_| {});
        let trained_otherwise = model(tables(), |config| {
            config.dropout = 0.5;
            config.l2 = 1.0;
            config.embedding_norm = 1.0;
            config.table_l2 = 1.0;
        });
        assert!(plain.parameters == trained_otherwise.parameters);
        assert_eq!(
            of_given(&plain, &vectors()),
            of_given(&trained_otherwise, &vectors())
        );
    }

    #[test]
    fn gradients_of_given_vectors_are_those_of_the_rows_they_stand_for() {
        let tables = vec![table("movie", |_| {}), table("user", |_| {})];
        let mut model = model(tables, |_| {});
        let users = model.parameters.tables[1].store_mut();
        users.write(0, 6, &vectors()).unwrap();
        let (dense, movies, rows) = (dense(), ids(9), ids(2));
        let bags = [TableInput::Single(&movies), TableInput::Single(&rows)];
        let batch = Inputs {
            dense: &dense,
            tables: &bags,
            modalities: &[],
        };
        let mut gradients = Gradients::default();
        let loss = model.gradients(&batch, &targets(), Loss::Mse, &mut gradients);
        let (of_given, found) = of_given(&model, &vectors());
        assert!((loss.unwrap() - of_given).abs() < 1e-12);
        for (found, expected) in found.iter().zip(&gradients.tables[1].values) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn vectors_that_do_not_fit_and_tables_without_any_are_refused() {
        let model = model(vec![table("user", |_| {})], |_| {});
        let predictor = Predictor::new(&model, &[]).unwrap();
        let refused = |vectors: &[f32], rows: &[u32], name: &str| {
            let bags = [TableInput::Given { vectors, rows }];
            let batch = Inputs {
                dense: &[0.5; 4],
                tables: &bags,
                modalities: &[],
            };
            let mut gradients = Vec::new();
            let found =
                predictor.given_gradients(&batch, &[1.0; 2], Loss::Mse, name, &mut gradients);
            found.unwrap_err().to_string()
        };
        assert!(refused(&[0.0; 7], &[0, 0], "user").contains("vectors given for table user"));
        assert!(refused(&[f32::NAN; 6], &[0, 0], "user").contains("NaN"));
        assert!(refused(&[0.0; 6], &[0, 1], "user").contains('1'));
        assert!(refused(&[0.0; 6], &[0], "user").contains("bags of table user"));
        assert!(refused(&[0.0; 6], &[0, 0], "movie").contains("no vectors are given"));
    }
}
