//! Trains on the made-up sample, and asks the model.

use mmdlrm::{Experiment, ExperimentConfig, Query, Recommender, Silent};

fn main() -> mmdlrm::Result<()> {
    let out = std::env::args().nth(1).unwrap_or("runs/sample".to_owned());
    let config = ExperimentConfig {
        out: out.clone().into(),
        ..ExperimentConfig::default()
    };
    let report = Experiment::new(config)?.run(&mut Silent)?;
    println!("{report}");

    let recommender = Recommender::load(out, &mut Silent)?;
    for found in recommender.recommend(recommender.user_ids()[0], &Query::default())? {
        println!("{}", recommender.catalogue().movie(found.movie_id)?.title);
    }
    Ok(())
}
