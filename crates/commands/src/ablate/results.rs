//! Errors of all runs, and what they say.

use std::fmt;

use mmdlrm::metrics::student_t;
use serde::Serialize;

use super::variants::Variant;

/// One trained model.
#[derive(Debug, Clone, Serialize)]
pub struct VariantRun {
    pub split: &'static str,
    pub variant: String,
    pub seed: u64,
    pub test_ratings: u64,
    pub rmse: f64,
    pub mae: f64,
    pub parameters: usize,
    pub seconds: f64,
}

/// The runs of a variant on a split, a seed each.
pub struct Outcome {
    pub variant: Variant,
    pub runs: Vec<VariantRun>,
}

/// All variants on one split.
pub struct Results {
    pub split: &'static str,
    pub outcomes: Vec<Outcome>,
}

/// A mean over seeds; `half_width` is that of its 95 % confidence interval.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    pub mean: f64,
    pub half_width: Option<f64>,
}

/// Of the intervals.
const CONFIDENCE: f64 = 0.95;

impl Estimate {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let freedom = values.len().saturating_sub(1) as u32;
        let half_width = student_t(CONFIDENCE, freedom)
            .map(|quantile| quantile * (squares / f64::from(freedom) / count).sqrt());
        Self { mean, half_width }
    }

    /// Whether the interval is on one side of zero.
    fn is_certain(self) -> bool {
        self.half_width
            .is_some_and(|half_width| self.mean.abs() > half_width)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:.4}", self.mean)?;
        match self.half_width {
            Some(half_width) => write!(f, " ± {half_width:.4}"),
            None => Ok(()),
        }
    }
}

impl Outcome {
    pub fn rmse(&self) -> Estimate {
        self.mean_of(|run| run.rmse)
    }

    fn mean_of(&self, of: impl Fn(&VariantRun) -> f64) -> Estimate {
        let values: Vec<f64> = self.runs.iter().map(of).collect();
        Estimate::of(&values)
    }
}

impl Results {
    /// RMSE less that of what the variant is measured against, seed by seed: both saw
    /// the same ratings.
    fn difference(&self, outcome: &Outcome) -> Option<(&Outcome, Estimate)> {
        let against = &self.outcomes[outcome.variant.against?];
        let pairs = outcome.runs.iter().zip(&against.runs);
        let differences: Vec<f64> = pairs.map(|(a, b)| a.rmse - b.rmse).collect();
        Some((against, Estimate::of(&differences)))
    }

    /// What each modality does, in words.
    pub fn verdicts(&self) -> Vec<String> {
        let mut verdicts = Vec::new();
        for outcome in &self.outcomes {
            let [modality] = &outcome.variant.modalities[..] else {
                continue;
            };
            let what = match modality.as_str() {
                "text" => "plots".to_owned(),
                "image" => "posters".to_owned(),
                name => format!("vectors '{name}'"),
            };
            // Beside a variant that has it too, histories are measured.
            if let Some((against, difference)) = self.difference(outcome)
                && against.variant.modalities.is_empty()
            {
                let verdict = match (difference.is_certain(), difference.mean < 0.0) {
                    (true, true) => "lower the RMSE",
                    (true, false) => "raise the RMSE",
                    (false, _) => "make no difference beyond the interval",
                };
                let what = format!("{what} beside {}", against.variant.name());
                verdicts.push(format!("{}: {what} {verdict} ({difference})", self.split));
            }
        }
        verdicts
    }
}

impl fmt::Display for Results {
    /// A table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let seeds = self.outcomes.first().map_or(0, |it| it.runs.len());
        writeln!(
            f,
            "| {} split, {seeds} seeds | RMSE | MAE | RMSE less that of … | parameters | training |",
            self.split
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for outcome in &self.outcomes {
            let difference = match self.difference(outcome) {
                Some((against, it)) => format!("{}: {it}", against.variant.name()),
                None => String::new(),
            };
            let parameters = outcome.runs.first().map_or(0, |run| run.parameters);
            writeln!(
                f,
                "| {} | {} | {:.4} | {difference} | {parameters} | {:.1} s |",
                outcome.variant.name(),
                outcome.rmse(),
                outcome.mean_of(|run| run.mae).mean,
                outcome.mean_of(|run| run.seconds).mean,
            )?;
        }
        Ok(())
    }
}
