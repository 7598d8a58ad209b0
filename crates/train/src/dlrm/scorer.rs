use std::borrow::Borrow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use mmdlrm_data::{Batch, Rated};
use mmdlrm_features::Features;
use mmdlrm_model::{Dlrm, Items, Loss, Part, Predictor, Side};

use super::input::{Given, USER_TABLE, Wiring, beyond_base};
use crate::optimizer::DenseAdam;
use crate::ranker::keep_within_bounds;
use crate::{Error, Result};

/// Of [`Scorer::fold_in`], chosen on users that ml-latest-small's model had not seen;
/// `docs/accuracy.md` has the figures.
const FOLD_IN_STEPS: usize = 40;
const FOLD_IN_RATE: f64 = 0.02;
const FOLD_IN_RIDGE: f32 = 300.0;

/// A trained model and what is known of users and movies, ready to be asked: towers have
/// run, and where scores factor, the movies' side is computed once. Nothing of it changes
/// by being asked, about somebody new neither: any number of threads may ask at once.
///
/// `M` is the model, or a reference to it.
pub struct Scorer<M> {
    features: Features,
    predictor: Predictor<M>,
    /// What stands in place of a row of the table of movies, `[dim]`, where all batches are
    /// of a movie that nobody has rated.
    new_movie: Option<Vec<f32>>,
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
            new_movie: None,
            features,
            items: OnceLock::new(),
            catalogues: Mutex::default(),
        })
    }

    /// The same model for a movie that nobody has rated, the last of its `features`: its
    /// row of the table of movies, where there is one, is 0.
    pub(super) fn of_new_movie(&self, features: Features) -> Result<Scorer<&Dlrm>> {
        let zeros = vec![0.0; self.model().config().dim];
        Ok(Scorer {
            new_movie: Some(zeros),
            ..Scorer::new(self.model(), features)?
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
        self.predict_for(None, batch, predictions)
    }

    /// The same for somebody `new`, the batch being of their features; for those of the
    /// model where it is `None`.
    ///
    /// # Errors
    /// A batch of other data.
    pub fn predict_for(
        &self,
        new: Option<&NewUser>,
        batch: &Batch,
        predictions: &mut Vec<f32>,
    ) -> Result<()> {
        self.predict_unbounded(new, batch, predictions)?;
        self.keep_within_bounds(predictions);
        Ok(())
    }

    /// Probabilities end by themselves.
    pub(super) fn keep_within_bounds(&self, predictions: &mut [f32]) {
        if !self.features.target().is_probability() {
            keep_within_bounds(predictions);
        }
    }

    /// The same, going on where the stars end.
    pub(crate) fn predict_unbounded(
        &self,
        new: Option<&NewUser>,
        batch: &Batch,
        predictions: &mut Vec<f32>,
    ) -> Result<()> {
        let (features, given) = self.known_of(new);
        self.wiring(features)?.with_given(given, batch, |input| {
            self.predictor.predict(input, predictions)
        })?;
        add_base(batch, predictions);
        self.check(predictions)
    }

    /// Writes the scores of all movies for some users, `[users, movies]`, in stars that
    /// are not kept within bounds: of two films beyond them one is still better. What
    /// depends on the time is that of the user's last training rating.
    ///
    /// # Errors
    /// A user that there is not.
    pub fn score(&self, users: &[u32], scores: &mut Vec<f32>) -> Result<()> {
        self.score_of(None, users, scores)
    }

    /// The same for somebody `new`, `[movies]`.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn score_for(&self, new: &NewUser, scores: &mut Vec<f32>) -> Result<()> {
        self.score_of(Some(new), &[0], scores)
    }

    /// The vectors of the movies' side, `[movies, width]`, as [`Predictor::vectors`].
    ///
    /// # Errors
    /// A model that does not fit the features.
    pub fn movie_vectors(&self) -> Result<Vec<f32>> {
        let catalogue = self.features.catalogue_batch(0);
        let wiring = self.wiring(&self.features)?;
        wiring.with(&catalogue, |input| {
            self.predictor.vectors(input, Side::Item)
        })
    }

    /// How much of the predictions of `batch` each part of the model makes, in stars,
    /// against a `background`: `[rows, parts]`, as [`Predictor::contributions`]. Both
    /// batches are of the features of somebody `new`, or of the model's.
    ///
    /// # Errors
    /// No background.
    pub fn contributions(
        &self,
        new: Option<&NewUser>,
        batch: &Batch,
        background: &Batch,
    ) -> Result<(Vec<Part>, Vec<f32>)> {
        let (features, given) = self.known_of(new);
        let wiring = self.wiring(features)?;
        let found = wiring.with_given(given, batch, |batch| {
            wiring.with_given(given, background, |background| {
                self.predictor.contributions(batch, background)
            })
        })?;
        Ok((self.model().parts(), found))
    }

    fn score_of(&self, new: Option<&NewUser>, users: &[u32], scores: &mut Vec<f32>) -> Result<()> {
        let (features, given) = self.known_of(new);
        self.check_users(features, users)?;
        let wiring = self.wiring(features)?;
        if self.model().config().pair_inputs().is_empty() {
            let items = self.items()?;
            let users = features.users_batch(users);
            wiring.with_given(given, &users, |users| {
                self.model().score_items(items, users, scores)
            })?;
            return self.check(scores);
        }
        let mut catalogue = self.take_catalogue();
        let mut of_user = Vec::new();
        scores.clear();
        for &user in users {
            features.retarget(&mut catalogue, user);
            wiring.with_given(given, &catalogue, |input| {
                self.predictor.predict(input, &mut of_user)
            })?;
            add_base(&catalogue, &mut of_user);
            scores.extend_from_slice(&of_user);
        }
        self.catalogues().push(catalogue);
        self.check(scores)
    }

    /// Refuses users that there are not.
    pub(crate) fn check_users(&self, features: &Features, users: &[u32]) -> Result<()> {
        let count = features.users().len();
        match users.iter().find(|&&user| user as usize >= count) {
            None => Ok(()),
            Some(user) => Err(Error::Mismatch(format!(
                "there is no user in row {user}: there are {count}"
            ))),
        }
    }

    /// Refuses what is no number, before anybody takes it for a bound of the stars.
    fn check(&self, predictions: &[f32]) -> Result<()> {
        match predictions
            .iter()
            .find(|prediction| !prediction.is_finite())
        {
            None => Ok(()),
            Some(&prediction) => Err(unsound(prediction, self.model().extreme_parameter()?)),
        }
    }

    /// Features, and what stands in place of rows of tables.
    fn known_of<'a>(&'a self, new: Option<&'a NewUser>) -> (&'a Features, Given<'a>) {
        let movie = self.new_movie.as_deref();
        match new {
            None => (&self.features, Given { user: None, movie }),
            Some(new) => {
                let user = new.vector.as_deref();
                (&new.features, Given { user, movie })
            }
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

impl<M: Borrow<Dlrm>> fmt::Debug for Scorer<M> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Scorer")
            .field("config", self.model().config())
            .finish_non_exhaustive()
    }
}

/// Somebody whom a model was not trained on, as it knows them: by a few ratings
/// ([`Scorer::fold_in`]).
#[derive(Clone)]
pub struct NewUser {
    features: Features,
    /// What stands in place of a row of the table of users, `[dim]`, where the model has
    /// one.
    vector: Option<Vec<f32>>,
}

impl NewUser {
    /// The same movies, and one user: the new one, row 0.
    pub fn features(&self) -> &Features {
        &self.features
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("vector", &self.vector)
            .finish_non_exhaustive()
    }
}

impl<M: Borrow<Dlrm>> Scorer<M> {
    /// Learns somebody new from `ratings`, whose [`Rated::user`] is not read: finds what
    /// stands in place of a row of the table of users, the vector `e` with the least
    /// `Σ ((r − p(e)) / s)² + 300·‖e‖²`, `s` being the scale of the model's
    /// [output](mmdlrm_model::Output) (of probabilities, cross-entropy in place of the squares),
    /// everything else being left as it is (folding in:
    /// Sarwar et al., 2002). Nothing is dropped meanwhile, and no other penalty added,
    /// whatever the model was trained with. A model without such a table has nothing to
    /// learn: it knows users by their ratings.
    ///
    /// # Errors
    /// [`Error::CalledOff`] when `stop` becomes true.
    pub fn fold_in(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<NewUser> {
        let ratings: Vec<Rated> = ratings.iter().map(|it| Rated { user: 0, ..*it }).collect();
        let mut new = NewUser {
            features: self.features.for_new_user(&ratings),
            vector: None,
        };
        let config = self.model().config();
        if config.tables.iter().any(|table| table.name == USER_TABLE) {
            new.vector = Some(self.vector_of(&new.features, &ratings, stop)?);
        }
        Ok(new)
    }

    fn vector_of(
        &self,
        features: &Features,
        ratings: &[Rated],
        stop: Option<&AtomicBool>,
    ) -> Result<Vec<f32>> {
        let mut vector = vec![0.0; self.model().config().dim];
        let mut optimizer = DenseAdam::new(vector.len());
        let mut of_loss = Vec::new();
        let batch = features.training_batch(ratings, 0);
        let targets = beyond_base(&batch);
        let loss = match features.target().is_probability() {
            true => Loss::Bce,
            false => Loss::Mse,
        };
        let wiring = self.wiring(features)?;
        let steps = if ratings.is_empty() { 0 } else { FOLD_IN_STEPS };
        for _ in 0..steps {
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::CalledOff);
            }
            let given = Given {
                user: Some(&vector),
                movie: None,
            };
            wiring.with_given(given, &batch, |input| {
                let predictor = &self.predictor;
                predictor.given_gradients(input, &targets, loss, USER_TABLE, &mut of_loss)
            })?;
            let rows = ratings.len() as f32;
            let pairs = of_loss.iter().zip(&vector);
            let gradient: Vec<f32> = pairs
                .map(|(g, x)| rows * g + 2.0 * FOLD_IN_RIDGE * x)
                .collect();
            optimizer.step(&mut vector, &gradient, FOLD_IN_RATE, 0.0);
        }
        Ok(vector)
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

/// From what a model says beyond biases to stars.
fn add_base(batch: &Batch, predictions: &mut [f32]) {
    let pairs = predictions.iter_mut().zip(&batch.base);
    pairs.for_each(|(prediction, base)| *prediction += base);
}
