//! Saved runs side by side.

use std::path::{Path, PathBuf};

use super::difference::Difference;
use super::figures::{Catalogue, Figures, Ranking};
use super::predictions::{Predicted, read};
use crate::{Error, Result};

/// What stands in place of a figure that there is not.
const NONE: &str = "–";

/// The table, in Markdown.
///
/// # Errors
/// A folder that holds no run, a run that is not over, or runs that have no figure in
/// common: of ratings and of rankings, or of rankings by other protocols.
pub fn table(runs: &[PathBuf]) -> Result<String> {
    let (mut of_catalogue, mut rankings) = (Vec::new(), Vec::new());
    for run in runs {
        match Figures::read(run)? {
            Figures::Catalogue(figures) => of_catalogue.push((run.as_path(), figures)),
            Figures::Ranking(figures) => rankings.push((run.as_path(), figures)),
        }
    }
    match (of_catalogue.first(), rankings.first()) {
        (Some((of_catalogue, _)), Some((of_ranking, _))) => Err(incomparable(
            of_ranking,
            of_catalogue,
            "it ranks candidates, and the other the whole catalogue",
        )),
        (Some(_), None) => table_of_catalogue(&of_catalogue),
        _ => table_of_rankings(&rankings),
    }
}

fn incomparable(path: &Path, first: &Path, why: impl Into<String>) -> Error {
    Error::Incomparable {
        path: path.to_owned(),
        first: first.to_owned(),
        why: why.into(),
    }
}

fn table_of_catalogue(runs: &[(&Path, Catalogue)]) -> Result<String> {
    let Some(((first, _), others)) = runs.split_first() else {
        return Ok(String::new());
    };
    let predicted = read(first)?;
    let mut differences = vec![NONE.to_owned()];
    for (other, _) in others {
        differences.push(difference(predicted.as_deref(), read(other)?.as_deref())?);
    }
    let mut lines = vec![
        format!(
            "| run | RMSE | MAE | R² | nDCG@10 | held-out ratings | \
             RMSE less that of {} (95 % interval over users) |",
            first.display()
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    let figure = |figure: Option<f64>| figure.map_or(NONE.to_owned(), |it| format!("{it:.4}"));
    for ((run, figures), difference) in runs.iter().zip(differences) {
        let ratings = figures.test_ratings.map(|it| it.to_string());
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} | {difference} |",
            run.display(),
            figure(figures.rmse),
            figure(figures.mae),
            figure(figures.r2),
            figure(figures.ndcg_at_10),
            ratings.unwrap_or(NONE.to_owned()),
        ));
    }
    Ok(lines.join("\n"))
}

/// The difference to the first run in words, or why there is none.
fn difference(first: Option<&[Predicted]>, other: Option<&[Predicted]>) -> Result<String> {
    let (Some(first), Some(other)) = (first, other) else {
        return Ok(format!("{NONE} (no predictions)"));
    };
    Ok(match Difference::between(first, other)? {
        Some(difference) => difference.to_string(),
        None => format!("{NONE} (other held-out ratings)"),
    })
}

fn table_of_rankings(runs: &[(&Path, Ranking)]) -> Result<String> {
    let Some(((first, of_first), others)) = runs.split_first() else {
        return Ok(String::new());
    };
    for (other, ranking) in others {
        if ranking.protocol != of_first.protocol {
            let why = format!(
                "its figures are of {}, and the other's of {}",
                ranking.protocol, of_first.protocol
            );
            return Err(incomparable(other, first, why));
        }
    }
    let mut lines = vec![
        format!(
            "| run, {} | hit rate@10 | nDCG@10 | MRR@10 | users |",
            of_first.protocol
        ),
        "| --- | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    for (run, ranking) in runs {
        lines.push(format!(
            "| {} | {:.4} | {:.4} | {:.4} | {} |",
            run.display(),
            ranking.hit_rate_at_10,
            ranking.ndcg_at_10,
            ranking.mrr_at_10,
            ranking.users
        ));
    }
    Ok(lines.join("\n"))
}
