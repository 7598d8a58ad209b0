use std::path::PathBuf;

use mmdlrm_data::DataChange;

/// What can go wrong in an experiment: an error of one of its crates, or a
/// setting that does not fit the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From reading data.
    #[error(transparent)]
    Data(#[from] mmdlrm_data::Error),
    /// From encoding posters and plots.
    #[error(transparent)]
    Encoders(#[from] mmdlrm_encoders::Error),
    /// From the model.
    #[error(transparent)]
    Model(#[from] mmdlrm_model::Error),
    /// From training, measuring or writing.
    #[error(transparent)]
    Train(mmdlrm_train::Error),
    /// A run whose data are no longer what it was made from.
    #[error("the data are not those that {} was trained on: {}; put them back as they were, or train again", run.display(), changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    OtherData {
        /// The run's folder.
        run: PathBuf,
        /// What changed: never empty.
        changes: Vec<DataChange>,
    },
    /// A run whose posters or plots would be encoded otherwise.
    #[error("the {what} of {} were encoded by {before}, and would be by {now}; put that model back, or train again", run.display())]
    OtherEncoder {
        /// The run's folder.
        run: PathBuf,
        /// `posters` or `plots`.
        what: &'static str,
        /// Name and hash of the encoder that the run was trained with.
        before: String,
        /// Of the one that there is now.
        now: String,
    },
    /// A run of another kind of data.
    #[error("{} is a run on {what}, and one on {wanted} is needed; name that (mmdlrm clicks is for clicks, all other commands for ratings)", run.display())]
    OtherKind {
        /// The run's folder.
        run: PathBuf,
        /// What it is on.
        what: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A run that does not say what it was trained on.
    #[error("{} was made by an earlier version and does not say what it was trained on, or what it is, so that nobody can tell whether it still fits; train it again", path.display())]
    UnknownData {
        /// The folder.
        path: PathBuf,
    },
    /// A run that was begun with other settings of its model than it is to go on with.
    #[error("{} was begun with {before}, and not with {now}; go on with that, or begin a run in another folder", run.display())]
    OtherFit {
        /// The run's folder.
        run: PathBuf,
        /// Kind and settings then, as JSON.
        before: String,
        /// The same now.
        now: String,
    },
    /// Candidates that a run would be measured on, and learned from.
    #[error("{}: {learned} of its {held_out} held-out movies are training or validation ratings of {}, such as movie {movie} of user {user}; evaluate a run that was trained without them (mmdlrm train --test-rows, or --task rank --candidates)", path.display(), run.display())]
    LearnedCandidates {
        /// The file.
        path: PathBuf,
        /// The run's folder.
        run: PathBuf,
        /// How many it learned from.
        learned: usize,
        /// Of so many.
        held_out: usize,
        /// Whose the first of them is.
        user: String,
        /// Which movie it is.
        movie: String,
    },
    /// A run whose model nobody here can read.
    #[error("{} holds a model of the kind '{kind}', and only {known} are known here; open it with the program that made it", run.display())]
    UnknownKind {
        /// The run's folder.
        run: PathBuf,
        /// What `config.json` calls it.
        kind: String,
        /// The kinds that are known.
        known: String,
    },
    /// A model that there is none of.
    #[error("there is no model called '{name}' to compare; there are {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// All that there are.
        known: String,
    },
    /// Credits that say nothing of the data.
    #[error("{}: none of its credits is of a movie of the data; are they ids of this release?", path.display())]
    CreditsOfNone {
        /// The file.
        path: PathBuf,
    },
    /// Data of which too few ratings are left to choose settings and epochs by.
    #[error(
        "there are too few ratings to choose settings and epochs by: a tenth of those that are not held out, and as many again to learn from"
    )]
    TooFewToValidate(#[source] mmdlrm_data::Error),
    /// A comparison where there is a run.
    #[error("{} holds a run; name another folder (--out) for a comparison", path.display())]
    HoldsRun {
        /// The folder.
        path: PathBuf,
    },
    /// A model that is too large for the memory that there is.
    #[error(
        "{model} would take {needed} of memory beside the data, and {free} are free: leave it out, \
         take fewer ratings, or set the limit yourself"
    )]
    Memory {
        /// Its name.
        model: &'static str,
        /// What it would take.
        needed: String,
        /// What there is.
        free: String,
    },
    /// A question that the run's model has no answer to.
    #[error("the model cannot tell {0}")]
    CannotTell(&'static str),
    /// A folder that holds an evaluation where a run is wanted.
    #[error("{} is an evaluation and no run; name the run that was evaluated, {}", path.display(), run.display())]
    Evaluation {
        /// The folder.
        path: PathBuf,
        /// The folder of the run that was evaluated.
        run: PathBuf,
    },
    /// From figures that come to no number.
    #[error(transparent)]
    Metrics(#[from] mmdlrm_metrics::Error),
    /// A raw user id that the data lack.
    #[error("there is no user {0}")]
    UnknownUser(u32),
    /// A raw movie id that the data lack.
    #[error("there is no movie {0}")]
    UnknownMovie(u32),
    /// An id, as the data write it, that they lack.
    #[error("there is nobody and nothing called '{0}' in the data")]
    NobodyNamed(String),
    /// A rating outside the scale of the data.
    #[error("rating is {value}, but the scale of {unit} is from {lowest} to {highest}")]
    Scale {
        /// The rating.
        value: f32,
        /// What ratings are counted in.
        unit: String,
        /// The least of the scale.
        lowest: f32,
        /// The most.
        highest: f32,
    },
    /// A title that no movie has.
    #[error("no movie is called '{title}'{}; write a word or two of its title, or its id", match like.is_empty() {
        true => String::new(),
        false => format!(", but there are {}", like.join(", ")),
    })]
    UnknownTitle {
        /// What was asked for.
        title: String,
        /// Titles and years of movies that are called nearly so, if there are any.
        like: Vec<String>,
    },
    /// A title that several movies have.
    #[error("'{title}' may be any of {count} movies: {}{}; write the whole title and its year, as 'Hamlet (1996)', or its id", meant.join(", "), if meant.len() < *count { ", …" } else { "" })]
    AmbiguousTitle {
        /// What was asked for.
        title: String,
        /// How many have it.
        count: usize,
        /// Titles and years of some of them.
        meant: Vec<String>,
    },
    /// Something that this was built without.
    #[error(
        "{what} needs the feature '{feature}' of the crate mmdlrm; build with it, or leave that out"
    )]
    NeedsFeature {
        /// What was asked for.
        what: String,
        /// The feature that has it.
        feature: &'static str,
    },
    /// Posters or plots of which none is of any use.
    #[error(
        "none of {count} {what} can be used; the first: {first}; paths of posters are those in \
         their table, from its folder on"
    )]
    NoneUsable {
        /// What they are.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// `report.html` could not be made.
    #[error("cannot make report.html: {0}")]
    Page(String),
    /// Something that cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A setting that makes no sense.
    #[error("{setting} is {value}, but {rule}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
}

impl From<mmdlrm_train::Error> for Error {
    /// What data, model or metrics say is theirs, however it came here.
    fn from(error: mmdlrm_train::Error) -> Self {
        match error {
            mmdlrm_train::Error::Data(error) => Self::Data(error),
            mmdlrm_train::Error::Model(error) => Self::Model(error),
            mmdlrm_train::Error::Metric(error) => Self::Metrics(error),
            error => Self::Train(error),
        }
    }
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
