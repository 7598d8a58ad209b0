use mmdlrm::metrics::{Probabilities, Regression, average_precision, dcg_at_k, ndcg_at_k, roc_auc};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Golden {
    ranking: Vec<Ranking>,
    rating: Rating,
}

#[derive(Deserialize)]
struct Ranking {
    kind: String,
    relevance: Vec<f64>,
    score: Vec<f64>,
    ndcg: std::collections::BTreeMap<usize, f64>,
    dcg_at_10: f64,
    roc_auc: Option<f64>,
    average_precision: Option<f64>,
    /// Of the sigmoid of the scores.
    log_loss: Option<f64>,
}

#[derive(Deserialize)]
struct Rating {
    target: Vec<f64>,
    prediction: Vec<f64>,
    mse: f64,
    mae: f64,
    rmse: f64,
    r2: f64,
}

fn golden() -> Golden {
    crate::read_json(&crate::folder().join("metrics.json"))
}

#[test]
fn golden_ndcg_equals_scikit_learn() {
    let golden = golden();
    assert!(!golden.ranking.is_empty());
    for case in golden.ranking {
        for (k, expected) in case.ndcg {
            let ndcg = ndcg_at_k(&case.relevance, &case.score, k).unwrap();
            assert!(
                (ndcg - expected).abs() < TOLERANCE,
                "{} @{k}: {ndcg} {expected}",
                case.kind
            );
        }
        let dcg = dcg_at_k(&case.relevance, &case.score, 10).unwrap();
        assert!(
            (dcg - case.dcg_at_10).abs() < TOLERANCE,
            "{}: {dcg}",
            case.kind
        );
    }
}

/// scikit-learn has them of those lists whose relevance is 0 or 1.
#[test]
fn golden_auc_average_precision_and_log_loss_equal_scikit_learn() {
    let golden = golden();
    let mut compared = 0;
    for case in golden.ranking {
        let (Some(auc), Some(precision), Some(loss)) =
            (case.roc_auc, case.average_precision, case.log_loss)
        else {
            continue;
        };
        let mut probabilities = Probabilities::new(10).unwrap();
        for (score, relevance) in case.score.iter().zip(&case.relevance) {
            let sigmoid = 1.0 / (1.0 + (-score).exp());
            probabilities.add(sigmoid, *relevance).unwrap();
        }
        for (name, found, expected) in [
            ("AUC", roc_auc(&case.relevance, &case.score).unwrap(), auc),
            (
                "average precision",
                average_precision(&case.relevance, &case.score).unwrap(),
                precision,
            ),
            ("log loss", probabilities.log_loss(), loss),
        ] {
            let found = found.unwrap();
            assert!(
                (found - expected).abs() < TOLERANCE,
                "{name} of {}: {found} {expected}",
                case.kind
            );
        }
        compared += 1;
    }
    assert!(compared >= 4, "{compared} lists have all three");
}

#[test]
fn golden_rating_errors_equal_scikit_learn() {
    let rating = golden().rating;
    let mut halves = [Regression::default(); 2];
    for (number, (&p, &y)) in rating.prediction.iter().zip(&rating.target).enumerate() {
        halves[number % 2].add(p, y).unwrap();
    }
    let [mut whole, other] = halves;
    whole.merge(&other);
    for (found, expected) in [
        (whole.mse(), rating.mse),
        (whole.rmse(), rating.rmse),
        (whole.mae(), rating.mae),
        (whole.r2(), rating.r2),
    ] {
        assert!(
            (found.unwrap() - expected).abs() < TOLERANCE,
            "{found:?} {expected}"
        );
    }
}
