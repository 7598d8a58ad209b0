//! Trains on a made-up release, and asks the model what people would like.
//!
//! A `Recommender` is loaded from the folder of a run, and answers any number of questions
//! from any number of threads.

use mmdlrm::{Experiment, ExperimentConfig, Query, Recommendation, Recommender, Silent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The default is a sample of 500 users and 1,200 movies with posters and plots.
    let config = ExperimentConfig {
        out: "runs/recommend".into(),
        overwrite: true,
        ..ExperimentConfig::default()
    };
    let report = Experiment::new(config.clone())?.run(&mut Silent)?;
    println!("{report}");

    let recommender = Recommender::load(&config.out, &mut Silent)?;
    let user = recommender.user_ids()[0];
    let wish = Query {
        count: 3,
        genres: vec!["Comedy".to_owned()],
        ..Query::default()
    };
    println!("\nComedies for user {user}:");
    print(&recommender, &recommender.recommend(user, &wish)?)?;

    // Somebody new, known by two ratings alone.
    let movies = recommender.catalogue().ids();
    let ratings = [(movies[0], 5.0), (movies[1], 1.0)];
    println!("\nFor a visitor:");
    let found = recommender.recommend_to_visitor(&ratings, &Query::default())?;
    print(&recommender, &found)?;

    println!("\nLike the first movie:");
    for similar in recommender.similar(movies[0], 3)? {
        let movie = recommender.catalogue().movie(similar.movie_id)?;
        println!("{:5.2}  {}", similar.cosine, movie.title);
    }
    Ok(())
}

/// Titles, stars, and what carried each score.
fn print(recommender: &Recommender, found: &[Recommendation]) -> mmdlrm::Result<()> {
    for found in found {
        let movie = recommender.catalogue().movie(found.movie_id)?;
        println!("{:5.2}  {}", found.score, movie.title);
        for reason in &found.reasons {
            println!("       {}", reason.words);
        }
    }
    Ok(())
}
