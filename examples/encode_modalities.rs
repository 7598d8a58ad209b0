//! Embeds posters and plots with CLIP into a store that later runs read back.
//!
//! ```sh
//! cargo run --release --example encode_modalities -- openai/clip-vit-base-patch32
//! ```
//!
//! The posters and plots are made up. Without the name of a model on the Hugging Face hub,
//! or of a folder in its layout, the CLIP is one that has learned nothing.

use std::path::PathBuf;

use mmdlrm::data::generate::{self, GeneratorConfig};
use mmdlrm::data::{read_posters, read_summaries};
use mmdlrm::encoders::{
    ClipEncoder, EmbeddingStore, LoadOptions, encode_posters, encode_summaries,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join("mmdlrm-posters");
    generate::write(&folder, &GeneratorConfig::tiny(), |_| {})?;
    let posters = read_posters(&folder.join("posters.csv"), None)?;
    let posters: Vec<(u32, PathBuf)> = posters
        .into_iter()
        .map(|poster| (poster.movie_id, poster.path))
        .collect();
    let plots = read_summaries(&folder.join("summaries.csv"), None)?;
    let plots: Vec<(u32, &str)> = plots
        .iter()
        .map(|plot| (plot.movie_id, plot.text.as_str()))
        .collect();

    let options = LoadOptions::default();
    let clip = match std::env::args().nth(1) {
        Some(model) => ClipEncoder::load(&model, &options)?,
        // Its tokens are the words of the plots.
        None => ClipEncoder::untrained(42, plots.iter().map(|plot| plot.1), &options)?,
    };
    // What the store has is not computed again; what another model made is refused.
    let mut store = EmbeddingStore::builder(folder.join("embeddings.parquet"))
        .images(&clip)
        .texts(&clip)
        .open()?;

    let images = encode_posters(&clip, &posters, &mut store, |_done| {})?;
    let texts = encode_summaries(&clip, &plots, &mut store, |_done| {})?;
    for (kind, encoded) in [("posters", &images), ("plots", &texts)] {
        let width = encoded.vectors.first().map_or(0, |(_, it)| it.len());
        println!(
            "{} {kind} as vectors of {width}, {} of them computed now, {} unusable",
            encoded.vectors.len(),
            encoded.computed,
            encoded.failed.len()
        );
    }
    Ok(())
}
