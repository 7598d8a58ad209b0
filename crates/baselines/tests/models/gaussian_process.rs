//! The Gaussian process.

use mmdlrm_baselines::{GaussianProcess, GaussianProcessConfig};
use mmdlrm_data::{Batch, Rated};
use mmdlrm_features::{ContextConfig, Dataset, Known, NewMovie, TrainingData};
use mmdlrm_train::{Fit, Kept, Persist, Ranker, Rater, Session, Share, Tensors, Who};

use crate::{dataset, dataset_with, predictions, scores};

fn fit(timestamps: bool, data: &Dataset) -> GaussianProcess {
    let config = GaussianProcessConfig { timestamps };
    config.fit(data, Session::default()).unwrap()
}

fn with_context(timestamps: bool) -> Dataset {
    let config = ContextConfig {
        timestamps,
        ..ContextConfig::default()
    };
    dataset().with_context(config).unwrap()
}

/// What a user rated in the training set.
fn ratings_of(user: u32, data: &Dataset) -> Vec<Rated> {
    let bag = data.user_histories().row(user);
    let times = bag.timestamps.iter();
    let rated = bag.stars_by_id().zip(times);
    let rated = rated.map(|((movie, stars), &timestamp)| Rated {
        user: 7,
        movie,
        stars,
        timestamp,
    });
    rated.collect()
}

#[test]
fn it_is_the_same_with_a_context_and_without() {
    let plain = dataset();
    for timestamps in [true, false] {
        let (alone, error) = predictions(&fit(timestamps, &plain), &plain);
        // Of a context that looks at times otherwise nothing is taken.
        for of_context in [true, false] {
            let data = with_context(of_context);
            assert!(alone == predictions(&fit(timestamps, &data), &data).0);
        }
        let mean = f64::from(plain.features().rating_scale().1);
        assert!(error < mean - 0.1, "{error} {mean}");
    }
}

#[test]
fn nothing_of_it_depends_on_held_out_or_validation_stars() {
    let file = |data: &Dataset| fit(true, data).to_safetensors().unwrap();
    let (honest, noisy) = (dataset(), dataset_with(Some("0.5")));
    assert_ne!(
        honest.test_batches(9).next().unwrap().unwrap().stars,
        noisy.test_batches(9).next().unwrap().unwrap().stars
    );
    assert!(file(&honest) == file(&noisy));
    let (honest, noisy) = (
        predictions(&fit(true, &honest), &honest).0,
        predictions(&fit(true, &noisy), &noisy).0,
    );
    assert!(honest == noisy);
}

#[test]
fn without_timestamps_it_does_not_depend_on_them() {
    let data = dataset();
    let held_out = data.test_batches(200).next().unwrap().unwrap();
    let mut later = held_out.clone();
    later.timestamps.iter_mut().for_each(|time| *time += 86_400);
    for timestamps in [true, false] {
        let process = fit(timestamps, &data);
        let rate = |batch: &Batch| {
            let mut stars = Vec::new();
            process.rate(batch, &mut stars).unwrap();
            stars
        };
        assert_eq!(rate(&held_out) == rate(&later), !timestamps);
    }
}

#[test]
fn a_file_opens_to_the_same_bits_and_one_of_other_data_is_refused() {
    let data = dataset();
    for timestamps in [true, false] {
        let process = fit(timestamps, &data);
        let file = process.to_safetensors().unwrap();
        let opened = GaussianProcess::load(&file, &Known::of(&data).unwrap()).unwrap();
        assert_eq!(opened.config(), process.config());
        assert_eq!(opened.parameters(), process.parameters());
        assert!(opened.to_safetensors().unwrap() == file);
        let who = Who::Users(&[0, 1, 2]);
        assert!(scores(&opened, who) == scores(&process, who));
        assert!(predictions(&opened, &data) == predictions(&process, &data));

        let (config, kept) = Kept::from_safetensors::<GaussianProcessConfig>(&file).unwrap();
        for short in ["means", "factors", "weights"] {
            let mut tensors = Tensors::default();
            for name in ["mean", "means", "factors", "weights"] {
                let numbers = kept.get(name).unwrap();
                let left_out = usize::from(name == short);
                tensors.put(name, &numbers[left_out..]);
            }
            let file = tensors.to_safetensors(&config).unwrap();
            let error = GaussianProcess::load(&file, &Known::of(&data).unwrap())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(&format!("numbers of {short} where")),
                "{error}"
            );
        }
    }
    assert!(GaussianProcess::load(b"no file", &Known::of(&data).unwrap()).is_err());
}

#[test]
fn a_visitor_is_told_what_a_user_of_the_same_ratings_is() {
    let data = dataset();
    let process = fit(true, &data);
    // Of those whose factors a visitor has.
    let ratings = ratings_of(5, &data);
    let visitor = process.meet(&ratings, None).unwrap();
    assert_eq!(visitor.ratings(), ratings);
    let (own, met) = (
        scores(&process, Who::Users(&[5])),
        scores(&process, Who::Visitor(&visitor)),
    );
    for (own, met) in own.iter().zip(&met) {
        assert!((own - met).abs() < 1e-5, "{own} {met}");
    }
    let nobody = process.meet(&[], None).unwrap();
    let means = scores(&process, Who::Visitor(&nobody));
    assert!(
        means
            .iter()
            .zip(&own)
            .any(|(mean, own)| (mean - own).abs() > 0.05)
    );
}

#[test]
fn stars_of_items_are_scores_within_bounds_and_shares_add_up_to_them() {
    let data = dataset();
    let process = fit(true, &data);
    let items = [3, 50, 8];
    let mut stars = Vec::new();
    process
        .rate_items(Who::Users(&[4, 9]), &items, &mut stars)
        .unwrap();
    let of_all = scores(&process, Who::Users(&[4, 9]));
    let movies = data.features().movies().len();
    let expected = [4, 9].iter().enumerate().flat_map(|(user, _)| {
        let of_all = &of_all;
        items
            .iter()
            .map(move |&item| of_all[user * movies + item as usize].clamp(0.5, 5.0))
    });
    assert!(stars.iter().copied().eq(expected));

    let shares = process.explain(Who::Users(&[4]), &items).unwrap().unwrap();
    let sums: Vec<f32> = shares
        .iter()
        .map(|shares| shares.iter().map(|share| share.amount).sum())
        .collect();
    let parts: Vec<&str> = shares[0].iter().map(|it| it.part.as_str()).collect();
    assert_eq!(parts, [Share::BIAS, GaussianProcess::PART]);
    // Beyond an average item, which is the same for all.
    for (item, sum) in items.iter().zip(&sums) {
        let beyond = sum - sums[0];
        let expected = of_all[*item as usize] - of_all[items[0] as usize];
        assert!((beyond - expected).abs() < 1e-5, "{beyond} {expected}");
    }
}

#[test]
fn a_movie_that_nobody_rated_is_told_apart_by_its_genres() {
    let data = dataset();
    let process = fit(false, &data);
    let genres = data.features().genre_names();
    let rate = |genre: &str| {
        let movie = NewMovie {
            year: Some(1999),
            genres: vec![genre.to_owned()],
            ..NewMovie::default()
        };
        let rate = process.newcomer(&movie).unwrap().unwrap();
        let mut stars = Vec::new();
        rate(&[0, 1, 2, 3], &mut stars).unwrap();
        stars
    };
    let (first, second) = (rate(&genres[0]), rate(&genres[1]));
    assert_eq!(first.len(), 4);
    assert_ne!(first, second);
    let unknown = NewMovie {
        genres: vec!["none".to_owned()],
        ..NewMovie::default()
    };
    assert!(process.newcomer(&unknown).is_err());
}

#[test]
fn users_and_movies_that_there_are_not_are_refused() {
    let data = dataset();
    let process = fit(true, &data);
    let mut out = Vec::new();
    let refused = |found: mmdlrm_train::Result<()>, why: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(
        process.score(Who::Users(&[0, 40]), &mut out),
        "no user in row 40",
    );
    let items = process.rate_items(Who::Users(&[0]), &[60], &mut out);
    refused(items, "no movie in row 60");
    let row = |user, movie| {
        Batch::of(&[Rated {
            user,
            movie,
            ..Rated::default()
        }])
    };
    refused(process.rate(&row(41, 0), &mut out), "no user in row 41");
    refused(process.rate(&row(0, 61), &mut out), "no movie in row 61");
    let rated = Rated {
        movie: 60,
        ..Rated::default()
    };
    refused(process.meet(&[rated], None).map(drop), "no movie in row 60");
    refused(
        process.explain(Who::Users(&[1, 2]), &[0]).map(drop),
        "for one user",
    );
}
