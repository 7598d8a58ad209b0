//! An observer that draws progress bars, and is quiet where nobody looks.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use mmdlrm::train::EpochMetrics;
use mmdlrm::{Observer, Stage};

use crate::program::printable;

/// Draws a bar a stage; nothing where standard error is not a terminal.
pub struct Progress {
    bar: ProgressBar,
    /// What is learned from.
    pub rows: String,
    /// Whether a model is being trained.
    pub is_training: Arc<AtomicBool>,
}

impl Progress {
    pub fn new() -> Self {
        Self::of("ratings")
    }

    /// Of learning from rows that are called so.
    pub fn of(rows: &str) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            rows: rows.to_owned(),
            is_training: Arc::default(),
        }
    }

    /// Says that data are read while `work` does.
    pub fn read<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.begin(Stage::ReadData, 0);
        let done = work();
        self.end();
        done
    }
}

impl Observer for Progress {
    fn begin(&mut self, stage: Stage, total: u64) {
        let is_training = stage == Stage::Train;
        self.is_training.store(is_training, Ordering::Relaxed);
        let (what, unit) = match stage {
            Stage::ReadModel => ("model", ""),
            Stage::ReadData => ("data", ""),
            Stage::LoadEncoders => ("encoders", ""),
            Stage::EncodePosters => ("posters", "pictures"),
            Stage::EncodeSummaries => ("plots", "texts"),
            Stage::Train => ("train", self.rows.as_str()),
            Stage::Rank => ("rank", "users"),
            _ => ("work", "things"),
        };
        // indicatif draws to standard error, and only where it is a terminal.
        self.bar = ProgressBar::new(total).with_message(what);
        let template = match total {
            0 => "{msg:8} {elapsed}".to_owned(),
            _ => format!(
                "{{msg:8}} {{bar:30}} {{human_pos}}/{{human_len}} {unit}, {{rate}}, {{eta}} left"
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
            };
            self.bar.set_style(style.with_key("rate", rate));
        }
        if total == 0 {
            self.bar.enable_steady_tick(Duration::from_millis(250));
        }
    }

    fn advance(&mut self, done: u64) {
        self.bar.inc(done);
    }

    fn end(&mut self) {
        self.is_training.store(false, Ordering::Relaxed);
        self.bar.finish();
    }

    fn epoch(&mut self, metrics: &EpochMetrics) {
        let error = |of: &str, rmse: Option<f64>| match rmse {
            Some(rmse) => format!("  {of} RMSE {}", mmdlrm::told(rmse)),
            None => String::new(),
        };
        let labels = |of: &str, log_loss: Option<f64>, auc: Option<f64>| {
            let log_loss = log_loss.map(|it| format!("  {of} log loss {it:.4}"));
            let auc = auc.map(|it| format!("  AUC {it:.4}"));
            log_loss.into_iter().chain(auc).collect::<String>()
        };
        self.bar.println(format!(
            "epoch {:2}  train loss {:.4}{}{}{}{}{}  {:.0} {}/s",
            metrics.epoch,
            metrics.train_loss,
            error("validation", metrics.validation_rmse),
            error("test", metrics.test_rmse),
            match metrics.validation_ndcg {
                Some(ndcg) => format!("  validation nDCG@10 {ndcg:.4}"),
                None => String::new(),
            },
            labels(
                "validation",
                metrics.validation_log_loss,
                metrics.validation_auc
            ),
            labels("test", metrics.test_log_loss, metrics.test_auc),
            metrics.samples_per_s,
            self.rows
        ));
    }

    fn note(&mut self, note: &str) {
        self.bar.suspend(|| eprintln!("note: {}", printable(note)));
    }
}
