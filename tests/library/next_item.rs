//! The model that ranks by what comes next: its gradients, its file, and that it
//! does not see what is held out.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mmdlrm::data::{Candidates, MovieLens, generate};
use mmdlrm::features::{Dataset, TrainingData};
use mmdlrm::model::{
    Error, ItemInputs, NextItem, NextItemConfig, NextItemExample, NextItemGradients,
    NoPairFeatures, PairFeatures, RecencyBag, StepPart,
};
use mmdlrm::train::{NextItemData, NextItemRanker, NextItemTrainConfig, Session, train_next_item};
use mmdlrm::{
    Experiment, ExperimentConfig, Newcomer, Observer, Preset, Query, RankingReport, Recommender,
    Silent, Source, SplitConfig, Stage, Task,
};

use crate::support::shared;

const ITEMS: usize = 37;
const FEATURES: usize = 5;
const WIDTH: usize = 3;
const PAIRS: usize = 2;
/// More than one piece.
const EXAMPLES: usize = 100;
/// More pieces than a wave of them.
const MANY: usize = 1500;

/// From 0 to 1: a fixed jumble, which a test of derivatives needs no better than.
fn jumble(i: usize) -> f32 {
    ((i * 7919 + 13) % 1009) as f32 / 1009.0
}

struct Jumble;

/// The same from an example on.
struct JumbleFrom(usize);

impl PairFeatures for JumbleFrom {
    fn fill(&self, example: usize, out: &mut [f32]) {
        Jumble.fill(self.0 + example, out);
    }
}

impl PairFeatures for Jumble {
    fn fill(&self, example: usize, out: &mut [f32]) {
        for (place, out) in out.iter_mut().enumerate() {
            *out = jumble(example * 31 + place) - 0.5;
        }
    }
}

/// Histories from empty to longer than a bag reaches, items without features.
struct Input {
    offsets: Vec<u32>,
    features: Vec<u32>,
    vectors: Vec<f32>,
    histories: Vec<(Vec<u32>, Vec<f32>)>,
}

impl Input {
    fn new() -> Self {
        Self::of(EXAMPLES)
    }

    fn of(examples: usize) -> Self {
        let mut offsets = vec![0];
        let mut features = Vec::new();
        for item in 0..ITEMS {
            features.extend((0..item % 4).map(|i| ((item + 2 * i) % FEATURES) as u32));
            offsets.push(features.len() as u32);
        }
        let history = |example: usize| {
            let length = example % 12;
            let items = (0..length).map(|i| ((example * 5 + i * 3) % ITEMS) as u32);
            let deviations = (0..length).map(|i| 4.0 * jumble(example + i) - 2.0);
            (items.collect(), deviations.collect())
        };
        Self {
            offsets,
            features,
            vectors: (0..ITEMS * WIDTH).map(|i| jumble(i + 77) - 0.5).collect(),
            histories: (0..examples).map(history).collect(),
        }
    }

    fn items(&self) -> ItemInputs<'_> {
        ItemInputs {
            offsets: &self.offsets,
            features: &self.features,
            vectors: &self.vectors,
        }
    }

    fn examples(&self) -> Vec<NextItemExample<'_>> {
        let histories = self.histories.iter().enumerate();
        let examples = histories.map(|(example, (history, deviations))| NextItemExample {
            history,
            deviations,
            moment: (example % 4) as u32,
            length: (example % 3) as u32,
            seen: history,
            // Now and then one that was seen before.
            next: (example * 11 % ITEMS) as u32,
        });
        examples.collect()
    }
}

fn config() -> NextItemConfig {
    let mut config = NextItemConfig::default();
    config.dim = 6;
    config.items = ITEMS;
    config.features = FEATURES;
    config.vector = WIDTH;
    config.moments = 4;
    config.lengths = 3;
    config.pair_features = PAIRS;
    let bag = |recency, rating| RecencyBag { recency, rating };
    config.bags = vec![bag(1.5, 0.0), bag(8.0, 0.4)];
    config
}

/// Parameters large enough that every derivative is.
fn model() -> NextItem {
    let counts: Vec<u32> = (0..ITEMS as u32).collect();
    let mut model = NextItem::new(config(), &counts, 5).unwrap();
    for (place, x) in model.parameters_mut().iter_mut().enumerate() {
        *x += jumble(place * 3) - 0.5;
    }
    model
}

fn loss(model: &NextItem, input: &Input, gradients: &mut NextItemGradients) -> f64 {
    model
        .gradients(&input.items(), &input.examples(), &Jumble, 9, gradients)
        .unwrap()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (mut model, input) = (model(), Input::new());
    let mut gradients = NextItemGradients::default();
    loss(&model, &input, &mut gradients);
    let mut ignored = NextItemGradients::default();
    let mut not_zero = 0;
    const STEP: f32 = 4e-3;
    for place in 0..model.parameters().len() {
        let before = model.parameters()[place];
        let mut at = |x: f32| {
            model.parameters_mut()[place] = x;
            loss(&model, &input, &mut ignored)
        };
        let difference = at(before + STEP) - at(before - STEP);
        at(before);
        let (found, expected) = (
            f64::from(gradients.values[place]),
            difference / (2.0 * f64::from(STEP)),
        );
        assert!(
            (found - expected).abs() < 2e-4 + 5e-3 * expected.abs(),
            "parameter {place}: {found} {expected}"
        );
        not_zero += usize::from(found.abs() > 1e-3);
    }
    assert!(not_zero > model.parameters().len() / 2, "{not_zero}");
}

#[test]
fn gradients_of_the_parts_of_a_step_add_up_to_those_of_the_step() {
    let (model, input) = (model(), Input::new());
    let mut whole = NextItemGradients::default();
    let expected = loss(&model, &input, &mut whole);
    let examples = input.examples();
    let samples = examples.len();
    let mut sums = vec![0.0; whole.values.len()];
    let mut sum = 0.0;
    for range in [0..3, 3..4, 4..samples] {
        let mut gradients = NextItemGradients {
            part: Some(StepPart {
                first: range.start,
                samples,
            }),
            ..NextItemGradients::default()
        };
        let pairs = JumbleFrom(range.start);
        let found = model.gradients(&input.items(), &examples[range], &pairs, 9, &mut gradients);
        sum += found.unwrap();
        let values = sums.iter_mut().zip(&gradients.values);
        values.for_each(|(sum, x)| *sum += x);
    }
    assert!((sum - expected).abs() < 1e-6, "{sum} {expected}");
    for (place, (sum, expected)) in sums.iter().zip(&whole.values).enumerate() {
        assert!((sum - expected).abs() < 1e-5, "{place}: {sum} {expected}");
    }
}

/// The softmax written down from the scores, where nothing is dropped.
#[test]
fn the_loss_is_the_cross_entropy_of_the_scores() {
    let mut config = config();
    (config.dropout, config.history_dropout) = (0.0, 0.0);
    let model = NextItem::new(config, &[3; ITEMS], 5).unwrap();
    let input = Input::new();
    let examples = input.examples();
    let scores = model.scores(&input.items(), &examples, &Jumble).unwrap();
    let mut expected = 0.0;
    for (example, scores) in examples.iter().zip(scores.chunks(ITEMS)) {
        let competes = |item: u32| item == example.next || !example.seen.contains(&item);
        let sum: f64 = (0..ITEMS as u32)
            .filter(|&item| competes(item))
            .map(|item| f64::from(scores[item as usize]).exp())
            .sum();
        expected += sum.ln() - f64::from(scores[example.next as usize]);
    }
    expected /= EXAMPLES as f64;
    let found = loss(&model, &input, &mut NextItemGradients::default());
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
}

#[test]
fn gradients_and_scores_are_the_same_bits_on_any_number_of_threads() {
    let (model, input) = (model(), Input::of(MANY));
    let of_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut gradients = NextItemGradients::default();
            let loss = loss(&model, &input, &mut gradients);
            let scores = model.scores(&input.items(), &input.examples(), &Jumble);
            (loss.to_bits(), gradients, scores.unwrap())
        })
    };
    let one = of_threads(1);
    for threads in [3, 12, 30] {
        assert!(of_threads(threads) == one, "{threads} threads");
    }
}

#[test]
fn a_file_holds_the_whole_model_and_a_broken_one_is_refused() {
    let model = model();
    let bytes = model.to_safetensors().unwrap();
    assert_eq!(NextItem::from_safetensors(&bytes).unwrap(), model);
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(NextItem::from_safetensors(&bytes[..length]).is_err());
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("\\\"dim\\\":6"), "the configuration moved");
    // Of the same length, so that the header's stays true.
    for (from, to) in [
        ("\\\"dim\\\":6", "\\\"dim\\\":7"),
        ("\\\"dim\\\":6", "\\\"dim\\\":0"),
        ("items\\\":37", "items\\\":99"),
        ("mmdlrm_next_item", "mmdlrm_next_ited"),
    ] {
        let broken = replace(&bytes, from.as_bytes(), to.as_bytes());
        assert!(NextItem::from_safetensors(&broken).is_err(), "{to}");
    }
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from);
    let mut out = bytes.to_vec();
    out[at.unwrap()..][..to.len()].copy_from_slice(to);
    out
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let (model, input) = (model(), Input::new());
    // Only constants are put in.
    type Spoil = fn(&mut ItemInputs<'_>, &mut NextItemExample<'_>);
    let spoils: [(&str, Spoil); 8] = [
        ("items: row 37 at position 0", |_, example| {
            example.next = 37
        }),
        ("items: row 40", |_, example| example.history = &[40]),
        ("moments: row 4", |_, example| example.moment = 4),
        ("lengths: row 3", |_, example| example.length = 3),
        ("deviations of a history", |_, example| {
            example.deviations = &[];
        }),
        ("NaN", |_, example| example.deviations = &[f32::NAN]),
        ("offsets", |items, _| items.offsets = &[0]),
        ("vectors of items", |items, _| items.vectors = &[]),
    ];
    for (part, spoil) in spoils {
        let mut items = input.items();
        let mut example = input.examples()[1];
        assert_eq!(example.history.len(), 1);
        spoil(&mut items, &mut example);
        let error = model.scores(&items, &[example], &NoPairFeatures);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(part), "no '{part}' in: {error}");
    }
}

#[test]
fn shapes_that_make_no_sense_are_refused() {
    type Spoil = fn(&mut NextItemConfig);
    let spoils: [(&str, Spoil); 6] = [
        ("dim", |config| config.dim = 0),
        ("items", |config| config.items = usize::MAX),
        ("bags", |config| config.bags.clear()),
        ("bags[1].recency", |config| config.bags[1].recency = 0.0),
        ("dropout", |config| config.dropout = 1.0),
        ("history_dropout", |config| {
            config.history_dropout = f32::NAN;
        }),
    ];
    for (name, spoil) in spoils {
        let mut config = config();
        spoil(&mut config);
        match NextItem::new(config, &[1; ITEMS], 1) {
            Err(Error::Setting { setting, .. }) => assert_eq!(setting, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(NextItem::new(config(), &[1; 3], 1).is_err());
}

/// Ranks a made-up folder with each user's last rating held out, its stars and
/// its moment changed by `spoil`; the bytes of `candidates.parquet`.
fn candidates(spoil: impl Fn(&str, &str) -> (String, String)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let report = rank(made_up(folder.path(), spoil));
    assert_eq!(report.users, 40);
    fs::read(folder.path().join("run/candidates.parquet")).unwrap()
}

/// Writes the folder; the run is to be beside it.
fn made_up(folder: &Path, spoil: impl Fn(&str, &str) -> (String, String)) -> ExperimentConfig {
    let dir = folder.join("sample");
    let generator = generate::GeneratorConfig {
        users: 40,
        movies: 60,
        ratings: 1000,
        seed: 9,
        contents: false,
    };
    generate::write(&dir, &generator, |_| {}).unwrap();
    hold_out_last(&dir, spoil);
    let mut config = ExperimentConfig {
        source: Source::Folder {
            data: dir.clone(),
            posters: None,
            summaries: None,
        },
        task: Task::Rank,
        split: SplitConfig::Candidates(dir.join("candidates.csv")),
        out: folder.join("run"),
        dim: 8,
        ..ExperimentConfig::default()
    };
    config.next_item.epochs = 2;
    config.next_item.batch_size = 100;
    config
}

fn rank(config: ExperimentConfig) -> RankingReport {
    Experiment::new(config).unwrap().rank(&mut Silent).unwrap()
}

fn hold_out_last(dir: &Path, spoil: impl Fn(&str, &str) -> (String, String)) {
    let path = dir.join("ratings.csv");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let movies = fs::read_to_string(dir.join("movies.csv")).unwrap();
    let ids = movies.lines().skip(1).map(|line| line.split(',').next());
    let movies: Vec<&str> = ids.map(Option::unwrap).collect();
    let mut file = String::from("userId,heldOutMovieId,negative_1,negative_2,negative_3\n");
    for user in 1..=40 {
        let user = user.to_string();
        let rows = || (1..lines.len()).filter(|&row| lines[row][0] == user);
        let seen: Vec<&str> = rows().map(|row| &lines[row][1][..]).collect();
        let unseen = movies.iter().filter(|id| !seen.contains(id));
        let unseen: Vec<&str> = unseen.take(3).copied().collect();
        let last = rows().max_by_key(|&row| lines[row][3].parse::<u32>().unwrap());
        let last = last.unwrap();
        file.push_str(&format!("{user},{},{}\n", lines[last][1], unseen.join(",")));
        let (stars, moment) = spoil(&lines[last][2], &lines[last][3]);
        (lines[last][2], lines[last][3]) = (stars, moment);
    }
    fs::write(dir.join("candidates.csv"), file).unwrap();
    let lines: Vec<String> = lines.iter().map(|line| line.join(",")).collect();
    fs::write(path, lines.join("\n")).unwrap();
}

/// One step, so large that no loss can tell of it: there is none after it. Parameters
/// are then finite and scores are not, or neither is.
#[test]
fn a_last_step_that_goes_too_far_is_not_told_as_one_of_scores() {
    for learning_rate in [1e30, 1e38] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = made_up(folder.path(), |stars, moment| (stars.into(), moment.into()));
        config.next_item = NextItemTrainConfig {
            epochs: 1,
            batch_size: 1 << 20,
            learning_rate,
            weight_decay: 0.0,
            ..NextItemTrainConfig::default()
        };
        let error = Experiment::new(config).unwrap().rank(&mut Silent);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("learning rate or clip gradients"), "{error}");
        assert!(error.contains(".weight "), "{error}");
    }
}

/// NaN in a row that no example touches shows in no loss.
#[test]
fn a_parameter_that_is_no_number_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    made_up(folder.path(), |stars, moment| (stars.into(), moment.into()));
    let dir = folder.path().join("sample");
    let movielens = MovieLens::open(&dir).unwrap();
    let candidates = Candidates::read(&dir.join("candidates.csv"), &movielens).unwrap();
    let split = candidates.split(&movielens).unwrap();
    let data = NextItemData::new(&movielens, &split, &candidates, &[]).unwrap();
    let mut model = data.model(8, 1).unwrap();
    // Of the longest histories that are told apart, before the items' biases and the
    // weights of pairs.
    let behind = model.config().items + model.config().pair_features;
    let place = model.parameters().len() - behind - 1;
    model.parameters_mut()[place] = f32::NAN;
    let dataset = Dataset::new(&movielens, split, Vec::new()).unwrap();
    let mut ranker = NextItemRanker::new(model, data, dataset.features()).unwrap();
    let config = NextItemTrainConfig::default();
    let session = Session::default().on_epoch(|_, _| panic!("it is handed on"));
    let error = train_next_item(&mut ranker, &config, session);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("when lengths.weight had reached NaN"),
        "{error}"
    );
}

#[test]
fn decay_that_takes_a_tenth_of_a_parameter_a_step_is_refused() {
    let config = NextItemTrainConfig {
        weight_decay: 40.0,
        ..NextItemTrainConfig::default()
    };
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("weight_decay is 40 at a learning rate of 0.003"),
        "{error}"
    );
}

#[test]
fn scores_do_not_depend_on_held_out_ratings_to_the_bit() {
    let as_it_is = |stars: &str, moment: &str| (stars.to_owned(), moment.to_owned());
    let honest = candidates(as_it_is);
    assert!(honest == candidates(as_it_is), "the same seed");
    let noisy = candidates(|_, moment| {
        let moment: u32 = moment.parse().unwrap();
        ("0.5".to_owned(), (moment / 3 * 2).to_string())
    });
    assert!(honest == noisy);
}

#[test]
fn what_cannot_be_ranked_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let as_it_is = |stars: &str, moment: &str| (stars.to_owned(), moment.to_owned());
    let fits = made_up(folder.path(), as_it_is);
    let refused = |change: &dyn Fn(&mut ExperimentConfig)| {
        let mut config = fits.clone();
        change(&mut config);
        let error = Experiment::new(config).err().unwrap().to_string();
        assert!(!fits.out.exists(), "{error}");
        error
    };
    let random = SplitConfig::Random {
        test_share: 0.2,
        seed: 1,
    };
    let error = refused(&|config| config.split = random.clone());
    assert!(error.contains("file of candidates"), "{error}");
    let error = refused(&|config| config.validation = Some(0.1));
    assert!(error.contains("takes its last epoch"), "{error}");
    let error = refused(&|config| config.preset = Preset::Best);
    assert!(error.contains("leave the preset out"), "{error}");
    let error = refused(&|config| config.dim = 1 << 30);
    assert!(error.contains("dim"), "{error}");
    // Nobody has rated two of the movies that compete.
    let candidates = folder.path().join("sample/candidates.csv");
    let whole = fs::read_to_string(&candidates).unwrap();
    let first: Vec<&str> = whole.lines().nth(1).unwrap().split(',').collect();
    let few = format!("userId,heldOutMovieId,a\n{}\n", first[..3].join(","));
    fs::write(&candidates, few).unwrap();
    let only = |movies: &str| {
        let path = folder.path().join("sample/ratings.csv");
        let text = fs::read_to_string(&path).unwrap();
        let kept = text.lines().filter(|line| {
            let movie = line.split(',').nth(1).unwrap();
            line.starts_with("userId") || movies.split(',').any(|it| it == movie)
        });
        let kept: Vec<&str> = kept.collect();
        fs::write(path, kept.join("\n")).unwrap();
    };
    only(&first[1..2].join(","));
    let error = refused(&|_| {});
    assert!(error.contains("some user must have two or more"), "{error}");
    // A task and the method that does it go together.
    let mut rates = fits.clone();
    (rates.task, rates.split) = (Task::Rate, random);
    let error = Experiment::new(rates).unwrap().rank(&mut Silent);
    assert!(error.unwrap_err().to_string().contains("by rank"));
}

#[test]
fn more_movies_than_can_be_compared_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("sample");
    let generator = generate::GeneratorConfig {
        users: 20,
        movies: 8200,
        ratings: 2000,
        seed: 9,
        contents: false,
    };
    generate::write(&dir, &generator, |_| {}).unwrap();
    let ratings = fs::read_to_string(dir.join("ratings.csv")).unwrap();
    let mut rated: Vec<(&str, &str)> = Vec::new();
    for line in ratings.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if rated.last().is_none_or(|last| last.0 != fields[0]) {
            rated.push((fields[0], fields[1]));
        }
    }
    let movies = fs::read_to_string(dir.join("movies.csv")).unwrap();
    let ids: Vec<&str> = movies
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    // Together, the users' candidates are all the movies.
    let others = ids.len().div_ceil(rated.len());
    let mut file = String::from("userId,heldOutMovieId");
    file.extend((0..others).map(|number| format!(",other{number}")));
    for ((user, movie), ids) in rated.iter().zip(ids.chunks(others)) {
        let ids: Vec<&str> = ids.iter().copied().filter(|id| id != movie).collect();
        file.push_str(&format!("\n{user},{movie},{}", ids.join(",")));
        file.push_str(&",".repeat(others - ids.len()));
    }
    fs::write(dir.join("candidates.csv"), file).unwrap();
    let config = ExperimentConfig {
        task: Task::Rank,
        source: Source::Folder {
            data: dir.clone(),
            posters: None,
            summaries: None,
        },
        split: SplitConfig::Candidates(dir.join("candidates.csv")),
        out: folder.path().join("run"),
        ..ExperimentConfig::default()
    };
    let error = Experiment::new(config.clone()).err().unwrap().to_string();
    assert!(error.contains("8192 or less"), "{error}");
    assert!(!config.out.exists());
}

/// Asks a run to stop after so many rows of each start.
struct Stopping {
    stop: Arc<AtomicBool>,
    left: i64,
}

impl Observer for Stopping {
    fn begin(&mut self, _stage: Stage, _total: u64) {}

    fn advance(&mut self, done: u64) {
        self.left -= done as i64;
        self.stop.store(self.left <= 0, Ordering::Relaxed);
    }
}

#[test]
fn a_ranking_run_that_is_stopped_again_and_again_ends_with_the_same_bytes() {
    let as_it_is = |stars: &str, moment: &str| (stars.to_owned(), moment.to_owned());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [straight, mut stopped] = folders.each_ref().map(|it| made_up(it.path(), as_it_is));
    rank(straight.clone());
    stopped.checkpoints.every_steps = 2;
    let mut experiment = Experiment::new(stopped.clone()).unwrap();
    let mut stops = 0;
    loop {
        let stop = Arc::new(AtomicBool::new(false));
        let done_before = 250 * stops;
        let mut observer = Stopping {
            stop: Arc::clone(&stop),
            left: done_before + 250,
        };
        match experiment.stop_when(stop).rank(&mut observer) {
            Ok(_) => break,
            Err(error) => assert!(error.to_string().contains("stopped after step"), "{error}"),
        }
        stops += 1;
        experiment = Experiment::resume(&stopped.out).unwrap();
        assert_eq!(experiment.task(), Task::Rank);
    }
    assert!(stops > 3, "{stops}");
    for file in ["model.safetensors", "candidates.parquet"] {
        let read = |config: &ExperimentConfig| fs::read(config.out.join(file)).unwrap();
        assert!(read(&straight) == read(&stopped), "{file}");
    }
    let report = fs::read_to_string(stopped.out.join("report.html")).unwrap();
    assert!(report.contains("Hit rate@10") && report.contains("<svg"));
}

#[test]
fn a_ranking_run_answers_by_its_folder_and_says_what_it_cannot_tell() {
    let folder = tempfile::tempdir().unwrap();
    let config = made_up(folder.path(), |stars, moment| (stars.into(), moment.into()));
    rank(config.clone());
    // The seam measures it over all movies.
    let evaluation = folder.path().join("evaluation");
    let report = Experiment::evaluate(&config.out, None, evaluation, &mut Silent).unwrap();
    assert!(report.errors.is_none() && report.test_users == 40);
    assert!(report.ndcg_at_10() > Some(0.0), "{report}");

    let sample = folder.path().join("sample");
    let competing = fs::read_to_string(sample.join("candidates.csv")).unwrap();
    fs::remove_dir_all(sample).unwrap();
    let recommender = Recommender::load(&config.out, &mut Silent).unwrap();
    recommender.warm_up().unwrap();
    assert_eq!(recommender.model(), "next-item");
    let found = recommender.recommend(7, &Query::default()).unwrap();
    assert_eq!(found.len(), 10);
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    assert!(found.iter().all(|it| it.stars.is_none()));
    let rated = recommender.rated_by(7).unwrap();
    let seen = |movie| rated.iter().any(|&(id, _)| id == movie);
    assert!(!found.iter().any(|it| seen(it.movie_id)));
    let best = found[0].movie_id;
    let visitor = recommender.recommend_to_visitor(&[(best, 5.0)], &Query::default());
    assert_eq!(visitor.unwrap().len(), 10);
    // Outside the catalogue no movie is like any.
    let competing = competing.lines().skip(1);
    let competing = competing.flat_map(|line| line.split(',').skip(1));
    let competing: HashSet<u32> = competing.map(|id| id.parse().unwrap()).collect();
    let similar = recommender.similar(best, 100).unwrap();
    assert_eq!(similar.len(), competing.len() - 1);
    assert!(similar.iter().all(|it| competing.contains(&it.movie_id)));
    let mut movies = recommender.catalogue().ids().iter();
    let other = movies.find(|&id| !competing.contains(id)).unwrap();
    let error = recommender.similar(*other, 5).unwrap_err().to_string();
    assert!(error.contains("that it does not know"), "{error}");
    let newcomer = Newcomer::default();
    for error in [
        recommender.predict(7, best).unwrap_err(),
        recommender.fans(&newcomer, 3).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("the model cannot tell"),
            "{error}"
        );
    }
}

/// The best peer there has a hit rate of 0.620 and an nDCG of 0.389, and half of the
/// epochs are enough to be ahead of it.
#[test]
fn real_users_are_ranked_for_better_than_by_any_published_peer() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let split = shared.join("data/splits/ml-latest-small-leave-one-out-99.csv");
    let mut config = ExperimentConfig {
        source: Source::Folder {
            data: shared.join("data/ml-latest-small"),
            posters: None,
            summaries: None,
        },
        task: Task::Rank,
        split: SplitConfig::Candidates(split),
        out: folder.path().join("run"),
        ..ExperimentConfig::default()
    };
    config.next_item.epochs = 2;
    let report = rank(config);
    assert_eq!(report.users, 608);
    assert!(report.hit_rate_at_10 > 0.66, "{}", report.hit_rate_at_10);
    assert!(report.ndcg_at_10 > 0.42, "{}", report.ndcg_at_10);
}
