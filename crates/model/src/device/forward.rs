use std::ops::Range;

use candle_core::{D, DType, Tensor};

use super::{DeviceDlrm, Touched};
use crate::config::{Activation, Combine, Interaction, Pooling};
use crate::interaction::pair;
use crate::layout::Tower;
use crate::lookup::Lookup;
use crate::mlp::{Layer, Mlp};
use crate::shared_bags::SharedEntries;
use crate::{Inputs, Result, SharedBags, TableInput};

/// What the forward pass over a batch leaves.
pub(super) struct Outputs {
    /// The top MLP's numbers, `[batch]`.
    pub last: Tensor,
    /// Penalties on weights and embeddings, where there are any.
    pub penalty: Option<Tensor>,
}

impl DeviceDlrm {
    pub(super) fn forward(
        &self,
        batch: &Inputs,
        samples: usize,
        touched: &[Touched],
    ) -> Result<Outputs> {
        let (layout, config) = (&self.model.layout, &self.model.config);
        let width = config.dense_features();
        let dense = Tensor::from_slice(batch.dense, (samples, width), &self.device)?;
        let mut vectors = Vec::new();
        for (mlp, bottom) in layout.bottoms.iter().zip(&config.bottoms) {
            let columns: Vec<u32> = bottom.columns.iter().map(|&column| column as u32).collect();
            let columns = Tensor::new(columns, &self.device)?;
            vectors.push(self.mlp(mlp, dense.index_select(&columns, 1)?, true)?);
        }
        let first = Tensor::cat(&vectors, 1)?;
        for (lookup, bags) in layout.lookups.iter().zip(batch.tables) {
            vectors.push(self.look_up(lookup, bags, samples, touched)?);
        }
        let pooled = vectors.len() - layout.lookups.len()..vectors.len();
        let penalty = self.penalty(&vectors[pooled], samples, touched)?;
        for (number, tower) in layout.towers.iter().enumerate() {
            let (rows, places) = self.distinct(&batch.modalities[number])?;
            vectors.push(self.tower(tower, number, &rows)?.index_select(&places, 0)?);
        }
        let interacted = match config.interaction {
            Interaction::Cat => Tensor::cat(&vectors, 1)?,
            Interaction::Dot { itself } => {
                let stacked = Tensor::stack(&vectors, 1)?;
                let products = stacked.matmul(&stacked.transpose(1, 2)?.contiguous()?)?;
                let count = vectors.len();
                let pairs: Vec<u32> = (0..count)
                    .flat_map(|i| (0..=i).map(move |j| (i, j)))
                    .filter(|&(i, j)| pair(i, j, itself).is_some())
                    .map(|(i, j)| (i * count + j) as u32)
                    .collect();
                if pairs.is_empty() {
                    first
                } else {
                    let pairs = Tensor::new(pairs, &self.device)?;
                    let products = products.reshape((samples, count * count))?;
                    Tensor::cat(&[&first, &products.index_select(&pairs, 1)?], 1)?
                }
            }
        };
        let interacted = match config.wide {
            true => Tensor::cat(&[&interacted, &dense], 1)?,
            false => interacted,
        };
        let mut last = self.mlp(&layout.top, interacted.clone(), true)?;
        if let Some(wide) = &layout.wide {
            last = (last + self.layer(wide, &interacted)?)?;
        }
        Ok(Outputs {
            last: last.squeeze(1)?,
            penalty,
        })
    }

    /// The answers of a tower for some vectors, and the one that stands for a
    /// missing vector behind them.
    fn tower(&self, tower: &Tower, number: usize, rows: &Tensor) -> Result<Tensor> {
        let missing = self.dense.narrow(0, tower.missing, tower.width)?;
        let missing = missing.reshape((1, tower.width))?;
        if rows.elem_count() == 0 {
            return Ok(missing);
        }
        let vectors = self.vectors[number].index_select(rows, 0)?;
        let outputs = self.mlp(&tower.mlp, vectors.to_dtype(DType::F32)?, false)?;
        Ok(Tensor::cat(&[outputs, missing], 0)?)
    }

    fn mlp(&self, mlp: &Mlp, mut x: Tensor, with_dropout: bool) -> Result<Tensor> {
        let share = f64::from(self.model.config.dropout);
        for (number, layer) in mlp.layers.iter().enumerate() {
            x = self.layer(layer, &x)?;
            if layer.activation == Activation::Relu {
                x = x.relu()?;
            }
            if with_dropout && share > 0.0 && number + 1 < mlp.layers.len() {
                let kept = x.rand_like(0.0, 1.0)?.ge(share)?.to_dtype(DType::F32)?;
                x = ((x * kept)? / (1.0 - share))?;
            }
        }
        Ok(x)
    }

    fn layer(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let weight = self
            .dense
            .narrow(0, layer.start, layer.inputs * layer.outputs)?
            .reshape((layer.outputs, layer.inputs))?;
        let x = x.matmul(&weight.t()?)?;
        if !layer.has_bias {
            return Ok(x);
        }
        let bias = self.dense.narrow(0, layer.bias_start(), layer.outputs)?;
        Ok(x.broadcast_add(&bias)?)
    }

    /// The vector of a table that meets the others, `[batch, dim]`.
    fn look_up(
        &self,
        lookup: &Lookup,
        bags: &TableInput,
        samples: usize,
        touched: &[Touched],
    ) -> Result<Tensor> {
        if let TableInput::Given { vectors, rows } = bags {
            let shape = (vectors.len() / lookup.slot.len(), lookup.slot.len());
            let vectors = Tensor::from_slice(vectors, shape, &self.device)?;
            return Ok(vectors.index_select(&Tensor::new(*rows, &self.device)?, 0)?);
        }
        let weights = self.weights(lookup, bags, touched)?;
        let mut pooled = Vec::new();
        for table in lookup.tables.clone() {
            if let TableInput::Shared(bags) = bags {
                pooled.push(self.pool_shared(bags, lookup.pooling, &touched[table])?);
                continue;
            }
            let Touched { values, places, .. } = &touched[table];
            let dim = values.dim(D::Minus1)?;
            if bags.ids().is_empty() {
                pooled.push(Tensor::zeros((samples, dim), DType::F32, &self.device)?);
                continue;
            }
            let mut of_ids = values.index_select(places, 0)?;
            if let Some(weights) = &weights {
                of_ids = of_ids.broadcast_mul(weights)?;
            }
            if !matches!(bags, TableInput::Single(_)) {
                let samples_of = Tensor::new(bags.samples(), &self.device)?;
                let zeros = Tensor::zeros((samples, dim), DType::F32, &self.device)?;
                of_ids = zeros.index_add(&samples_of, &of_ids, 0)?;
            }
            pooled.push(of_ids);
        }
        let vector = match (pooled.as_slice(), lookup.combine) {
            ([one], _) => one.clone(),
            ([q, r], Some(Combine::Product)) => (q * r)?,
            ([q, r], Some(Combine::Sum)) => (q + r)?,
            _ => Tensor::cat(&pooled, 1)?,
        };
        match &lookup.projection {
            Some(layer) => self.layer(layer, &vector),
            None => Ok(vector),
        }
    }

    /// Pools each shared bag once; samples take what they leave out off its sum.
    fn pool_shared(
        &self,
        bags: &SharedBags,
        pooling: Pooling,
        touched: &Touched,
    ) -> Result<Tensor> {
        let (samples, dim) = (bags.bag_of.len(), touched.values.dim(D::Minus1)?);
        let zeros = |rows: usize| Tensor::zeros((rows, dim), DType::F32, &self.device);
        let column = |values: Vec<f32>| {
            let rows = values.len();
            Tensor::from_vec(values, (rows, 1), &self.device)
        };
        if bags.ids.is_empty() {
            return Ok(zeros(samples)?);
        }
        let mut entries = SharedEntries::default();
        entries.number(bags);
        let rows = touched.values.index_select(&touched.places, 0)?;
        let rows_of = |numbers: Range<usize>| rows.narrow(0, numbers.start, numbers.len());
        let of_ids = rows_of(entries.pooled())?;
        let bag_of_ids = Tensor::new(bags.bag_of_ids(), &self.device)?;
        let bag_of = Tensor::new(bags.bag_of, &self.device)?;
        let sum = |of_ids: &Tensor| {
            let sums = zeros(bags.bags())?.index_add(&bag_of_ids, of_ids, 0)?;
            sums.index_select(&bag_of, 0)
        };
        let mut vectors = match bags.weights {
            Some(weights) => sum(&of_ids.broadcast_mul(&column(weights.to_vec())?)?)?,
            None => sum(&of_ids)?,
        };
        if let Some(shifts) = bags.shifts {
            let shifted = sum(&of_ids)?.broadcast_mul(&column(shifts.to_vec())?)?;
            vectors = (vectors + shifted)?;
        }
        let leaving = entries.leaving();
        if !leaving.is_empty() {
            let weights = leaving
                .iter()
                .map(|&sample| -bags.weight_left_out(sample as usize));
            let left_out = rows_of(entries.left_out())?;
            let left_out = left_out.broadcast_mul(&column(weights.collect())?)?;
            let leaving = Tensor::new(leaving, &self.device)?;
            vectors = vectors.index_add(&leaving, &left_out, 0)?;
        }
        let shares = (0..samples).map(|sample| bags.share(pooling, sample));
        Ok(vectors.broadcast_mul(&column(shares.collect())?)?)
    }

    /// What the vector of each id is multiplied by, `[ids, 1]`, where that is
    /// not 1.
    fn weights(
        &self,
        lookup: &Lookup,
        bags: &TableInput,
        touched: &[Touched],
    ) -> Result<Option<Tensor>> {
        let ids = bags.ids().len();
        if matches!(bags, TableInput::Shared(_)) {
            return Ok(None);
        }
        let mut given = bags.weights().map(<[f32]>::to_vec);
        if lookup.pooling != Pooling::Sum {
            let share = |sample: u32| lookup.pooling.share(bags.span(sample as usize).len());
            let shares = bags.samples().into_iter().map(share);
            given = Some(match given {
                Some(given) => shares
                    .zip(given)
                    .map(|(share, given)| share * given)
                    .collect(),
                None => shares.collect(),
            });
        }
        if ids == 0 {
            return Ok(None);
        }
        let given = given
            .map(|given| Tensor::from_vec(given, (ids, 1), &self.device))
            .transpose()?;
        let learned = lookup
            .weights
            .map(|table| {
                touched[table]
                    .values
                    .index_select(&touched[table].places, 0)
            })
            .transpose()?;
        Ok(match (given, learned) {
            (Some(given), Some(learned)) => Some((given * learned)?),
            (given, learned) => given.or(learned),
        })
    }

    fn penalty(
        &self,
        pooled: &[Tensor],
        samples: usize,
        touched: &[Touched],
    ) -> Result<Option<Tensor>> {
        let config = &self.model.config;
        let mut sum: Option<Tensor> = None;
        let mut add = |values: &Tensor, factor: f64| {
            let penalty = (values.sqr()?.sum_all()? * factor)?;
            sum = Some(match sum.take() {
                Some(sum) => (sum + penalty)?,
                None => penalty,
            });
            Ok::<_, candle_core::Error>(())
        };
        if config.l2 > 0.0 {
            for (_, layer) in self.model.layout.layers(config) {
                let parameters = self
                    .dense
                    .narrow(0, layer.start, layer.end() - layer.start)?;
                add(&parameters, f64::from(config.l2))?;
            }
        }
        if config.embedding_norm > 0.0 {
            for vectors in pooled {
                add(vectors, f64::from(config.embedding_norm) / samples as f64)?;
            }
        }
        if config.table_l2 > 0.0 {
            let shapes = self.model.layout.tables.iter();
            for (touched, _) in touched.iter().zip(shapes).filter(|(_, it)| !it.is_weights) {
                add(&touched.values, f64::from(config.table_l2))?;
            }
        }
        Ok(sum)
    }
}
