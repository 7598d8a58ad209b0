//! Shapes of [`Dlrm`](mmdlrm_model::Dlrm)s for data with some features, with embeddings of
//! `dim`.
//!
//! They standardize what they predict by mean and deviation of the training ratings, or say how
//! likely a 1 is where the target is one, and have hidden layers of 128.

use mmdlrm_features::{DENSE_FEATURES, Features, MOVIE_FEATURES};
use mmdlrm_model::{
    Activation, BottomConfig, DlrmConfig, Interaction, ModalityConfig, Output, Side, TableConfig,
};

use super::input::{GENRE_TABLE, MOVIE_TABLE, USER_TABLE};

/// Width of the hidden layer of bottom and top MLPs.
const HIDDEN: usize = 128;

/// Users, movies, genres, dense features and every modality, through dot products to the top
/// MLP.
pub fn mmdlrm(features: &Features, dim: usize) -> DlrmConfig {
    DlrmConfig {
        modalities: towers(features, &[dim]),
        ..dlrm(features, dim)
    }
}

/// As [`mmdlrm`] with dense features by side, so that a pair meets in products and the top MLP
/// alone: a little less accurate, and far quicker to rank with.
pub fn mmdlrm_factored(features: &Features, dim: usize) -> DlrmConfig {
    DlrmConfig {
        bottoms: bottoms_by_side(features, dim),
        ..mmdlrm(features, dim)
    }
}

/// As [`mmdlrm`], without modalities.
pub fn dlrm(features: &Features, dim: usize) -> DlrmConfig {
    let mut tables = vec![
        TableConfig::new(USER_TABLE, features.users().len(), Side::User),
        TableConfig::new(MOVIE_TABLE, features.movies().len(), Side::Item),
    ];
    tables.extend(categories(features));
    DlrmConfig {
        tables,
        ..common(features, dim)
    }
}

/// A table for each column of categories; of MovieLens, which has none, for the genres.
fn categories(features: &Features) -> Vec<TableConfig> {
    let categories = features.categories().map(|(name, side, category)| {
        let side = match side {
            mmdlrm_data::Side::User => Side::User,
            mmdlrm_data::Side::Item => Side::Item,
            mmdlrm_data::Side::Pair => Side::Pair,
        };
        TableConfig::new(&name, category.values.len().max(1), side)
    });
    let tables: Vec<TableConfig> = categories.collect();
    match tables.is_empty() {
        true => {
            let genres = features.genre_names().len().max(1);
            vec![TableConfig::new(GENRE_TABLE, genres, Side::Item)]
        }
        false => tables,
    }
}

/// A tower for each modality and one for the dense features, side by side through a linear
/// layer of 128; no ids.
pub fn dlrm_multimodal(features: &Features, dim: usize) -> DlrmConfig {
    DlrmConfig {
        modalities: towers(features, &[dim]),
        ..side_by_side(features, dim)
    }
}

/// The dense tower and the encoders' vectors as they are, side by side through a linear layer
/// of 128; no ids.
pub fn dlrm_clip(features: &Features, dim: usize) -> DlrmConfig {
    DlrmConfig {
        modalities: towers(features, &[]),
        ..side_by_side(features, dim)
    }
}

/// facebookresearch/dlrm's own model, to how likely a label is, of [`clicks`](mmdlrm_data::clicks):
/// a table `C1`, `C2`, … for each of `rows`, a bottom MLP of these hidden layers on so many
/// `numbers`, dot products, a top MLP.
pub fn labels(
    rows: &[usize],
    numbers: usize,
    dim: usize,
    bottom: &[usize],
    top: &[usize],
) -> DlrmConfig {
    let tables = (1..).zip(rows);
    let table = |(number, &rows): (usize, &usize)| {
        TableConfig::new(&format!("C{number}"), rows, Side::Pair)
    };
    DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(
            Side::Pair,
            0..numbers,
            [bottom, &[dim]].concat(),
        )],
        tables: tables.map(table).collect(),
        top: top.to_vec(),
        output: Output::within(0.0, 1.0),
        ..DlrmConfig::default()
    }
}

/// A tower of these layers for each modality.
pub fn towers(features: &Features, layers: &[usize]) -> Vec<ModalityConfig> {
    let modalities = features.modalities().iter();
    let tower = |modality: &mmdlrm_data::Modality| {
        ModalityConfig::new(modality.name(), modality.width(), layers.to_vec())
    };
    modalities.map(tower).collect()
}

fn common(features: &Features, dim: usize) -> DlrmConfig {
    let (mean, deviation) = features.rating_scale();
    DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(
            Side::Pair,
            0..features.dense_names().len(),
            vec![HIDDEN, dim],
        )],
        top: vec![HIDDEN],
        output: match features.target().is_probability() {
            true => Output::within(0.0, 1.0),
            false => Output {
                offset: mean,
                scale: deviation,
                ..Output::default()
            },
        },
        ..DlrmConfig::default()
    }
}

fn side_by_side(features: &Features, dim: usize) -> DlrmConfig {
    DlrmConfig {
        interaction: Interaction::Cat,
        top_activation: Activation::Identity,
        ..common(features, dim)
    }
}

/// One bottom MLP for what depends on the movie, one for the rest: with nothing
/// that depends on both, ranking factors.
fn bottoms_by_side(features: &Features, dim: usize) -> Vec<BottomConfig> {
    let layers = vec![HIDDEN, dim];
    let of_users = (0..DENSE_FEATURES.len()).filter(|column| !MOVIE_FEATURES.contains(column));
    let of_users = of_users.chain(features.measures(mmdlrm_data::Side::User));
    let of_items = MOVIE_FEATURES.chain(features.measures(mmdlrm_data::Side::Item));
    let mut bottoms = vec![
        BottomConfig::new(Side::User, of_users, layers.clone()),
        BottomConfig::new(Side::Item, of_items, layers.clone()),
    ];
    let of_pairs = features.measures(mmdlrm_data::Side::Pair);
    if !of_pairs.is_empty() {
        bottoms.push(BottomConfig::new(Side::Pair, of_pairs, layers));
    }
    bottoms
}
