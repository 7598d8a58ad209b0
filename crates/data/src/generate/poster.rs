//! Posters that show a movie's traits.

use std::io::BufWriter;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::world::Traits;
use crate::{Error, Result};

const WIDTH: u32 = 64;
const HEIGHT: u32 = 96;
const JPEG_QUALITY: u8 = 75;

/// Draws a poster into the folder `dir`, and returns the name of the file: one
/// in five is a PNG, as with real ones.
pub(super) fn write(
    dir: &Path,
    id: u32,
    traits: &Traits,
    random: &mut ChaCha8Rng,
) -> Result<String> {
    let is_png = id.is_multiple_of(5);
    let name = format!("{id}.{}", if is_png { "png" } else { "jpg" });
    let path = dir.join(&name);
    let poster = draw(traits, random);
    let mut file = BufWriter::new(std::fs::File::create(&path).map_err(Error::write(&path))?);
    let written = if is_png {
        let (fast, filter) = (CompressionType::Fast, FilterType::Sub);
        poster.write_with_encoder(PngEncoder::new_with_quality(&mut file, fast, filter))
    } else {
        poster.write_with_encoder(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY))
    };
    written
        .map_err(std::io::Error::other)
        .and_then(|()| Ok(file.into_inner()?))
        .map_err(Error::write(&path))?;
    Ok(name)
}

/// Draws a poster. Its traits show as: cold or warm background, dark or light
/// figures, few or many of them, round or square.
fn draw(traits: &Traits, random: &mut ChaCha8Rng) -> RgbImage {
    let [warmth, light, crowd, squareness] = *traits;
    let background = shade([128.0 + 100.0 * warmth, 110.0, 128.0 - 100.0 * warmth]);
    let mut poster = RgbImage::new(WIDTH, HEIGHT);
    for (y, row) in poster.chunks_exact_mut(3 * WIDTH as usize).enumerate() {
        // A little darker towards the foot, as posters are.
        let dim = 1.0 - 0.3 * y as f32 / HEIGHT as f32;
        let colour = background.map(|channel| (f32::from(channel) * dim) as u8);
        row.as_chunks_mut().0.fill(colour);
    }
    let figure = shade([128.0 + 110.0 * light; 3]);
    let figures = (6.0 + 5.0 * crowd) as usize;
    // A diamond at squareness -1, nearly a square at 1.
    let power = libm::powf(2.0, 1.0 + 2.0 * squareness);
    for _ in 0..figures {
        let radius = random.random_range(5..10);
        let x = random.random_range(0..WIDTH);
        let y = random.random_range(0..HEIGHT);
        fill(&mut poster, (x, y), radius, power, figure);
    }
    poster
}

/// Fills a superellipse, |dx|^power + |dy|^power <= 1 in units of the radius.
fn fill(poster: &mut RgbImage, (cx, cy): (u32, u32), radius: u32, power: f32, ink: [u8; 3]) {
    let powers: Vec<f32> = (0..=radius)
        .map(|d| libm::powf(d as f32 / radius as f32, power))
        .collect();
    for y in cy.saturating_sub(radius)..=(cy + radius).min(HEIGHT - 1) {
        for x in cx.saturating_sub(radius)..=(cx + radius).min(WIDTH - 1) {
            let (dx, dy) = (x.abs_diff(cx), y.abs_diff(cy));
            if powers[dx as usize] + powers[dy as usize] <= 1.0 {
                poster.put_pixel(x, y, Rgb(ink));
            }
        }
    }
}

fn shade(channels: [f32; 3]) -> [u8; 3] {
    channels.map(|channel| channel.clamp(0.0, 255.0) as u8)
}
