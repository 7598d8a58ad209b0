//! Curves and the density of predictions, as SVG to stand in the page.
//!
//! Colours are marks that the page's style sheet replaces, so that they suit a light
//! screen and a dark one.

use plotters::prelude::*;

use crate::{Error, Result};

const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const FIRST: RGBColor = RGBColor(3, 3, 3);
const SECOND: RGBColor = RGBColor(4, 4, 4);

const SIZE: (u32, u32) = (480, 300);
const TEXT: (&str, u32) = ("sans-serif", 14);

/// A line with a name: an x and a y a point.
pub(super) struct Curve {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Up to two curves over epochs.
pub(super) fn curves(curves: &[Curve], y_name: &str) -> Result<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let values = points().map(of);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    };
    let ((_, last), (low, high)) = (ends(|point| point.0), ends(|point| point.1));
    if !(last.is_finite() && low.is_finite() && high.is_finite()) {
        return Ok(String::new());
    }
    let pad = (0.08 * (high - low)).max(1e-3);
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(56)
            .build_cartesian_2d(0.8..last.max(1.0) + 0.2, low - pad..high + pad)?;
        chart
            .configure_mesh()
            .x_labels(last.clamp(1.0, 10.0) as usize)
            .y_labels(6)
            .x_label_formatter(&|x| match x.fract() == 0.0 {
                true => format!("{x:.0}"),
                false => String::new(),
            })
            .x_desc("epoch")
            .y_desc(y_name)
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(TEXT.into_font().color(&INK))
            .draw()?;
        for (curve, colour) in curves.iter().zip([FIRST, SECOND]) {
            chart
                .draw_series(LineSeries::new(
                    curve.points.clone(),
                    colour.stroke_width(2),
                ))?
                .label(curve.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
            let dots = curve.points.iter();
            chart.draw_series(dots.map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
        if curves.len() > 1 {
            chart
                .configure_series_labels()
                .label_font(TEXT.into_font().color(&INK))
                .position(SeriesLabelPosition::UpperRight)
                .draw()?;
        }
        Ok(())
    })
}

/// How often each prediction was made for each true rating: a column a rating, each with
/// a total of one, so that rare ratings can be read too.
pub(super) fn density(density: &crate::Density, words: &crate::Words) -> Result<String> {
    let scale = |stars: &f64| words.amount(*stars as f32);
    drawn(|root| {
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(38)
            .y_label_area_size(56)
            .build_cartesian_2d(0.25..5.25, 0.5..5.0)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(10)
            .y_labels(10)
            .x_label_formatter(&scale)
            .y_label_formatter(&scale)
            .x_desc(format!("{} given", words.unit))
            .y_desc(format!("{} predicted", words.unit))
            .axis_style(INK)
            .label_style(TEXT.into_font().color(&INK))
            .draw()?;
        for (stars, shares) in density.columns() {
            let highest = shares.iter().map(|share| share.1).fold(0.0, f64::max);
            for (prediction, share) in shares.into_iter().filter(|share| share.1 > 0.0) {
                let (left, right) = (stars - 0.23, stars + 0.23);
                let half = crate::Density::STEP / 2.0;
                let cell = [(left, prediction - half), (right, prediction + half)];
                let colour = FIRST.mix(share / highest);
                chart.draw_series([Rectangle::new(cell, colour.filled())])?;
            }
        }
        chart.draw_series(LineSeries::new(
            [(0.5, 0.5), (5.0, 5.0)],
            INK.stroke_width(1),
        ))?;
        Ok(())
    })
}

fn drawn(
    draw: impl FnOnce(
        &DrawingArea<SVGBackend, plotters::coord::Shift>,
    ) -> std::result::Result<(), Box<dyn std::error::Error>>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&root)
            .and_then(|()| Ok(root.present()?))
            .map_err(|error| Error::Page(error.to_string()))?;
    }
    Ok(svg)
}
