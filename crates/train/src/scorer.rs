use std::borrow::{Borrow, BorrowMut};
use std::sync::{Mutex, OnceLock, PoisonError};

use mmdlrm_data::{Batch, Features, HIGHEST_RATING, LOWEST_RATING, Rated};
use mmdlrm_model::{Dlrm, Gradients, Items, Loss, Part, Predictor, Side};

use crate::input::{USER_TABLE, Wiring};
use crate::optimizer::DenseAdam;
use crate::trainer::beyond_base;
use crate::{Error, Result};

/// Of [`Scorer::fold_in`], chosen on users that ml-latest-small's model had not seen;
/// `docs/accuracy.md` has the figures.
const FOLD_IN_STEPS: usize = 40;
const FOLD_IN_RATE: f64 = 0.02;
const FOLD_IN_RIDGE: f32 = 300.0;

/// A trained model and what is known of users and movies, ready to be asked: towers have
/// run, and where scores factor, the movies' side is computed once.
///
/// `M` is the model, or a reference to it.
pub struct Scorer<M> {
    features: Features,
    predictor: Predictor<M>,
    /// For scores that factor into users and items; computed when first needed.
    items: OnceLock<Items>,
    /// Catalogues of earlier calls, to be turned to another user.
    catalogues: Mutex<Vec<Batch>>,
}

impl<M: Borrow<Dlrm>> Scorer<M> {
    /// Of a model that was trained on `features`.
    ///
    /// # Errors
    /// A model that does not fit.
    pub fn new(model: M, features: Features) -> Result<Self> {
        let wiring = Wiring::new(model.borrow().config(), &features)?;
        Ok(Self {
            predictor: Predictor::new(model, &wiring.vectors())?,
            features,
            items: OnceLock::new(),
            catalogues: Mutex::default(),
        })
    }

    /// What is known of users and movies.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The model.
    pub fn model(&self) -> &Dlrm {
        self.predictor.model()
    }

    /// Writes the prediction of each row of a batch, in stars, from 0.5 to 5;
    /// `predictions` is resized to fit.
    ///
    /// # Errors
    /// A batch of other data.
    pub fn predict(&self, batch: &Batch, predictions: &mut Vec<f32>) -> Result<()> {
        self.predict_for(&self.features, batch, predictions)
    }

    /// Writes the scores of all movies for some users, `[users, movies]`, in stars that
    /// are not kept within bounds: of two films beyond them one is still better. What
    /// depends on the time is that of the user's last training rating.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn score(&self, users: &[u32], scores: &mut Vec<f32>) -> Result<()> {
        self.score_for(&self.features, users, scores)
    }

    /// The vectors of the movies' side, `[movies, width]`, as [`Predictor::vectors`].
    ///
    /// # Errors
    /// None that the model has not met before.
    pub fn movie_vectors(&self) -> Result<Vec<f32>> {
        let catalogue = self.features.catalogue_batch(0);
        let wiring = self.wiring(&self.features)?;
        Ok(wiring.with(&catalogue, |input| {
            self.predictor.vectors(input, Side::Item)
        })?)
    }

    /// How much of the predictions of `batch` each part of the model makes, in stars,
    /// against a `background`: `[rows, parts]`, as [`Predictor::contributions`].
    ///
    /// # Errors
    /// No background.
    pub fn contributions(
        &self,
        features: &Features,
        batch: &Batch,
        background: &Batch,
    ) -> Result<(Vec<Part>, Vec<f32>)> {
        let wiring = self.wiring(features)?;
        let found = wiring.with(batch, |batch| {
            wiring.with(background, |background| {
                self.predictor.contributions(batch, background)
            })
        })?;
        Ok((self.model().parts(), found))
    }

    /// As [`Self::predict`], for a user who is new
    /// ([`Features::for_new_user`]).
    ///
    /// # Errors
    /// A batch of other data.
    pub fn predict_for(
        &self,
        features: &Features,
        batch: &Batch,
        predictions: &mut Vec<f32>,
    ) -> Result<()> {
        let wiring = self.wiring(features)?;
        wiring.with(batch, |input| self.predictor.predict(input, predictions))?;
        finish(features, batch, predictions);
        self.check(predictions)?;
        for prediction in predictions {
            *prediction = prediction.clamp(LOWEST_RATING, HIGHEST_RATING);
        }
        Ok(())
    }

    /// As [`Self::score`], for a user who is new.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn score_for(
        &self,
        features: &Features,
        users: &[u32],
        scores: &mut Vec<f32>,
    ) -> Result<()> {
        let count = features.users().len();
        if let Some(user) = users.iter().find(|user| **user as usize >= count) {
            return Err(Error::Mismatch(format!(
                "there is no user in row {user}: there are {count}"
            )));
        }
        let wiring = self.wiring(features)?;
        if self.model().config().pair_inputs().is_empty() {
            let items = self.items()?;
            let users = features.users_batch(users);
            wiring.with(&users, |users| {
                self.model().score_items(items, users, scores)
            })?;
            return self.check(scores);
        }
        let mut catalogue = self.take_catalogue();
        let mut of_user = Vec::new();
        scores.clear();
        for &user in users {
            features.retarget(&mut catalogue, user);
            wiring.with(&catalogue, |input| {
                self.predictor.predict(input, &mut of_user)
            })?;
            finish(features, &catalogue, &mut of_user);
            scores.extend_from_slice(&of_user);
        }
        self.catalogues().push(catalogue);
        self.check(scores)
    }

    /// Refuses what is no number, before anybody takes it for a bound of the stars.
    fn check(&self, predictions: &[f32]) -> Result<()> {
        match predictions
            .iter()
            .find(|prediction| !prediction.is_finite())
        {
            None => Ok(()),
            Some(&prediction) => Err(unsound(prediction, self.model().extreme_parameter())),
        }
    }

    fn items(&self) -> Result<&Items> {
        if let Some(items) = self.items.get() {
            return Ok(items);
        }
        let catalogue = self.features.catalogue_batch(0);
        let wiring = self.wiring(&self.features)?;
        let items = wiring.with(&catalogue, |input| self.model().items(input))?;
        Ok(self.items.get_or_init(|| items))
    }

    fn wiring<'a>(&self, features: &'a Features) -> Result<Wiring<'a>> {
        Wiring::new(self.model().config(), features)
    }

    /// The catalogue, for anybody: what depends on movies alone is in it.
    fn take_catalogue(&self) -> Batch {
        let waiting = self.catalogues().pop();
        waiting.unwrap_or_else(|| self.features.catalogue_batch(0))
    }

    fn catalogues(&self) -> std::sync::MutexGuard<'_, Vec<Batch>> {
        // Batches are whole whenever the lock is free.
        self.catalogues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: BorrowMut<Dlrm>> Scorer<M> {
    /// Learns a user who is new, the only one of `features`
    /// ([`Features::for_new_user`]), from their `ratings`: finds the row `e` of the table
    /// of users, which must have one row alone, with the least `Σ (r − p(e))² + 300·‖e‖²`
    /// in stars, everything else being left as it is (folding in: Sarwar et al., 2002). A
    /// model without such a table has nothing to learn: it knows users by their ratings.
    ///
    /// # Errors
    /// A model that does not fit the features.
    pub fn fold_in(&mut self, features: &Features, ratings: &[Rated]) -> Result<()> {
        let mut tables = self.model().config().tables.iter();
        let Some(number) = tables.position(|table| table.name == USER_TABLE) else {
            return Ok(());
        };
        let mut row = vec![0.0; self.model().config().dim];
        let mut optimizer = DenseAdam::new(row.len());
        let mut gradients = Gradients::default();
        let batch = features.training_batch(ratings, 0);
        let targets = beyond_base(&batch);
        let wiring = self.wiring(features)?;
        let steps = if ratings.is_empty() { 0 } else { FOLD_IN_STEPS };
        self.predictor.set_row(USER_TABLE, 0, &row)?;
        for _ in 0..steps {
            wiring.with(&batch, |input| {
                let model = self.predictor.model();
                model.gradients(input, &targets, Loss::Mse, &mut gradients)
            })?;
            let of_row = gradients.tables[number].values.iter().zip(&row);
            let rows = ratings.len() as f32;
            let of_row = of_row.map(|(g, x)| rows * g + 2.0 * FOLD_IN_RIDGE * x);
            let gradient: Vec<f32> = of_row.collect();
            optimizer.step(&mut row, &gradient, FOLD_IN_RATE, 0.0);
            self.predictor.set_row(USER_TABLE, 0, &row)?;
        }
        Ok(())
    }
}

/// Of a model whose furthest parameter is `parameter`.
pub(crate) fn unsound(prediction: f32, (parameter, value): (String, f32)) -> Error {
    Error::Unsound {
        prediction,
        parameter,
        value,
    }
}

/// From what a model says beyond biases to stars, those of a Gaussian process mixed
/// in where there is one.
fn finish(features: &Features, batch: &Batch, predictions: &mut [f32]) {
    let pairs = predictions.iter_mut().zip(&batch.base);
    pairs.for_each(|(prediction, base)| *prediction += base);
    let share = features.process_share();
    let pairs = predictions.iter_mut().zip(&batch.process);
    pairs.for_each(|(prediction, process)| *prediction += share * (process - *prediction));
}
