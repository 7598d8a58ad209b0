//! The table as a picture: a panel a split, a row a variant.

use plotters::prelude::*;

use super::results::{Estimate, Results};

const PANEL_WIDTH: u32 = 420;
const LABELS_WIDTH: u32 = 220;
const ROW_HEIGHT: u32 = 30;
const MARGINS: u32 = 110;

/// An SVG document.
pub fn draw(results: &[Results]) -> Result<String, Box<dyn std::error::Error>> {
    let rows = results.first().map_or(0, |it| it.outcomes.len());
    let width = LABELS_WIDTH + PANEL_WIDTH * results.len() as u32;
    let height = MARGINS + ROW_HEIGHT * rows as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut rest = root.clone();
        for (number, results) in results.iter().enumerate() {
            // Rows are named beside the first panel alone.
            let labels = if number == 0 { LABELS_WIDTH } else { 0 };
            let (panel, others) = rest.split_horizontally(PANEL_WIDTH + labels);
            draw_panel(&panel, labels, results)?;
            rest = others;
        }
        root.present()?;
    }
    Ok(svg)
}

fn draw_panel(
    panel: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    labels: u32,
    results: &Results,
) -> Result<(), Box<dyn std::error::Error>> {
    let estimates: Vec<Estimate> = results.outcomes.iter().map(|it| it.rmse()).collect();
    let names: Vec<String> = results
        .outcomes
        .iter()
        .map(|it| it.variant.name())
        .collect();
    let ends = |it: &Estimate| {
        let half_width = it.half_width.unwrap_or(0.0);
        (it.mean - half_width, it.mean + half_width)
    };
    let low = estimates
        .iter()
        .map(|it| ends(it).0)
        .fold(f64::INFINITY, f64::min);
    let high = estimates.iter().map(|it| ends(it).1).fold(0.0, f64::max);
    let pad = 0.05 * (high - low).max(0.01);
    let rows = estimates.len() as f64;
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("{} split", results.split), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(labels)
        .build_cartesian_2d(low - pad..high + pad, -rows + 0.5..0.5)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(5)
        .x_max_light_lines(0)
        .x_desc("RMSE, stars (95 % interval over seeds)")
        .y_labels(0)
        .label_style(("sans-serif", 13))
        .draw()?;
    for (row, estimate) in estimates.iter().enumerate() {
        let y = -(row as f64);
        let colour = match results.outcomes[row].variant.history {
            true => RGBColor(0, 90, 181),
            false => RGBColor(220, 50, 32),
        };
        let (left, right) = ends(estimate);
        chart.draw_series([PathElement::new(
            vec![(left, y), (right, y)],
            colour.stroke_width(2),
        )])?;
        chart.draw_series([Circle::new((estimate.mean, y), 4, colour.filled())])?;
        if labels > 0 {
            let (_, at) = chart.backend_coord(&(low, y));
            let (_, top) = panel.get_base_pixel();
            let style = TextStyle::from(("sans-serif", 14).into_font()).pos(
                plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Right,
                    plotters::style::text_anchor::VPos::Center,
                ),
            );
            panel.draw_text(&names[row], &style, (labels as i32, at - top))?;
        }
    }
    Ok(())
}
