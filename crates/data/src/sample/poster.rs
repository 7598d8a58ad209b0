//! Posters that show a movie's traits.

use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::taste::Traits;

const WIDTH: u32 = 96;
const HEIGHT: u32 = 144;

/// Draws a poster. Its traits show as: cold or warm background, dark or light
/// figures, few or many of them, round or square.
pub(super) fn draw(traits: &Traits, random: &mut ChaCha8Rng) -> RgbImage {
    let [warmth, light, crowd, squareness] = *traits;
    let background = shade([128.0 + 100.0 * warmth, 110.0, 128.0 - 100.0 * warmth]);
    let mut poster = RgbImage::from_fn(WIDTH, HEIGHT, |_, y| {
        // A little darker towards the foot, as posters are.
        let dim = 1.0 - 0.3 * y as f32 / HEIGHT as f32;
        Rgb(background.map(|channel| (f32::from(channel) * dim) as u8))
    });
    let figure = shade([128.0 + 110.0 * light; 3]);
    let figures = (6.0 + 5.0 * crowd) as usize;
    for _ in 0..figures {
        let radius = random.random_range(8..15) as f32;
        let x = random.random_range(0..WIDTH) as f32;
        let y = random.random_range(0..HEIGHT) as f32;
        fill(&mut poster, (x, y), radius, squareness, figure);
    }
    poster
}

/// Fills a superellipse: a diamond at squareness −1, nearly a square at 1.
fn fill(poster: &mut RgbImage, (cx, cy): (f32, f32), radius: f32, squareness: f32, ink: [u8; 3]) {
    let power = 2f32.powf(1.0 + 2.0 * squareness);
    for (x, y, pixel) in poster.enumerate_pixels_mut() {
        let dx = (x as f32 - cx).abs() / radius;
        let dy = (y as f32 - cy).abs() / radius;
        if dx.powf(power) + dy.powf(power) <= 1.0 {
            *pixel = Rgb(ink);
        }
    }
}

fn shade(channels: [f32; 3]) -> [u8; 3] {
    channels.map(|channel| channel.clamp(0.0, 255.0) as u8)
}
