//! Where everything stands: parameters in the flat list, vectors in a row.

use std::ops::Range;

use crate::config::{DlrmConfig, Side};
use crate::lookup::{Lookup, LookupBuilder, TableShape};
use crate::mlp::{Layer, Mlp};
use crate::{Activation, Interaction, Segment};

/// Where the parameters and vectors of a [`Dlrm`](crate::Dlrm) stand.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub bottoms: Vec<Mlp>,
    pub towers: Vec<Tower>,
    pub top: Mlp,
    pub lookups: Vec<Lookup>,
    /// The tables that are stored.
    pub tables: Vec<TableShape>,
    /// Columns of each vector that interacts: the bottoms', the tables', the
    /// modalities'.
    pub slots: Vec<Range<usize>>,
    /// Numbers of all slots; they come first in a row.
    pub slot_width: usize,
    /// Numbers of a row: the slots, and behind them pooled vectors that are
    /// combined or projected into one.
    pub row_width: usize,
    /// Numbers that the slots interact to.
    pub interaction_width: usize,
    /// Numbers that the top MLP reads: what the slots interact to, and the dense
    /// features where a wide layer reads them too.
    pub top_width: usize,
    /// The linear layer beside the top MLP.
    pub wide: Option<Layer>,
    /// Where the towers' parameters begin, which are the last.
    pub towers_start: usize,
    /// Number of all parameters but the tables'.
    pub dense_length: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Tower {
    pub name: String,
    pub mlp: Mlp,
    /// Where the vector that stands for a missing one begins, before all towers.
    pub missing: usize,
    /// Length of the tower's output, and of the vector for a missing one.
    pub width: usize,
}

impl Tower {
    /// Where the parameters of its layers stand.
    pub fn range(&self) -> Range<usize> {
        match (self.mlp.layers.first(), self.mlp.layers.last()) {
            (Some(first), Some(last)) => first.start..last.end(),
            _ => 0..0,
        }
    }
}

impl Layout {
    /// Of a validated configuration.
    pub fn new(config: &DlrmConfig) -> Self {
        let relu = Activation::Relu;
        let (mut end, mut slot_width) = (0, 0);
        let mut slots: Vec<Range<usize>> = Vec::new();
        let mut slot = |width: usize| {
            slot_width += width;
            slots.push(slot_width - width..slot_width);
        };
        let mut bottoms = Vec::new();
        for bottom in &config.bottoms {
            let mlp = Mlp::new(bottom.columns.len(), &bottom.layers, end, relu, relu);
            end = mlp.end(end);
            slot(bottom.layers.last().copied().unwrap_or(0));
            bottoms.push(mlp);
        }
        config.tables.iter().for_each(|_| slot(config.dim));
        for modality in &config.modalities {
            slot(modality.output_width());
        }
        let first: usize = slots[..bottoms.len()].iter().map(Range::len).sum();
        let interaction_width = config.interaction.width(slots.len(), first, slot_width);
        let direct = if config.wide {
            config.dense_features()
        } else {
            0
        };
        let top_width = interaction_width + direct;
        let mut top_widths = config.top.clone();
        top_widths.push(1);
        let identity = Activation::Identity;
        let top = Mlp::new(top_width, &top_widths, end, config.top_activation, identity);
        end = top.end(end);
        let wide = config.wide.then_some(Layer {
            inputs: top_width,
            outputs: 1,
            start: end,
            has_bias: false,
            activation: identity,
        });
        let mut builder = LookupBuilder {
            lookups: Vec::new(),
            shapes: Vec::new(),
            row_width: slot_width,
            dense_end: wide.as_ref().map_or(end, Layer::end),
        };
        for (table, slot) in config.tables.iter().zip(&slots[bottoms.len()..]) {
            builder.add(table, slot.clone());
        }
        let mut end = builder.dense_end;
        let mut missing = Vec::new();
        for modality in &config.modalities {
            missing.push(end);
            end += modality.output_width();
        }
        let towers_start = end;
        let mut towers = Vec::new();
        for (modality, missing) in config.modalities.iter().zip(missing) {
            let mlp = Mlp::new(modality.width, &modality.tower, end, relu, relu);
            end = mlp.end(end);
            towers.push(Tower {
                name: modality.name.clone(),
                mlp,
                missing,
                width: modality.output_width(),
            });
        }
        Self {
            bottoms,
            towers,
            top,
            lookups: builder.lookups,
            tables: builder.shapes,
            slots,
            slot_width,
            row_width: builder.row_width,
            interaction_width,
            top_width,
            wide,
            towers_start,
            dense_length: end,
        }
    }

    /// All layers that have parameters, with the names of weight and bias: as
    /// facebookresearch/dlrm counts them, the activation after each layer takes
    /// a number too.
    pub fn layers(&self, config: &DlrmConfig) -> Vec<(String, &Layer)> {
        let of = |prefix: String, mlp| -> Vec<(String, &Layer)> {
            let mlp: &Mlp = mlp;
            let layers = mlp.layers.iter().enumerate();
            layers
                .map(|(number, layer)| (format!("{prefix}.{}", 2 * number), layer))
                .collect()
        };
        let bottom_name = |side: Side| match config.bottoms.len() {
            1 => "bot_l".to_owned(),
            _ => format!("bot_{}_l", side.name()),
        };
        let bottoms = config.bottoms.iter().zip(&self.bottoms);
        let mut layers: Vec<_> = bottoms
            .flat_map(|(bottom, mlp)| of(bottom_name(bottom.side), mlp))
            .collect();
        let towers = self.towers.iter();
        layers.extend(towers.flat_map(|tower| of(format!("tower.{}", tower.name), &tower.mlp)));
        layers.extend(of("top_l".to_owned(), &self.top));
        layers.extend(self.wide.iter().map(|layer| ("wide".to_owned(), layer)));
        let projections = self.lookups.iter().enumerate();
        layers.extend(projections.filter_map(|(number, lookup)| {
            Some((format!("emb_l.{number}.proj"), lookup.projection.as_ref()?))
        }));
        layers
    }

    pub fn segments(&self, config: &DlrmConfig) -> Vec<Segment> {
        let mut segments = Vec::new();
        for (name, layer) in self.layers(config) {
            segments.push(Segment {
                name: format!("{name}.weight"),
                shape: vec![layer.outputs, layer.inputs],
                start: layer.start,
            });
            if layer.has_bias {
                segments.push(Segment {
                    name: format!("{name}.bias"),
                    shape: vec![layer.outputs],
                    start: layer.bias_start(),
                });
            }
        }
        for tower in &self.towers {
            segments.push(Segment {
                name: format!("tower.{}.missing", tower.name),
                shape: vec![tower.width],
                start: tower.missing,
            });
        }
        segments
    }

    /// Columns of the bottoms' vectors, which come first.
    pub fn bottom_slots(&self) -> &[Range<usize>] {
        &self.slots[..self.bottoms.len()]
    }

    /// Columns of the modalities' vectors.
    pub fn modality_slots(&self) -> &[Range<usize>] {
        &self.slots[self.slots.len() - self.towers.len()..]
    }

    /// Numbers of all bottoms' vectors.
    pub fn bottom_width(&self) -> usize {
        self.bottom_slots().last().map_or(0, |slot| slot.end)
    }

    pub fn interact(&self, interaction: Interaction, rows: &[f32], out: &mut [f32]) {
        match interaction {
            Interaction::Cat => {
                let rows = rows.chunks_exact(self.row_width);
                for (out, row) in out.chunks_exact_mut(self.slot_width).zip(rows) {
                    out.copy_from_slice(&row[..self.slot_width]);
                }
            }
            Interaction::Dot { itself } => {
                crate::interaction::dot_forward(rows, &self.dots(itself), out);
            }
        }
    }

    /// Writes the gradient of the slots; the rest of each row is left alone.
    pub fn interact_backward(
        &self,
        interaction: Interaction,
        rows: &[f32],
        upstream: &[f32],
        gradient: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        match interaction {
            Interaction::Cat => {
                let upstream = upstream.chunks_exact(self.slot_width);
                for (row, upstream) in gradient.chunks_exact_mut(self.row_width).zip(upstream) {
                    row[..self.slot_width].copy_from_slice(upstream);
                }
            }
            Interaction::Dot { itself } => {
                let dots = self.dots(itself);
                crate::interaction::dot_backward(rows, &dots, upstream, gradient, scratch);
            }
        }
    }

    fn dots(&self, itself: bool) -> crate::interaction::Dots {
        crate::interaction::Dots {
            vectors: self.slots.len(),
            dim: self.slot_width / self.slots.len(),
            first: self.bottom_width(),
            itself,
            row_width: self.row_width,
        }
    }
}
