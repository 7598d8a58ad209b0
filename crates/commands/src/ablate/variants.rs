//! What is put into a model, a little more at a time.

use mmdlrm::Preset;
use mmdlrm::features::Features;
use mmdlrm::model::DlrmConfig;

/// What a model is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Ids of user and movie.
    pub ids: bool,
    pub genres: bool,
    /// Names of the modalities.
    pub modalities: Vec<String>,
    /// What the user rated, who rated the movie: the preset `best` and how it is
    /// trained.
    pub history: bool,
    /// Number of the variant that this one is measured against.
    pub against: Option<usize>,
}

impl Variant {
    /// Those that can be had of the modalities there are.
    pub fn all(modalities: &[String]) -> Vec<Self> {
        let ids = Self {
            ids: true,
            genres: false,
            modalities: Vec::new(),
            history: false,
            against: None,
        };
        let genres = Self {
            genres: true,
            against: Some(0),
            ..ids.clone()
        };
        let mut all = vec![ids, genres.clone()];
        all.extend(with_modalities(&genres, 1, modalities));
        let everything = all.len() - 1;
        all.push(Self {
            history: true,
            against: Some(everything),
            ..all[everything].clone()
        });
        let no_ids = Self {
            ids: false,
            history: true,
            against: Some(1),
            ..genres
        };
        let at = all.len();
        all.push(no_ids.clone());
        all.extend(with_modalities(&no_ids, at, modalities));
        all
    }

    pub fn name(&self) -> String {
        let parts = [
            (self.ids, "ids"),
            (self.history, "history"),
            (self.genres, "genres"),
        ];
        let parts = parts.iter().filter(|(has, _)| *has).map(|(_, name)| *name);
        let modalities = self.modalities.iter().map(String::as_str);
        parts.chain(modalities).collect::<Vec<_>>().join(", ")
    }

    /// The preset whose shape and training the variant follows.
    pub fn preset(&self) -> Preset {
        match self.history {
            true => Preset::Best,
            false => Preset::Mmdlrm,
        }
    }

    /// The preset's model with what the variant has.
    pub fn model(&self, features: &Features, dim: usize) -> DlrmConfig {
        let ids = Preset::Mmdlrm.config(features, dim).tables;
        let mut config = self.preset().config(features, dim);
        if self.history && self.ids {
            let ids = ids.into_iter();
            let ids = ids.filter(|table| matches!(table.name.as_str(), "user" | "movie"));
            config.tables.extend(ids);
        }
        config
            .tables
            .retain(|table| self.genres || table.name != "genre");
        config
            .modalities
            .retain(|modality| self.modalities.contains(&modality.name));
        config
    }
}

/// `base`, which is number `at`, and the modalities one by one and together.
fn with_modalities(base: &Variant, at: usize, modalities: &[String]) -> Vec<Variant> {
    let together = (modalities.len() > 1).then_some(modalities);
    let sets = modalities.chunks(1).chain(together);
    let with = sets.map(|modalities| Variant {
        modalities: modalities.to_vec(),
        against: Some(at),
        ..base.clone()
    });
    with.collect()
}
