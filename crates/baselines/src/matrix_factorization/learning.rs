//! How a [`MatrixFactorization`] is learned: an epoch is a step of the loop that all models share.

use mmdlrm_data::{HIGHEST_RATING, LOWEST_RATING, Rated, RatedBags};
use mmdlrm_features::TrainingData;
use mmdlrm_train::{
    Decay, Error, Kept, Measured, Pace, Persist, Result, Schedule, Session, Stepper, Tensors, learn,
};

use super::descent::{Descent, Implicit, drawn_order, gather_all};
use super::vectors::{Vectors, extreme};
use super::{MatrixFactorization, MatrixFactorizationConfig};

/// `p` in a checkpoint, where the model has `z`.
const OWN: &str = "users.own";

pub(super) fn learn_from(
    config: &MatrixFactorizationConfig,
    data: &dyn TrainingData,
    session: Session,
) -> Result<MatrixFactorization> {
    let rows = Rows::of(data, config.seed)?;
    let movies = data.features().movies().len();
    let mut learning = Learning::new(config, &rows, movies);
    let pace = Pace {
        epochs: config.epochs,
        batch_size: learning.rows().max(1),
        seed: config.seed,
        patience: None,
        schedule: &Schedule {
            warmup_steps: 0,
            decay: Decay::Constant,
        },
    };
    learn(&mut learning, &pace, config, data.fingerprint(), session)?;
    Ok(learning.model)
}

/// Ratings of each part of a split.
struct Rows {
    /// Of each user, by movie.
    trained: RatedBags,
    /// The same in the order of the steps.
    order: RatedBags,
    validated: Vec<Rated>,
    held_out: Vec<Rated>,
}

impl Rows {
    fn of(data: &dyn TrainingData, seed: u64) -> Result<Self> {
        let mut trained = Vec::with_capacity(data.training_rows());
        let mut validated = Vec::with_capacity(data.validation_rows());
        let mut held_out = Vec::with_capacity(data.test_rows());
        data.for_each_user(|rows| {
            let own = rows.trained.rows_of(rows.user);
            trained.extend(own.map(|rated| Rated {
                timestamp: 0,
                ..rated
            }));
            validated.extend(rows.validated.rows_of(rows.user));
            held_out.extend(rows.held_out.rows_of(rows.user));
            Ok::<_, Error>(())
        })?;
        let users = data.features().users().len();
        let trained = RatedBags::of_users(users, trained.into_iter());
        Ok(Self {
            order: drawn_order(&trained, seed),
            trained,
            validated,
            held_out,
        })
    }
}

struct Learning<'a> {
    model: MatrixFactorization,
    /// `p`, where the model's users have `z`.
    own: Option<Vectors>,
    rows: &'a Rows,
    losses: Vec<f64>,
}

impl<'a> Learning<'a> {
    fn new(config: &MatrixFactorizationConfig, rows: &'a Rows, movies: usize) -> Self {
        let model = MatrixFactorization::first(config, &rows.trained, movies);
        Self {
            own: config.implicit.then(|| model.users.vectors.clone()),
            model,
            rows,
            losses: Vec::new(),
        }
    }

    /// Goes over all ratings; the mean of the squared errors.
    fn epoch(&mut self) -> f64 {
        let model = &mut self.model;
        let parts = self.own.as_mut().zip(model.implicit.as_mut());
        let mut descent = Descent {
            config: &model.config,
            mean: model.mean,
            users: &mut model.users,
            movies: &mut model.movies,
            implicit: parts.map(|(own, movies)| Implicit { own, movies }),
        };
        let Rows {
            trained: histories,
            order,
            ..
        } = self.rows;
        let users = 0..histories.len() as u32;
        let errors =
            users.map(|user| descent.learn(user, histories.row(user).ids, order.row(user)));
        let loss = errors.sum::<f64>() / histories.ratings() as f64;
        if let Some(implicit) = &descent.implicit {
            gather_all(implicit, histories, &mut descent.users.vectors);
        }
        loss
    }

    /// Root mean squared error of what is kept within the scale; `None` of no rows.
    fn error(&self, rows: &[Rated]) -> Option<f64> {
        let errors = rows.iter().map(|rated| {
            let stars = self.model.stars(rated.user, rated.movie);
            let stars = stars.clamp(LOWEST_RATING, HIGHEST_RATING);
            f64::from(stars - rated.stars).powi(2)
        });
        let sum: f64 = errors.sum();
        (!rows.is_empty()).then(|| (sum / rows.len() as f64).sqrt())
    }
}

impl Stepper for Learning<'_> {
    /// All rows.
    type Batch = ();
    type Batches = std::option::IntoIter<Result<()>>;

    fn rows(&self) -> usize {
        self.rows.trained.ratings()
    }

    fn batches(&self, _size: usize, _order: u64, first: usize) -> Self::Batches {
        (first == 0).then_some(Ok(())).into_iter()
    }

    fn rows_of(&self, _batch: &()) -> usize {
        self.rows()
    }

    /// The rate is constant.
    fn step(&mut self, _batch: &(), _step: u64, _factor: f64) -> Result<()> {
        let loss = self.epoch();
        self.losses.push(loss);
        Ok(())
    }

    fn losses(&mut self, _all: bool) -> Result<Vec<f64>> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn measure(&mut self) -> Result<Measured> {
        let validation = self.error(&self.rows.validated);
        Ok(Measured::new(validation, self.error(&self.rows.held_out)))
    }

    fn extreme_parameter(&mut self) -> Result<(String, f32)> {
        let MatrixFactorization {
            users,
            movies,
            implicit,
            ..
        } = &self.model;
        let implicit = implicit.as_ref().map_or(0.0, Vectors::extreme);
        let parts = [
            ("users.biases", extreme(&users.biases)),
            ("users.vectors", users.vectors.extreme()),
            ("movies.biases", extreme(&movies.biases)),
            ("movies.vectors", movies.vectors.extreme()),
            ("movies.implicit", implicit),
        ];
        let furthest = extreme(&parts.map(|(_, value)| value));
        let of = parts
            .iter()
            .find(|(_, value)| value.to_bits() == furthest.to_bits());
        let name = of.map_or("mean", |(name, _)| name);
        Ok((name.to_owned(), furthest))
    }

    fn parameters(&mut self) -> Result<Tensors<'_>> {
        let mut tensors = Tensors::default();
        self.model.put(&mut tensors);
        if let Some(own) = &self.own {
            tensors.put(OWN, own.numbers());
        }
        Ok(tensors)
    }

    /// Steps remember nothing.
    fn state(&mut self) -> Result<Tensors<'_>> {
        self.parameters()
    }

    fn load_parameters(&mut self, kept: &Kept) -> Result<()> {
        self.model.take(kept)?;
        match &mut self.own {
            Some(own) => own.load(kept, OWN),
            None => Ok(()),
        }
    }

    fn restore(&mut self, kept: &Kept, _steps: u64) -> Result<()> {
        self.load_parameters(kept)
    }

    fn model(&mut self) -> Result<&dyn Persist> {
        Ok(&self.model)
    }
}
