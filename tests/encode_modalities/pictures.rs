//! Pictures of every kind come out right.

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use mmdlrm::encoders::{ClipEncoder, ImageEncoder, LoadOptions};

use crate::Folder;

const SIDE: u32 = 32;

fn clip() -> ClipEncoder {
    let folder = Folder::new();
    let model = folder.path("clip");
    ClipEncoder::load(model.to_str().unwrap(), &LoadOptions::default()).unwrap()
}

fn bytes(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn scene() -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([(8 * x) as u8, (8 * y) as u8, 40]))
}

fn assert_near(found: &[f32], expected: &[f32], most: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < most, "{found} {expected}");
    }
}

#[test]
fn grey_is_three_equal_channels() {
    let grey = GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([(4 * (x + y)) as u8]));
    let colour = DynamicImage::from(grey.clone()).into_rgb8();
    let prepare =
        |picture: &DynamicImage, format| clip().prepare_image(&bytes(picture, format)).unwrap();
    let expected = prepare(&colour.into(), ImageFormat::Png);
    assert_near(
        &prepare(&grey.clone().into(), ImageFormat::Png),
        &expected,
        1e-6,
    );
    assert_near(&prepare(&grey.into(), ImageFormat::Jpeg), &expected, 0.1);
}

#[test]
fn sixteen_bits_are_scaled_to_eight() {
    let deep = DynamicImage::from(scene()).into_rgb16();
    let expected = clip()
        .prepare_image(&bytes(&scene().into(), ImageFormat::Png))
        .unwrap();
    let found = clip()
        .prepare_image(&bytes(&deep.into(), ImageFormat::Png))
        .unwrap();
    assert_near(&found, &expected, 1e-6);
    let grey = DynamicImage::from(scene()).into_luma16();
    let shallow = DynamicImage::from(grey.clone()).into_luma8();
    let expected = clip()
        .prepare_image(&bytes(&shallow.into(), ImageFormat::Png))
        .unwrap();
    let found = clip()
        .prepare_image(&bytes(&grey.into(), ImageFormat::Png))
        .unwrap();
    assert_near(&found, &expected, 1e-6);
}

#[test]
fn what_is_transparent_is_laid_on_white() {
    let alpha = |x: u32| (7 * x) as u8;
    let clear = RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        let Rgb([red, green, blue]) = *scene().get_pixel(x, y);
        Rgba([red, green, blue, alpha(x)])
    });
    let white = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let share = f32::from(alpha(x)) / 255.0;
        let mix = |colour: u8| 255.0 + share * (f32::from(colour) - 255.0);
        Rgb(scene()
            .get_pixel(x, y)
            .0
            .map(|colour| mix(colour).round() as u8))
    });
    let expected = clip()
        .prepare_image(&bytes(&white.into(), ImageFormat::Png))
        .unwrap();
    let found = clip()
        .prepare_image(&bytes(&clear.into(), ImageFormat::Png))
        .unwrap();
    // A step of a byte.
    assert_near(&found, &expected, 0.016);
}

/// Made with Pillow: the scene's four quarters in red, green, blue and grey.
const PALETTE_PNG: &[u8] = include_bytes!("quarters-palette.png");
const CMYK_JPEG: &[u8] = include_bytes!("quarters-cmyk.jpg");
const PROGRESSIVE_JPEG: &[u8] = include_bytes!("quarters-progressive.jpg");
const QUARTERS: [[u8; 3]; 4] = [[220, 20, 30], [10, 200, 40], [30, 20, 210], [90, 90, 90]];

#[test]
fn palettes_inks_and_progressive_pictures_have_the_colours_they_were_made_of() {
    let plain = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        Rgb(QUARTERS[(2 * (y / 16) + x / 16) as usize])
    });
    let expected = clip()
        .prepare_image(&bytes(&plain.into(), ImageFormat::Png))
        .unwrap();
    for (name, picture, steps) in [
        ("palette", PALETTE_PNG, 0.5),
        ("cmyk", CMYK_JPEG, 4.0),
        ("progressive", PROGRESSIVE_JPEG, 4.0),
    ] {
        let found = clip().prepare_image(picture).unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        let most = steps / 255.0 / 0.26;
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // Not where two colours meet.
            let inner = |at: usize| !(14..18).contains(&at);
            if inner(i % 32) && inner(i / 32 % 32) {
                assert!(
                    (found - expected).abs() < most,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
}

/// The orientations of EXIF: a picture stored turned or mirrored, and marked
/// so, is the picture.
#[test]
fn exif_orientation_is_undone() {
    let upright = DynamicImage::from(scene());
    let expected = clip()
        .prepare_image(&bytes(&upright, ImageFormat::Jpeg))
        .unwrap();
    let stored = [
        (1, upright.clone()),
        (2, upright.fliph()),
        (3, upright.rotate180()),
        (4, upright.flipv()),
        (5, upright.rotate90().fliph()),
        (6, upright.rotate270()),
        (7, upright.rotate270().fliph()),
        (8, upright.rotate90()),
    ];
    for (orientation, stored) in stored {
        let mut jpeg = bytes(&stored, ImageFormat::Jpeg);
        let mut exif = vec![0xFF, 0xE1, 0, 34];
        exif.extend(b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        jpeg.splice(2..2, exif);
        let found = clip().prepare_image(&jpeg).unwrap();
        assert_near(&found, &expected, 0.15);
    }
}
