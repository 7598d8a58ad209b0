//! How alike two ratings of one user are.
//!
//! The covariance of the deviations of ratings `a` and `b`, in square stars, is a sum of kernels
//! (Rasmussen and Williams, 2006, chapter 4), each of which looks at one property:
//!
//! ```text
//! k(a, b) =  user
//!          + factors(⟨f_a, f_b⟩) + near_factors(f_a, f_b)
//!          + years(|year_a − year_b|) + genres(cos(genres_a, genres_b))
//!          + moment(t) + sitting(t, cos) + month(t)              t = |time_a − time_b|
//! ```
//!
//! and `noise` on the diagonal. Variances and lengths were chosen on ten percent of the training
//! rows of ml-latest-small; none matters much.

use mmdlrm_kernels::exp;

/// The kernels of the process.
pub(super) const COVARIANCE: Covariance = Covariance {
    user: 0.03,
    factors: Linear { variance: 0.7 },
    near_factors: NearFactors {
        variance: 0.1,
        length: 0.09,
    },
    years: Exponential {
        variance: 0.03,
        length: 6.0,
    },
    genres: Linear { variance: 0.05 },
    moment: Exponential {
        variance: 0.04,
        length: 30.0,
    },
    sitting: Sitting {
        variance: 0.125,
        genres: Linear { variance: 0.05 },
        length: 600.0,
    },
    month: Exponential {
        variance: 0.012,
        length: 30.0 * 86_400.0,
    },
    noise: 0.5,
};

/// What a rating's deviation from the mean and the movie's bias is made of.
pub(super) struct Covariance {
    /// Variance of what all ratings of a user share.
    pub user: f32,
    pub factors: Linear,
    pub near_factors: NearFactors,
    /// By years between the movies' releases.
    pub years: Exponential,
    /// By the cosine of the movies' genres.
    pub genres: Linear,
    /// By seconds between the ratings.
    pub moment: Exponential,
    pub sitting: Sitting,
    /// By seconds between the ratings.
    pub month: Exponential,
    /// Variance of what a rating shares with no other.
    pub noise: f32,
}

/// `k = variance · ⟨a, b⟩`.
pub(super) struct Linear {
    pub variance: f32,
}

/// `k = variance · exp(−distance / length)`.
pub(super) struct Exponential {
    pub variance: f32,
    /// Distance in which it falls to 1/e.
    pub length: f32,
}

/// `k = variance · (exp(−|a − b|² / length) − exp(−(|a|² + |b|²) / length))`: factors that are
/// nearly the same, beyond their product. The second term is what the first says of movies whose
/// factors are 0.
pub(super) struct NearFactors {
    pub variance: f32,
    /// Square distance in which the first term falls to 1/e.
    pub length: f32,
}

/// `k = (variance + genres(cosine)) · exp(−seconds / length)`: ratings that were given in one
/// sitting, and more so to movies of the same genres.
pub(super) struct Sitting {
    pub variance: f32,
    pub genres: Linear,
    /// Seconds in which it falls to 1/e.
    pub length: f32,
}

impl Covariance {
    /// The part that does not look at times. `product` is `⟨f_a, f_b⟩`, `squares` is
    /// `|f_a|² + |f_b|²`.
    #[inline(always)]
    pub fn timeless(&self, product: f32, squares: f32, years: f32, cosine: f32) -> f32 {
        self.user
            + self.factors.at(product)
            + self.near_factors.at(product, squares)
            + self.years.at(years)
            + self.genres.at(cosine)
    }

    /// The part that looks at how many seconds lie between.
    #[inline(always)]
    pub fn timed(&self, seconds: f32, cosine: f32) -> f32 {
        self.moment.at(seconds) + self.sitting.at(seconds, cosine) + self.month.at(seconds)
    }
}

impl Linear {
    #[inline(always)]
    pub fn at(&self, product: f32) -> f32 {
        self.variance * product
    }
}

impl Exponential {
    #[inline(always)]
    pub fn at(&self, distance: f32) -> f32 {
        self.variance * exp(-distance / self.length)
    }
}

impl NearFactors {
    #[inline(always)]
    pub fn at(&self, product: f32, squares: f32) -> f32 {
        let near = exp((2.0 * product - squares) / self.length) - exp(-squares / self.length);
        self.variance * near
    }
}

impl Sitting {
    #[inline(always)]
    pub fn at(&self, seconds: f32, cosine: f32) -> f32 {
        let variance = self.variance + self.genres.at(cosine);
        variance * exp(-seconds / self.length)
    }
}
