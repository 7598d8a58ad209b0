use super::NextItemConfig;
use crate::{Error, Result};

/// What an item is beside its number.
#[derive(Debug, Clone, Copy)]
pub struct ItemInputs<'a> {
    /// Where the features of each item begin in `features`, and the end.
    pub offsets: &'a [u32],
    /// Rows of the table of features.
    pub features: &'a [u32],
    /// `[items, vector]`.
    pub vectors: &'a [f32],
}

/// A user at a place in the sequence of ratings.
#[derive(Debug, Clone, Copy)]
pub struct NextItemExample<'a> {
    /// Items rated, the last one first.
    pub history: &'a [u32],
    /// Stars above the user's mean of each.
    pub deviations: &'a [f32],
    /// Row of the table of moments.
    pub moment: u32,
    /// Row of the table of lengths.
    pub length: u32,
    /// Items that do not compete in training, but for `next`.
    pub seen: &'a [u32],
    /// The item that came next; of no account when scores are asked for.
    pub next: u32,
}

/// Features of pairs: fills `[pair_features, items]` for an example.
pub trait PairFeatures: Sync {
    /// Writes the features of `example` of the batch.
    fn fill(&self, example: usize, out: &mut [f32]);
}

/// No features of pairs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPairFeatures;

impl PairFeatures for NoPairFeatures {
    fn fill(&self, _: usize, _: &mut [f32]) {}
}

/// Checks that items and examples fit a model.
pub(super) fn check(
    config: &NextItemConfig,
    inputs: &ItemInputs<'_>,
    examples: &[NextItemExample<'_>],
) -> Result<()> {
    let offsets = inputs.offsets;
    length(
        "the offsets of item features",
        offsets.len(),
        config.items + 1,
    )?;
    let broken = (0..offsets.len()).find(|&place| match place {
        0 => offsets[0] != 0,
        _ => offsets[place] < offsets[place - 1],
    });
    let ends = offsets[config.items] as usize == inputs.features.len();
    if let Some(position) = broken.or((!ends).then_some(config.items)) {
        let table = "features".to_owned();
        return Err(Error::Offsets { table, position });
    }
    let numbers = config.items * config.vector;
    length("the vectors of items", inputs.vectors.len(), numbers)?;
    rows("features", inputs.features, config.features)?;
    for example in examples {
        rows("items", example.history, config.items)?;
        rows("items", example.seen, config.items)?;
        rows("items", &[example.next], config.items)?;
        rows("moments", &[example.moment], config.moments)?;
        rows("lengths", &[example.length], config.lengths)?;
        let deviations = example.deviations.len();
        length(
            "the deviations of a history",
            deviations,
            example.history.len(),
        )?;
        if let Some(place) = example.deviations.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                what: "the deviations of a history".to_owned(),
                value: example.deviations[place],
                sample: place,
                column: 0,
            });
        }
    }
    Ok(())
}

fn length(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what: what.to_owned(),
        found,
        expected,
    })
}

fn rows(table: &str, ids: &[u32], rows: usize) -> Result<()> {
    match ids.iter().position(|&row| row as usize >= rows) {
        None => Ok(()),
        Some(position) => Err(Error::OutOfRange {
            table: table.to_owned(),
            value: ids[position],
            position,
            rows,
        }),
    }
}
