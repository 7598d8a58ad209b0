use std::fmt;

use serde::Serialize;

use super::baselines::EASE;

/// The cut-off of ranking metrics.
pub const RANKING_CUT_OFF: usize = 10;

/// What ranking came to: each protocol that follows from what is held out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rankings {
    /// Users whom the catalogue was ranked for.
    pub ranked_users: u64,
    /// Who they are, in words: `all 610 users with held-out ratings`, or a sample.
    pub ranked: String,
    /// Which items compete in the first of [`Self::rankings`] over the catalogue.
    pub ranking_protocol: String,
    /// Mean nDCG@10 of the model in it.
    pub ndcg_at_10: f64,
    /// 95 % confidence interval of [`Self::ndcg_at_10`], by users drawn with replacement.
    pub ndcg_interval: Option<(f64, f64)>,
    /// [`Self::ndcg_at_10`] by the training ratings of the user.
    pub ndcg_by_user_ratings: Vec<GroupNdcg>,
    /// All figures, with the simple baselines beside.
    pub rankings: Vec<Ranking>,
}

/// Figures of one ranking: what is held out, which movies compete, and which are relevant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ranking {
    /// Which ratings are held out, in words.
    pub held_out: String,
    /// What is ranked, in a word: movies.
    pub items: String,
    /// Which movies compete and which of them are relevant: the name of a
    /// [`Protocol`](mmdlrm_metrics::Protocol).
    pub protocol: String,
    /// Users that the figures are means over.
    pub users: u64,
    /// Users who were ranked for and have nothing relevant under the protocol: they are in no
    /// figure.
    pub left_out: u64,
    /// Of [`Self::users`] those without a training rating: they are ranked for by what a model
    /// says of somebody it knows nothing of, and count as the others.
    pub without_history: u64,
    /// Movies that compete, what a user knows included.
    pub competing: usize,
    /// A figure a metric, the one to look at first.
    pub figures: Vec<RankingFigure>,
}

/// One metric of a ranking, of the model and of the simple baselines on the same users.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankingFigure {
    /// Which: `nDCG@10`, `recall@10`, `hit rate@10`, `MRR@10`.
    pub metric: String,
    /// The model's mean over users.
    pub value: f64,
    /// 95 % confidence interval, by users drawn with replacement.
    pub interval: Option<(f64, f64)>,
    /// The simple baselines.
    pub baselines: Vec<BaselineFigure>,
}

/// A simple baseline beside the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BaselineFigure {
    /// Which: `popularity`, the number of training ratings.
    pub name: String,
    /// Its mean over users.
    pub value: f64,
    /// The model's mean less this one.
    pub difference: f64,
    /// 95 % confidence interval of [`Self::difference`], by users drawn with replacement, the
    /// same ones for both.
    pub difference_interval: Option<(f64, f64)>,
}

/// How well a group of users is ranked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupNdcg {
    /// Which: `user with 50–199 training ratings`.
    pub group: String,
    /// Users in it.
    pub users: u64,
    /// Mean nDCG@10; `None` of none.
    pub ndcg: Option<f64>,
}

impl Rankings {
    /// Of rankings over the catalogue, and who was ranked for; `None` where there is none.
    pub(super) fn new(
        rankings: Vec<Ranking>,
        (ranked_users, ranked): (u64, String),
        ndcg_by_user_ratings: Vec<GroupNdcg>,
    ) -> Option<Self> {
        let first = rankings.first()?;
        let ndcg = first.figure("nDCG")?;
        Some(Self {
            ranked_users,
            ranked,
            ranking_protocol: first.protocol.clone(),
            ndcg_at_10: ndcg.value,
            ndcg_interval: ndcg.interval,
            ndcg_by_user_ratings,
            rankings,
        })
    }
}

impl Ranking {
    /// The figure of a metric, by its name before the `@`: `nDCG`, `recall`, `hit rate`, `MRR`.
    pub fn figure(&self, metric: &str) -> Option<&RankingFigure> {
        let name = format!("{metric}@{RANKING_CUT_OFF}");
        self.figures.iter().find(|figure| figure.metric == name)
    }

    /// What the figures are over, in words.
    pub(crate) fn over(&self) -> String {
        let mut over = format!("{}, {} {}", users(self.users), self.competing, self.items);
        if self.left_out > 0 {
            over += &format!("; {} with nothing relevant left out", users(self.left_out));
        }
        over
    }
}

fn users(count: u64) -> String {
    match count {
        1 => "1 user".to_owned(),
        _ => format!("{count} users"),
    }
}

impl RankingFigure {
    /// The simple baseline with the highest value.
    pub fn best_baseline(&self) -> Option<&BaselineFigure> {
        let baselines = self.baselines.iter();
        baselines.max_by(|a, b| a.value.total_cmp(&b.value))
    }
}

impl fmt::Display for BaselineFigure {
    /// The difference to it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:+.4}", self.difference)?;
        if let Some((low, high)) = self.difference_interval {
            write!(f, " ({low:+.4} to {high:+.4})")?;
        }
        write!(f, " to {}", self.name)
    }
}

/// A Markdown table of rankings, the baselines beside, and what was held out.
pub(crate) fn write_table(f: &mut fmt::Formatter, rankings: &[Ranking]) -> fmt::Result {
    let figures = rankings.first().and_then(|ranking| ranking.figures.first());
    let Some(figure) = figures else {
        return Ok(());
    };
    write!(f, "| ranking (95 % interval over users) | this model |")?;
    for baseline in &figure.baselines {
        write!(f, " {} |", baseline.name)?;
    }
    writeln!(f, " less the best simple baseline | over |")?;
    let columns = " ---: |".repeat(figure.baselines.len() + 2);
    writeln!(f, "| --- |{columns} --- |")?;
    for ranking in rankings {
        for figure in &ranking.figures {
            write_row(f, ranking, figure)?;
        }
    }
    writeln!(f)?;
    let mut notes = notes(rankings).into_iter();
    notes.try_for_each(|note| writeln!(f, "{note}"))
}

fn write_row(f: &mut fmt::Formatter, ranking: &Ranking, figure: &RankingFigure) -> fmt::Result {
    let interval = crate::report::interval(figure.interval);
    let (metric, protocol) = (&figure.metric, &ranking.protocol);
    write!(
        f,
        "| {metric}, {protocol} | {:.4}{interval} |",
        figure.value
    )?;
    for baseline in &figure.baselines {
        write!(f, " {:.4} |", baseline.value)?;
    }
    match figure.best_baseline() {
        Some(best) => write!(f, " {best} |")?,
        None => write!(f, " |")?,
    }
    writeln!(f, " {} |", ranking.over())
}

/// What is said where popularity is the only baseline.
const WITHOUT_EASE: &str = "the best simple baseline is popularity alone: EASE, which is better as \
                            a rule, needs all that is learned from in memory";

/// What was held out, and who has no history; each once.
pub(crate) fn notes(rankings: &[Ranking]) -> Vec<String> {
    let mut notes = Vec::new();
    for ranking in rankings {
        let mut note = format!("held out: {}", ranking.held_out);
        if ranking.without_history > 0 {
            let (without, users) = (ranking.without_history, ranking.users);
            note += &format!(
                "; {without} of {users} users have no training rating, and are ranked for all \
                 the same"
            );
        }
        if !notes.contains(&note) {
            notes.push(note);
        }
        let mut baselines = ranking.figures.iter().flat_map(|it| &it.baselines);
        let is_simple = baselines.next().is_some() && baselines.all(|it| it.name != EASE);
        if is_simple && !notes.iter().any(|it| it == WITHOUT_EASE) {
            notes.push(WITHOUT_EASE.to_owned());
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(Vec<Ranking>);

    impl fmt::Display for Table {
        fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write_table(f, &self.0)
        }
    }

    #[test]
    fn a_table_has_the_baselines_beside_each_figure_and_says_who_is_left_out() {
        let baseline = |name: &str, value: f64| BaselineFigure {
            name: name.to_owned(),
            value,
            difference: 0.25 - value,
            difference_interval: Some((-0.25, 0.125)),
        };
        let ranking = Ranking {
            held_out: "the latest 20 % of the ratings".to_owned(),
            items: "movies".to_owned(),
            protocol: "one way".to_owned(),
            users: 7,
            left_out: 2,
            without_history: 3,
            competing: 30,
            figures: vec![RankingFigure {
                metric: "nDCG@10".to_owned(),
                value: 0.25,
                interval: Some((0.125, 0.5)),
                baselines: vec![baseline("popularity", 0.125), baseline("EASE", 0.5)],
            }],
        };
        assert_eq!(
            Table(vec![ranking.clone()]).to_string(),
            "| ranking (95 % interval over users) | this model | popularity | EASE | \
             less the best simple baseline | over |\n\
             | --- | ---: | ---: | ---: | ---: | --- |\n\
             | nDCG@10, one way | 0.2500 (0.1250–0.5000) | 0.1250 | 0.5000 | \
             -0.2500 (-0.2500 to +0.1250) to EASE | \
             7 users, 30 movies; 2 users with nothing relevant left out |\n\
             \n\
             held out: the latest 20 % of the ratings; 3 of 7 users have no training rating, \
             and are ranked for all the same\n"
        );
        assert_eq!(Table(Vec::new()).to_string(), "");
        let mut alone = ranking;
        alone.figures[0].baselines.truncate(1);
        assert_eq!(notes(&[alone]).last().unwrap(), WITHOUT_EASE);
    }
}
