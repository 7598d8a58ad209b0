//! Training within a run's folder.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use mmdlrm_train::{CheckpointConfig, RunFolder, Session};

use crate::{Observer, Result, Stage};

/// A run that trains, and whether it goes on.
#[derive(Clone, Copy)]
pub(crate) struct Training<'a> {
    pub folder: &'a RunFolder,
    /// Which run it is.
    pub run: &'a str,
    pub checkpoints: CheckpointConfig,
    pub resumed: bool,
    pub stop: Option<&'a AtomicBool>,
}

impl<'a> Training<'a> {
    /// Lets `learn` train, over `rows` rows in all, in a session that keeps the figures and the
    /// model of each epoch in the folder. Returns what it learned, and the seconds that were spent
    /// before the run was resumed.
    pub fn train<T>(
        self,
        rows: usize,
        observer: &mut dyn Observer,
        learn: impl FnOnce(Session) -> mmdlrm_train::Result<T>,
    ) -> Result<(T, f64)> {
        let session = self.session(observer)?;
        let before = session.resumed.as_ref();
        let before = before.map_or(0.0, |checkpoint| checkpoint.progress.spent());
        observer.begin(Stage::Train, rows as u64);
        // Both callbacks tell the same observer.
        let observer = RefCell::new(observer);
        let session = session
            .on_step(|rows| observer.borrow_mut().advance(rows as u64))
            .on_epoch(|metrics, model| {
                self.folder.append_metrics(metrics)?;
                self.folder
                    .write_model(&model.to_safetensors()?, self.run)?;
                observer.borrow_mut().epoch(metrics);
                Ok(())
            });
        let learned = learn(session)?;
        observer.borrow_mut().end();
        Ok((learned, before))
    }

    /// How training begins or goes on: from the newest checkpoint that is whole, with
    /// the figures of the epochs before it in `metrics.jsonl` and no others.
    fn session(self, observer: &mut dyn Observer) -> Result<Session<'a>> {
        let checkpoints = self.folder.checkpoints(self.checkpoints);
        let mut session = Session {
            checkpoints: Some(checkpoints.clone()),
            run: self.run.to_owned(),
            stop: self.stop,
            ..Session::default()
        };
        if !self.resumed {
            return Ok(session);
        }
        let latest = checkpoints.latest()?;
        for (path, reason) in &latest.damaged {
            let path = path.display();
            observer.note(&format!("{path} is damaged and passed over: {reason}"));
        }
        let progress = latest.checkpoint.as_ref().map(|it| &it.progress);
        // A checkpoint of another run is refused as training begins, with what differs.
        if progress.is_none_or(|progress| progress.identity.run == session.run) {
            self.folder
                .restart_metrics(progress.map_or(&[][..], |progress| &progress.epochs))?;
        }
        observer.note(&match progress {
            None => "no checkpoint to go on from: training begins anew".to_owned(),
            Some(progress) => format!("training goes on after step {}", progress.step),
        });
        session.resumed = latest.checkpoint;
        Ok(session)
    }
}
