//! Popularity.

use mmdlrm_baselines::{Popularity, PopularityConfig};
use mmdlrm_data::Rated;
use mmdlrm_features::{Known, TrainingData};
use mmdlrm_train::{Fit, Persist, Ranker, Session, Who};

use crate::{dataset, scores};

#[test]
fn everybody_is_told_how_often_movies_are_rated_in_the_training_set() {
    let data = dataset();
    let model = PopularityConfig::default()
        .fit(&data, Session::default())
        .unwrap();
    let movies = data.features().movies().len();
    let mut counts = vec![0.0; movies];
    for user in 0..40 {
        let ids = data.user_histories().row(user).ids;
        ids.iter().for_each(|&movie| counts[movie as usize] += 1.0);
    }
    assert_eq!(model.counts(), counts);
    assert_eq!(scores(&model, Who::Users(&[3, 7])), counts.repeat(2));
    let rated = |movie| {
        [Rated {
            movie,
            ..Rated::default()
        }]
    };
    let visitor = model.meet(&rated(5), None).unwrap();
    assert_eq!(scores(&model, Who::Visitor(&visitor)), counts);
    let error = model.meet(&rated(60), None).unwrap_err().to_string();
    assert!(error.contains("no movie in row 60"), "{error}");

    let known = Known::of(&data).unwrap();
    let file = model.to_safetensors().unwrap();
    assert_eq!(Popularity::load(&file, &known).unwrap(), model);
    let of_more = Known::of(&crate::dataset_of((40, 61), None)).unwrap();
    let error = Popularity::load(&file, &of_more).unwrap_err().to_string();
    assert!(error.contains("60 numbers of counts where 61"), "{error}");
}
