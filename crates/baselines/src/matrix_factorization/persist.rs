//! A [`MatrixFactorization`] in a file.
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `mean` | 1 | `μ`, in stars |
//! | `users.biases`, `movies.biases` | users, movies | `b_u` and `b_i`, in stars |
//! | `users.vectors` | users · factors | `z`, which is `p` without what users rated |
//! | `movies.vectors` | movies · factors | `q` |
//! | `movies.implicit` | movies · factors | `y`, where what users rated counts |
//!
//! The metadata have the configuration. Nothing is needed of the data but how many users and movies
//! there are.

use mmdlrm_features::Known;
use mmdlrm_train::{Kept, Persist, Result, Tensors};

use super::{MatrixFactorization, MatrixFactorizationConfig, check};

const MEAN: &str = "mean";
const USER_BIASES: &str = "users.biases";
const USER_VECTORS: &str = "users.vectors";
const MOVIE_BIASES: &str = "movies.biases";
const MOVIE_VECTORS: &str = "movies.vectors";
const IMPLICIT: &str = "movies.implicit";

impl MatrixFactorization {
    /// Hands over what [`Self::take`] reads.
    pub(super) fn put<'a>(&'a self, tensors: &mut Tensors<'a>) {
        tensors.put(MEAN, vec![self.mean]);
        tensors.put(USER_BIASES, &self.users.biases);
        tensors.put(USER_VECTORS, self.users.vectors.numbers());
        tensors.put(MOVIE_BIASES, &self.movies.biases);
        tensors.put(MOVIE_VECTORS, self.movies.vectors.numbers());
        if let Some(implicit) = &self.implicit {
            tensors.put(IMPLICIT, implicit.numbers());
        }
    }

    /// The inverse of [`Self::put`], into a model of the same shape.
    ///
    /// # Errors
    /// Numbers that are missing, or of another shape.
    pub(super) fn take(&mut self, kept: &Kept) -> Result<()> {
        kept.load(MEAN, std::slice::from_mut(&mut self.mean))?;
        kept.load(USER_BIASES, &mut self.users.biases)?;
        self.users.vectors.load(kept, USER_VECTORS)?;
        kept.load(MOVIE_BIASES, &mut self.movies.biases)?;
        self.movies.vectors.load(kept, MOVIE_VECTORS)?;
        match &mut self.implicit {
            Some(implicit) => implicit.load(kept, IMPLICIT),
            None => Ok(()),
        }
    }
}

impl Persist for MatrixFactorization {
    fn kind() -> &'static str {
        "matrix-factorization"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        self.put(&mut tensors);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<MatrixFactorizationConfig>(file)?;
        check(&config)?;
        let features = known.features();
        let (users, movies) = (features.users().len(), features.movies().len());
        let mut model = Self::zeros(&config, users, movies);
        model.take(&kept)?;
        Ok(model)
    }
}
