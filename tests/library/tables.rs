//! Tables of anybody's, from files to a run's folder and back.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm::data::generate::{GeneratorConfig, PlantedShop};
use mmdlrm::data::{
    Batch, Candidates, ColumnView, IdMap, InteractionFiles, InteractionOptions, Interactions, Role,
    Schema, Split, Target, UnknownMovies,
};
use mmdlrm::features::{Dataset, DrawnBy, Features, NegativeSampling, TrainingData};
use mmdlrm::train::CheckpointConfig;
use mmdlrm::{
    EvaluationConfig, Experiment, ExperimentConfig, Observer, Preset, Query, Recommender, Report,
    Silent, Source, SplitConfig, Stage,
};

const SHOP: PlantedShop = PlantedShop {
    customers: 300,
    products: 120,
    purchases: 8_000,
    seed: 42,
};

fn files(folder: &Path) -> InteractionFiles {
    SHOP.write(folder).unwrap();
    InteractionFiles {
        interactions: folder.join("purchases.parquet"),
        users: Some(folder.join("customers.csv")),
        items: Some(folder.join("products.parquet")),
        ..InteractionFiles::default()
    }
}

fn config(files: InteractionFiles, out: &Path) -> ExperimentConfig {
    let mut config = ExperimentConfig {
        source: Source::Tables(files),
        split: SplitConfig::Temporal { test_share: 0.2 },
        dim: 16,
        out: out.to_owned(),
        ..ExperimentConfig::default()
    };
    (config.train.epochs, config.train.batch_size) = (5, 64);
    config.train.optimizer.learning_rate = 0.003;
    config
}

fn run(config: ExperimentConfig) -> Report {
    Experiment::new(config).unwrap().run(&mut Silent).unwrap()
}

/// nDCG@10 of the model, and of the simple baselines.
fn ndcg(report: &Report) -> (f64, Vec<f64>) {
    let figure = report.ranking.as_ref().unwrap().rankings[0]
        .figure("nDCG")
        .unwrap();
    let baselines = figure.baselines.iter().map(|it| it.value);
    (figure.value, baselines.collect())
}

#[test]
fn purchases_are_learned_recommended_and_evaluated_by_the_names_that_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let report = run(config(files(folder.path()), &out));
    assert_eq!(report.errors, None);
    let (model, baselines) = ndcg(&report);
    // Popularity, and EASE.
    assert!(
        model > 1.2 * baselines[0] && model > 0.9 * baselines[1],
        "{model} {baselines:?}"
    );
    let said = report.to_string();
    assert!(
        said.contains("purchases of 300 users and 120 products"),
        "{said}"
    );
    assert!(
        !said.contains("movie") && !said.contains("rating"),
        "{said}"
    );
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    let (page, _settings) = page.split_once("<h2>Configuration</h2>").unwrap();
    for word in ["movie", "Movie", "rating", "stars"] {
        assert!(!page.contains(word), "{word}");
    }

    let recommender = Recommender::load(&out, &mut Silent).unwrap();
    let user = recommender.user_named("c00000007").unwrap();
    assert_eq!(recommender.name_of_user(user).unwrap(), "c00000007");
    let bought = recommender.rated_by(user).unwrap();
    let query = Query {
        count: 5,
        ..Query::default()
    };
    let found = recommender.recommend(user, &query).unwrap();
    assert_eq!(found.len(), 5);
    for found in &found {
        assert!(bought.iter().all(|(item, _)| *item != found.movie_id));
        assert_eq!(found.stars, None);
        let product = recommender.catalogue().movie(found.movie_id).unwrap();
        let name = product.named.as_deref().unwrap();
        assert_eq!(recommender.catalogue().named(name).unwrap(), product);
    }
    let item = recommender.catalogue().named("sku-0000003").unwrap().id;
    let visitor = recommender
        .recommend_to_visitor(&[(item, 1.0)], &query)
        .unwrap();
    assert_eq!(visitor.len(), 5);
    let error = recommender
        .recommend_to_visitor(&[(item, 4.0)], &query)
        .unwrap_err();
    assert!(error.to_string().contains("from 1 to 1"), "{error}");
    let error = recommender.user_named("c9").unwrap_err().to_string();
    assert!(error.contains("'c9'"), "{error}");
    let kinds = Query {
        genres: vec!["kind: lamps".to_owned()],
        ..query
    };
    for found in recommender.recommend(user, &kinds).unwrap() {
        let product = recommender.catalogue().movie(found.movie_id).unwrap();
        assert!(product.title.contains("lamps"), "{}", product.title);
    }

    // Nothing but the run is needed to ask, and the tables to measure once more.
    let config = EvaluationConfig::default();
    let again = Experiment::evaluate_on(&out, &config, folder.path().join("again"), &mut Silent);
    assert_eq!(again.unwrap().ndcg_at_10(), report.ndcg_at_10());
}

#[test]
fn labels_are_learned_as_probabilities_and_ratings_in_their_own_scale() {
    let folder = tempfile::tempdir().unwrap();
    // From -10 to 20, a part of the user's and a part of the item's.
    let points = |user: u32, item: u32| 10 * (user % 3) as i32 - 5 * (item % 3) as i32;
    let path = folder.path().join("reviews.csv");
    let mut text = String::from("who,what,points\n");
    for row in 0..4_000u32 {
        let (user, item) = (row % 61, row / 61 % 67);
        text.push_str(&format!("w{user},i{item},{}\n", points(user, item)));
    }
    std::fs::write(&path, text).unwrap();
    let mut files = InteractionFiles {
        interactions: path,
        ..InteractionFiles::default()
    };
    files.options.schema = Schema {
        user: Some("who".to_owned()),
        item: Some("what".to_owned()),
        target: Some("points".to_owned()),
        ..Schema::default()
    };
    let mut reviews = config(files, &folder.path().join("reviews"));
    reviews.split = SplitConfig::Random {
        test_share: 0.2,
        seed: 3,
    };
    let errors = run(reviews).errors.unwrap();
    assert!(
        errors.rmse < 2.0 && errors.r2 > Some(0.9),
        "{} {:?}",
        errors.rmse,
        errors.r2
    );
    assert!(errors.labels.is_none());
    let recommender = Recommender::load(folder.path().join("reviews"), &mut Silent).unwrap();
    let user = recommender.user_named("w3").unwrap();
    for (item, given) in recommender.rated_by(user).unwrap() {
        let name = recommender
            .catalogue()
            .movie(item)
            .unwrap()
            .named
            .clone()
            .unwrap();
        let item: u32 = name[1..].parse().unwrap();
        assert!((f64::from(given) - f64::from(points(3, item))).abs() < 1e-4);
    }
    let item = recommender.catalogue().named("i4").unwrap().id;
    let predicted = recommender.predict(user, item).unwrap();
    assert!((predicted - points(3, 4) as f32).abs() < 5.0, "{predicted}");

    let path = folder.path().join("clicks.csv");
    let mut text = String::from("user,item,label,time\n");
    for row in 0..6_000u32 {
        let (user, item) = (row * 7 % 97, row * 11 % 61);
        let label = u32::from((user % 3 + item % 3 >= 2) ^ (row % 10 == 0));
        text.push_str(&format!("u{user},i{item},{label},{row}\n"));
    }
    std::fs::write(&path, text).unwrap();
    let files = InteractionFiles {
        interactions: path,
        ..InteractionFiles::default()
    };
    let mut config = config(files, &folder.path().join("clicks"));
    config.train.epochs = 8;
    config.validation = Some(0.1);
    let clicks = run(config);
    assert!(clicks.to_string().contains("RMSE (label, "), "{clicks}");
    let labels = clicks.errors.unwrap().labels.unwrap();
    assert!(labels.auc > Some(0.8), "{labels:?}");
    assert!(labels.log_loss < 0.69, "{labels:?}");
}

/// Stops the training after so many rows.
struct Stopper(Arc<AtomicBool>, u64);

impl Observer for Stopper {
    fn begin(&mut self, _stage: Stage, _total: u64) {}

    fn advance(&mut self, done: u64) {
        self.1 = self.1.saturating_sub(done);
        self.0.store(self.1 == 0, Ordering::Relaxed);
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_model_and_refuses_other_tables() {
    let folder = tempfile::tempdir().unwrap();
    let model = |out: &Path| std::fs::read(out.join("model.safetensors")).unwrap();
    let of = |name: &str| {
        let mut config = config(files(folder.path()), &folder.path().join(name));
        config.checkpoints = CheckpointConfig {
            every_steps: 20,
            ..config.checkpoints
        };
        config.train.batch_size = 512;
        config
    };
    run(of("whole"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Experiment::new(of("part"))
        .unwrap()
        .stop_when(Arc::clone(&stop));
    let error = stopped.run(&mut Stopper(stop, 60_000)).unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    let part = folder.path().join("part");
    Experiment::resume(&part).unwrap().run(&mut Silent).unwrap();
    assert_eq!(model(&part), model(&folder.path().join("whole")));

    let other = PlantedShop {
        purchases: SHOP.purchases - 1,
        ..SHOP
    };
    other.write(folder.path()).unwrap();
    let error = Experiment::resume(&part).err().unwrap().to_string();
    assert!(error.contains("ratings: "), "{error}");
}

#[test]
fn negatives_are_the_same_on_any_number_of_threads_and_none_was_bought() {
    let folder = tempfile::tempdir().unwrap();
    let interactions = files(folder.path()).open().unwrap();
    let split = Split::temporal(&interactions.ratings, 0.2).unwrap();
    let sampling = NegativeSampling {
        per_interaction: 2,
        by: DrawnBy::Popularity,
    };
    let data = || {
        let data = Dataset::new(&interactions, split.clone(), interactions.vectors.to_vec());
        data.unwrap().with_negatives(sampling).unwrap()
    };
    let batches = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let batches = data().training_batches(500, 9);
            batches.map(Result::unwrap).collect::<Vec<_>>()
        })
    };
    let one = batches(1);
    assert_eq!(one, batches(4));
    let data = data();
    assert_eq!(data.rows_of_epoch(), 3 * data.training_rows());
    let later: Vec<_> = data
        .training_batches_from(500, 9, 5)
        .map(Result::unwrap)
        .collect();
    assert_eq!(later, one[5..]);
    let known: HashSet<(u32, u32)> = (0..data.features().users().len() as u32)
        .flat_map(|user| {
            data.user_histories()
                .row(user)
                .ids
                .iter()
                .map(move |&item| (user, item))
        })
        .collect();
    let mut rows = (0, 0);
    for batch in &one {
        for ((&user, &item), &target) in batch.users.iter().zip(&batch.movies).zip(&batch.stars) {
            let is_known = known.contains(&(user, item));
            assert_eq!(target == 1.0, is_known);
            rows = (rows.0 + 1, rows.1 + usize::from(is_known));
        }
    }
    assert_eq!(rows.0, 3 * rows.1);
}

#[test]
fn what_does_not_fit_the_data_is_refused_before_training_begins() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |config: ExperimentConfig, why: &str| {
        let error = Experiment::new(config).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    };
    let out = folder.path().join("run");
    let plain = config(files(folder.path()), &out);
    let best = ExperimentConfig {
        preset: Preset::Best,
        ..plain.clone()
    };
    refused(best, "it predicts ratings of a scale");
    let streamed = ExperimentConfig {
        stream: true,
        split: SplitConfig::LeaveLastOut { count: 1 },
        ..plain.clone()
    };
    refused(streamed, "can only be split at random or in time");
    let mut timeless = plain.clone();
    if let Source::Tables(files) = &mut timeless.source {
        files
            .options
            .schema
            .roles
            .insert("time".to_owned(), Role::Unused);
    }
    refused(timeless, "the interactions have no time: add its column");
    let mut wrong = plain;
    if let Source::Tables(files) = &mut wrong.source {
        files.options.schema = Schema {
            item: Some("skuu".to_owned()),
            ..Schema::default()
        };
    }
    refused(wrong, "did you mean 'sku'?");
    assert!(!out.exists());
}

#[test]
fn the_ranker_learns_purchases_without_a_rater() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rank");
    let mut config = ExperimentConfig {
        source: Source::Tables(files(folder.path())),
        split: SplitConfig::LeaveLastOut { count: 1 },
        out: out.clone(),
        ..ExperimentConfig::of(Preset::Rank)
    };
    config.train.epochs = 6;
    let report = run(config);
    let (model, baselines) = ndcg(&report);
    assert!(model > baselines[0], "{model} {baselines:?}");
    let recommender = Recommender::load(&out, &mut Silent).unwrap();
    let user = recommender.user_ids()[0];
    let reason = &recommender.recommend(user, &Query::default()).unwrap()[0].reasons[0];
    assert!(
        reason.words.starts_with("because you chose "),
        "{}",
        reason.words
    );
}

#[test]
fn what_is_known_of_single_purchases_goes_with_them_and_with_what_is_drawn_beside() {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = files(folder.path());
    tables.options.schema.roles = [
        ("shop".to_owned(), Role::Id),
        ("amount".to_owned(), Role::Dense),
    ]
    .into();
    let interactions = tables.open().unwrap();
    let rows = interactions.ratings.len();
    assert_eq!(interactions.pairs.measures[0].values.len(), rows);
    let split = Split::temporal(&interactions.ratings, 0.2).unwrap();
    let first = split.test()[0];
    let shop = interactions.pairs.categories[0].clone();
    let data = Dataset::new(&interactions, split, Vec::new()).unwrap();
    let data = data.with_negatives(NegativeSampling::default()).unwrap();
    let names = data.features().dense_names();
    assert_eq!(names.last().map(String::as_str), Some("pair_amount"));
    let bags = |batch: &Batch, row: usize| match batch.column("pair_shop") {
        Some(ColumnView::Bags { offsets, ids }) => {
            ids[offsets[row] as usize..offsets[row + 1] as usize].to_vec()
        }
        other => panic!("{other:?}"),
    };
    let amount = |batch: &Batch, row: usize| match batch.column(Features::DENSE) {
        Some(ColumnView::Dense { width, values }) => values[(row + 1) * width - 1],
        other => panic!("{other:?}"),
    };
    let test = data.test_batches(10).next().unwrap().unwrap();
    assert_eq!(bags(&test, 0), shop.bags.row(first));
    let batch = data.training_batches(500, 3).next().unwrap().unwrap();
    for row in 0..500 {
        assert_eq!(bags(&batch, row), bags(&batch, row / 5 * 5));
        assert_eq!(amount(&batch, row), amount(&batch, row / 5 * 5));
    }
    // Of what nobody did yet, nothing is known.
    let asked = data.features().catalogue_batch(0);
    assert_eq!((bags(&asked, 7), amount(&asked, 7)), (vec![], 0.0));

    let out = folder.path().join("run");
    let report = run(config(tables, &out));
    let again = folder.path().join("again");
    let again = Experiment::evaluate_on(&out, &EvaluationConfig::default(), again, &mut Silent);
    assert_eq!(again.unwrap().ndcg_at_10(), report.ndcg_at_10());
}

#[test]
fn pictures_and_texts_of_items_are_encoded_as_posters_and_plots_are() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    mmdlrm::data::generate::write(&dir, &GeneratorConfig::tiny(), |_| {}).unwrap();
    let posters = mmdlrm::data::read_posters(&dir.join("posters.csv"), None).unwrap();
    let plots = mmdlrm::data::read_summaries(&dir.join("summaries.csv"), None).unwrap();
    let plots: HashMap<u32, String> = plots.into_iter().map(|it| (it.movie_id, it.text)).collect();
    let mut items = String::from("movieId,photo,about\n");
    for poster in &posters {
        let photo = poster.path.strip_prefix(&dir).unwrap().display();
        let about = plots.get(&poster.movie_id).map_or("", String::as_str);
        items.push_str(&format!("{},{photo},\"{about}\"\n", poster.movie_id));
    }
    // One that has neither.
    items.push_str("999999,,\n");
    let path = dir.join("items.csv");
    std::fs::write(&path, items).unwrap();
    let mut files = InteractionFiles {
        interactions: dir.join("ratings.csv"),
        items: Some(path),
        ..InteractionFiles::default()
    };
    let options = &mut files.options;
    options.unknown_items = UnknownMovies::Drop;
    options.schema.implicit = true;
    options.schema.roles = [
        ("photo".to_owned(), Role::Image),
        ("about".to_owned(), Role::Text),
        ("rating".to_owned(), Role::Unused),
    ]
    .into();
    let out = folder.path().join("run");
    let report = run(config(files, &out));
    assert_eq!(report.inputs.posters, posters.len());
    assert!(report.inputs.summaries > 0);
    let missing = report.inputs.missing.iter().map(|it| it.modality.as_str());
    assert_eq!(missing.collect::<Vec<_>>(), ["image", "text"]);
    // What it makes of a newcomer it cannot say, since nothing is rated.
    let recommender = Recommender::load(&out, &mut Silent).unwrap();
    assert!(recommender.predict(recommender.user_ids()[0], 0).is_err());
}

#[test]
fn rows_to_hold_out_and_candidates_name_users_and_items_as_the_tables_do() {
    let folder = tempfile::tempdir().unwrap();
    let interactions = files(folder.path()).open().unwrap();
    let users = interactions.users.names().unwrap();
    let items = interactions.items.index();
    let of_row = |row: usize| {
        let user = users
            .name(interactions.ratings.user_ids()[row])
            .unwrap()
            .into_owned();
        let item = items.row(interactions.ratings.movie_ids()[row]).unwrap();
        (user, items.name(item).unwrap().into_owned())
    };
    let rows = folder.path().join("rows.csv");
    let (first, second) = (of_row(5), of_row(9));
    let text = format!(
        "userId,movieId\n{},{}\n{},{}\n",
        first.0, first.1, second.0, second.1
    );
    std::fs::write(&rows, text).unwrap();
    let split = Split::from_test_rows(&rows, &interactions).unwrap();
    assert_eq!(split.test(), [5, 9]);
    std::fs::write(&rows, format!("userId,movieId\n{},sku-99\n", first.0)).unwrap();
    let error = Split::from_test_rows(&rows, &interactions)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("rows.csv, line 2, column 'movieId': 'sku-99' is not an id"),
        "{error}"
    );

    let path = folder.path().join("candidates.csv");
    let others = (0..30).map(|row| items.name(row).unwrap().into_owned());
    let others: Vec<String> = others.filter(|name| *name != first.1).collect();
    let row = format!("{},{},{}\n", first.0, first.1, others.join(","));
    let columns = (0..others.len()).map(|column| format!(",c{column}"));
    let header = format!("userId,heldOutMovieId{}\n", columns.collect::<String>());
    std::fs::write(&path, header + &row).unwrap();
    let candidates = Candidates::read(&path, &interactions).unwrap();
    assert_eq!(candidates.split(&interactions).unwrap().test(), [5]);
}

#[test]
fn one_name_is_one_user_in_a_release_and_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let sample = GeneratorConfig {
        contents: false,
        ..GeneratorConfig::tiny()
    };
    mmdlrm::data::generate::write(&dir, &sample, |_| {}).unwrap();
    let release = mmdlrm::data::MovieLens::open(&dir).unwrap();
    let tables = InteractionFiles {
        interactions: dir.join("ratings.csv"),
        items: Some(dir.join("movies.csv")),
        options: InteractionOptions {
            scale: Some((0.5, 5.0)),
            ..InteractionOptions::default()
        },
        ..InteractionFiles::default()
    };
    let tables = tables.open().unwrap();
    assert_eq!(tables.ratings.target(), Target::STARS);
    let of = |interactions: Interactions| {
        let split = Split::random(interactions.ratings.len(), 0.2, 3).unwrap();
        let ids = IdMap::from_ids(interactions.ratings.user_ids().iter().copied());
        let users = ids.len();
        let data = Dataset::new(interactions, split, Vec::new()).unwrap();
        let batches = data.test_batches(1000).map(Result::unwrap);
        let rows = batches.flat_map(|batch| {
            let stars = batch.stars.clone();
            batch
                .users
                .clone()
                .into_iter()
                .zip(stars)
                .collect::<Vec<_>>()
        });
        (users, rows.collect::<Vec<_>>())
    };
    assert_eq!(of((&release).into()), of(tables));
}
