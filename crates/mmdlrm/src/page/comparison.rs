//! Models side by side, as a page.

use askama::Template;

use crate::{Compared, ComparisonReport, ComparisonTable, Error, Estimate, Result, told};

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page {
    held_out: String,
    seeds: String,
    tables: Vec<Table>,
    left_out: Vec<String>,
}

struct Table {
    title: String,
    metrics: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    model: String,
    about: String,
    /// Of the first figure.
    bar: Bar,
    figures: Vec<(String, String)>,
    difference: String,
    seconds: String,
    memory: String,
    parameters: usize,
    published: String,
    settings: String,
}

/// In percent of the whole width.
struct Bar {
    value: f64,
    low: f64,
    width: f64,
}

/// The page.
pub(crate) fn of_comparison(report: &ComparisonReport) -> Result<Option<String>> {
    let page = Page {
        held_out: report.held_out.clone(),
        seeds: report.seeds(),
        tables: report.tables.iter().map(Table::of).collect(),
        left_out: report.left_out.clone(),
    };
    let html = page.render();
    html.map(Some)
        .map_err(|error| Error::Page(error.to_string()))
}

impl Table {
    fn of(table: &ComparisonTable) -> Self {
        let highest = |row: &Compared| row.figures.first().map_or(0.0, upper_end);
        let most = table
            .rows
            .iter()
            .map(highest)
            .fold(f64::MIN_POSITIVE, f64::max);
        Self {
            title: table.title.clone(),
            metrics: table.metrics.clone(),
            rows: table.rows.iter().map(|row| Row::of(row, most)).collect(),
        }
    }
}

/// Of the interval, where there is one.
fn upper_end(figure: &Estimate) -> f64 {
    figure.interval.map_or(figure.value, |(_, high)| high)
}

impl Row {
    fn of(row: &Compared, most: f64) -> Self {
        let percent = |value: f64| 100.0 * (value / most).clamp(0.0, 1.0);
        let (value, (low, high)) = row.figures.first().map_or((0.0, (0.0, 0.0)), |figure| {
            (
                figure.value,
                figure.interval.unwrap_or((figure.value, figure.value)),
            )
        });
        let figures = row.figures.iter().map(|figure| {
            let spread = figure.deviation.map(|it| format!("sd {}", told(it)));
            let interval = crate::report::interval(figure.interval);
            let about = [Some(interval), spread]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>();
            (told(figure.value), about.join(", "))
        });
        Self {
            model: row.model.clone(),
            about: row.about.clone(),
            bar: Bar {
                value: percent(value),
                low: percent(low),
                width: percent(high) - percent(low),
            },
            figures: figures.collect(),
            difference: row.difference.map_or(String::new(), |it| it.signed()),
            seconds: format!("{:.1} s", row.seconds),
            memory: row
                .peak_mib
                .map_or("?".to_owned(), |mib| format!("{mib} MiB")),
            parameters: row.parameters,
            published: row.published.clone(),
            settings: row.settings.to_string(),
        }
    }
}
