//! Measures a saved run on the ratings it held out, or on others.

use std::path::{Path, PathBuf};

use mmdlrm::metrics::Regression;
use mmdlrm::{Error, EvaluationConfig, Experiment, Recommender, Report, SplitConfig};

use crate::Result;
use crate::options::{RankingOptions, SplitName};
use crate::program::print;
use crate::progress::Progress;

/// Measure a saved run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the run
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// Measure on what this would hold out, less what the run learned from [default: what
    /// the run held out]
    #[arg(long, value_enum)]
    split: Option<SplitName>,
    /// Share of the ratings, users or movies held out [default: 0.2]
    #[arg(long, value_name = "SHARE", requires = "split")]
    test_share: Option<f64>,
    /// Ratings of each user that --split leave-last-out holds out [default: 1]
    #[arg(long, value_name = "COUNT", requires = "split")]
    leave_out: Option<usize>,
    /// Seed of what is drawn
    #[arg(long, default_value_t = 42, requires = "split")]
    seed: u64,
    /// CSV of userId,movieId: measure on these ratings, less what the run learned from
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    test_rows: Option<PathBuf>,
    /// CSV of userId,heldOutMovieId and the movies that it competes with: measure on those
    /// ratings, of which the run must have learned from none, and rank each movie among its
    /// candidates too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "test_rows", "no_rank"])]
    candidates: Option<PathBuf>,
    #[command(flatten)]
    ranking: RankingOptions,
    /// Measure on users that the run has not seen at all (--split cold-users), as somebody
    /// new: by their first so many ratings, on those from the 21st on
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["split", "test_rows", "candidates", "rank_users", "no_rank", "out"], value_parser = clap::value_parser!(u64).range(..=20))]
    visitors: Option<u64>,
    /// Folder for predictions and figures [default: evaluation, in the run's]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Measures, and prints what it came to.
///
/// # Errors
/// As [`Experiment::evaluate_on`]; with visitors, a run that holds out no user whole.
pub fn run(args: Args) -> Result<()> {
    match args.visitors {
        Some(given) => print(visitors(&args.run, given as usize)?),
        None => print(measure(args)?),
    }
}

/// Ratings that a visitor may give; what comes after them is predicted.
const GIVEN: usize = 20;
/// Ratings that there must be to predict.
const LEFT: usize = 5;

/// Errors on users that the run has not seen, each known by the first `given` ratings.
fn visitors(run: &Path, given: usize) -> Result<String> {
    let recommender = Recommender::load(run, &mut Progress::new())?;
    let (mut errors, mut users) = (Regression::default(), 0);
    for &user in recommender.user_ids() {
        let rated = recommender.rated_by(user)?;
        if recommender.trained_on(user)? > 0 || rated.len() < GIVEN + LEFT {
            continue;
        }
        users += 1;
        let movies: Vec<u32> = rated[GIVEN..].iter().map(|rated| rated.0).collect();
        let stars = recommender.predict_for_visitor(&rated[..given], &movies)?;
        for (predicted, (_, stars)) in stars.iter().zip(&rated[GIVEN..]) {
            errors.add(f64::from(*predicted), f64::from(*stars))?;
        }
    }
    let rmse = errors.rmse().ok_or_else(|| Error::Setting {
        setting: "split of the run",
        value: format!("{:?}", recommender.config().split),
        rule: "it must hold out users whole: --split cold-users",
    })?;
    Ok(format!(
        "RMSE {rmse:.4} on {} ratings of {users} users, {given} given by each",
        errors.count()
    ))
}

fn measure(args: Args) -> Result<Report> {
    let named = args.test_rows.map(SplitConfig::TestRows);
    let named = named.or(args.candidates.map(SplitConfig::Candidates));
    let drawn = args
        .split
        .map(|split| split.config(args.test_share, args.leave_out, args.seed));
    let config = EvaluationConfig {
        split: named.or(drawn.transpose()?),
        ranking: args.ranking.into(),
    };
    let out = args.out.unwrap_or_else(|| args.run.join("evaluation"));
    let progress = &mut Progress::new();
    Ok(Experiment::evaluate_on(&args.run, &config, out, progress)?)
}
