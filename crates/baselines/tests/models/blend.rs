//! Blends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmdlrm_baselines::{Blend, BlendFile};
use mmdlrm_data::{Batch, Rated};
use mmdlrm_features::NewMovie;
use mmdlrm_train::{
    Kept, Persist, Ranker, RateNewcomer, Rater, Result, Share, Tensors, Visitor, Who,
};

use crate::scores;

/// Gives the same to everybody: these stars, an item each.
struct Fixed {
    stars: Vec<f32>,
    rates: bool,
    part: &'static str,
}

impl Fixed {
    fn new(stars: &[f32]) -> Self {
        Self {
            stars: stars.to_vec(),
            rates: true,
            part: "same",
        }
    }
}

impl Ranker for Fixed {
    fn parameters(&self) -> usize {
        self.stars.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        *scores = self.stars.repeat(who.len());
        if let Who::Visitor(visitor) = who {
            let shift: &f32 = visitor.state()?;
            scores.iter_mut().for_each(|score| *score += shift);
        }
        Ok(())
    }

    /// Who gave anything likes everything by the first of these stars more.
    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        Ok(Visitor::new(ratings.to_vec(), self.stars[0]))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        self.rates.then_some(self)
    }

    fn explain(&self, _who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        let share = |part: &str, amount| Share {
            part: part.to_owned(),
            amount,
        };
        let of_item = |&item: &u32| {
            vec![
                share("all", 1.0),
                share(self.part, self.stars[item as usize]),
            ]
        };
        Ok(Some(items.iter().map(of_item).collect()))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        Ok((!self.rates).then(|| self.stars.clone()))
    }

    fn newcomer(&self, _movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        Ok(self.rates.then(|| {
            let rate: RateNewcomer<'_> = Box::new(|users, stars| {
                *stars = vec![self.stars[0]; users.len()];
                Ok(())
            });
            rate
        }))
    }
}

impl Rater for Fixed {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.rate_unbounded(batch, stars)?;
        stars
            .iter_mut()
            .for_each(|stars| *stars = stars.clamp(0.5, 5.0));
        Ok(())
    }

    fn rate_items(&self, _who: Who, _items: &[u32], _stars: &mut Vec<f32>) -> Result<()> {
        unreachable!("a blend asks for what goes on past the scale")
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        *stars = batch
            .movies
            .iter()
            .map(|&it| self.stars[it as usize])
            .collect();
        Ok(())
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        let one = items.iter().map(|&it| self.stars[it as usize]);
        *stars = one.collect::<Vec<_>>().repeat(who.len());
        Ok(())
    }
}

fn blend(parts: &[(f64, Fixed)]) -> Blend<&dyn Ranker> {
    let parts = parts.iter();
    Blend::new(parts.map(|(weight, part)| (*weight, part as &dyn Ranker))).unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}");
    }
}

#[test]
fn scores_are_the_weighted_mean_of_any_number_of_parts() {
    let parts = [
        (1.0, Fixed::new(&[4.0, 1.0])),
        (0.0, Fixed::new(&[100.0, -100.0])),
        (2.0, Fixed::new(&[1.0, 4.0])),
        (1.0, Fixed::new(&[2.0, 3.0])),
    ];
    close(
        &scores(&blend(&parts), Who::Users(&[0, 1])),
        &[2.0, 3.0, 2.0, 3.0],
    );
    close(
        &scores(&blend(&parts[1..]), Who::Users(&[0])),
        &[4.0 / 3.0, 11.0 / 3.0],
    );
    close(&scores(&blend(&parts[..1]), Who::Users(&[0])), &[4.0, 1.0]);
    assert_eq!(blend(&parts).parameters(), 8);
}

#[test]
fn two_parts_are_mixed_by_the_very_share_of_the_second() {
    let (p, q) = (3.7654321f32, 2.1234567f32);
    let share = 0.3f32;
    for weights in [(0.7, 0.3), (1.0 - f64::from(share), f64::from(share))] {
        let parts = [(weights.0, Fixed::new(&[p])), (weights.1, Fixed::new(&[q]))];
        let found = scores(&blend(&parts), Who::Users(&[0]))[0];
        assert_eq!(found.to_bits(), (p + share * (q - p)).to_bits());
    }
}

#[test]
fn stars_are_kept_within_bounds_once_they_are_blended() {
    let parts = [
        (0.5, Fixed::new(&[7.0, 6.0])),
        (0.5, Fixed::new(&[2.0, 5.0])),
    ];
    let blend = blend(&parts);
    let rater = blend.rater().unwrap();
    let rows = [0, 1].map(|movie| Rated {
        movie,
        ..Rated::default()
    });
    let mut stars = Vec::new();
    rater.rate(&Batch::of(&rows), &mut stars).unwrap();
    close(&stars, &[4.5, 5.0]);
    rater.rate_unbounded(&Batch::of(&rows), &mut stars).unwrap();
    close(&stars, &[4.5, 5.5]);
    rater
        .rate_items(Who::Users(&[0, 3]), &[1, 0], &mut stars)
        .unwrap();
    close(&stars, &[5.0, 4.5, 5.0, 4.5]);
}

#[test]
fn each_part_meets_a_visitor_and_one_of_another_blend_is_refused() {
    let parts = [
        (0.5, Fixed::new(&[2.0, 0.0])),
        (0.5, Fixed::new(&[1.0, 0.0])),
    ];
    let whole = blend(&parts);
    let visitor = whole.meet(&[Rated::default()], None).unwrap();
    assert_eq!(visitor.ratings().len(), 1);
    // Each shifts its own by its first.
    close(&scores(&whole, Who::Visitor(&visitor)), &[3.0, 1.5]);
    let of_one = blend(&parts[..1]).meet(&[], None).unwrap();
    let error = whole
        .score(Who::Visitor(&of_one), &mut Vec::new())
        .unwrap_err();
    assert!(error.to_string().contains("another blend met"), "{error}");
    let of_part = parts[0].1.meet(&[], None).unwrap();
    assert!(
        whole
            .score(Who::Visitor(&of_part), &mut Vec::new())
            .is_err()
    );
}

#[test]
fn shares_are_scaled_and_those_of_one_part_are_added_up() {
    let other = Fixed {
        part: "other",
        ..Fixed::new(&[1.0])
    };
    let parts = [
        (3.0, Fixed::new(&[2.0])),
        (1.0, Fixed::new(&[4.0])),
        (4.0, other),
    ];
    let shares = blend(&parts)
        .explain(Who::Users(&[0]), &[0])
        .unwrap()
        .unwrap();
    let found: Vec<(&str, f32)> = shares[0]
        .iter()
        .map(|it| (it.part.as_str(), it.amount))
        .collect();
    assert_eq!(found, [("all", 1.0), ("same", 1.25), ("other", 0.5)]);
}

#[test]
fn what_a_part_cannot_tell_the_blend_cannot() {
    let no_rater = Fixed {
        rates: false,
        ..Fixed::new(&[8.0])
    };
    let parts = [(0.5, Fixed::new(&[2.0])), (0.5, no_rater)];
    let (all_rate, one_ranks) = (blend(&parts[..1]), blend(&parts));
    assert!(all_rate.rater().is_some() && one_ranks.rater().is_none());
    let batch = Batch::of(&[Rated::default()]);
    let error = one_ranks
        .rate(&batch, &mut Vec::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("predicts no stars"), "{error}");
    assert!(one_ranks.newcomer(&NewMovie::default()).unwrap().is_none());
    // Vectors are those of the first that has any.
    assert_eq!(all_rate.item_vectors().unwrap(), None);
    assert_eq!(one_ranks.item_vectors().unwrap(), Some(vec![8.0]));
}

#[test]
fn a_newcomer_is_given_the_mean() {
    let parts = [(0.25, Fixed::new(&[2.0])), (0.75, Fixed::new(&[4.0]))];
    let blend = blend(&parts);
    let rate = blend.newcomer(&NewMovie::default()).unwrap().unwrap();
    let mut stars = Vec::new();
    rate(&[0, 1, 2], &mut stars).unwrap();
    close(&stars, &[3.5; 3]);
}

#[test]
fn weights_that_make_no_mean_and_parts_of_different_data_are_refused() {
    let part = || Arc::new(Fixed::new(&[1.0])) as Arc<dyn Ranker>;
    let refused = |weights: &[f64], why: &str| {
        let error = Blend::new(weights.iter().map(|&weight| (weight, part())));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&[], "weight in a blend is 0");
    refused(&[0.0, 0.0], "add up to a number above 0");
    refused(&[0.5, -0.5], "weight in a blend is -0.5");
    refused(&[f64::NAN], "from 0 on");
    refused(&[f64::INFINITY], "from 0 on");
    refused(&[f64::MAX, f64::MAX], "add up to a number");
    let parts = [(0.5, Fixed::new(&[2.0])), (0.5, Fixed::new(&[2.0, 1.0]))];
    let error = blend(&parts).score(Who::Users(&[0]), &mut Vec::new());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("wrote 1 numbers and 2"), "{error}");
}

/// A file of one number.
fn part(value: f32) -> Vec<u8> {
    let mut tensors = Tensors::default();
    tensors.put("x", vec![value]);
    tensors.to_safetensors(&value).unwrap()
}

#[test]
fn a_file_holds_parts_as_they_were_and_is_the_same_each_time() {
    // One name begins the other.
    let file = || {
        let file = BlendFile::default().with("a", 0.1, part(1.0)).unwrap();
        let file = file.with("ab", 0.9, part(2.0)).unwrap();
        (file.to_safetensors().unwrap(), file)
    };
    let (bytes, whole) = file();
    assert!(bytes == file().0);
    let read = BlendFile::read(&bytes).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), ["a", "ab"]);
    assert!(read == whole);
    let (weight, part) = read.part("ab").unwrap();
    let (settings, kept) = Kept::from_safetensors::<f32>(part).unwrap();
    assert_eq!(
        (weight, settings, kept.get("x").unwrap()),
        (0.9, 2.0, &[2.0][..])
    );
    let error = read.part("b").unwrap_err().to_string();
    assert!(error.contains("no part b, but a, ab"), "{error}");
}

#[test]
fn names_that_would_meet_and_files_that_are_no_blends_are_refused() {
    let one = || BlendFile::default().with("a", 0.1, part(1.0)).unwrap();
    assert!(one().with("a", 0.2, part(2.0)).is_err());
    assert!(one().with("a.b", 0.2, part(2.0)).is_err());
    let no_file = one().with("b", 0.2, b"no file".to_vec()).unwrap();
    assert!(no_file.to_safetensors().is_err());
    let error = BlendFile::read(&part(1.0)).unwrap_err().to_string();
    assert!(error.contains("no blend's"), "{error}");
    let bytes = one().to_safetensors().unwrap();
    for length in 0..bytes.len() {
        assert!(BlendFile::read(&bytes[..length]).is_err(), "{length}");
    }
}
