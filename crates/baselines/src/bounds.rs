use mmdlrm_data::{HIGHEST_RATING, LOWEST_RATING};

/// From the fewest stars to the most.
pub(crate) fn keep_within_bounds(stars: &mut [f32]) {
    for stars in stars {
        *stars = stars.clamp(LOWEST_RATING, HIGHEST_RATING);
    }
}
