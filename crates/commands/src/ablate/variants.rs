//! What is put into a model, a little more at a time.

use mmdlrm::Preset;
use mmdlrm::features::Features;
use mmdlrm::model::DlrmConfig;

/// What a model is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Ids of user and movie.
    pub ids: bool,
    pub genres: bool,
    pub text: bool,
    pub image: bool,
    /// What the user rated, who rated the movie: the preset `best` and how it is
    /// trained.
    pub history: bool,
    /// Number of the variant that this one is measured against.
    pub against: Option<usize>,
}

impl Variant {
    /// Those that can be had of the modalities there are.
    pub fn all(text: bool, image: bool) -> Vec<Self> {
        let ids = Self {
            ids: true,
            genres: false,
            text: false,
            image: false,
            history: false,
            against: None,
        };
        let genres = Self {
            genres: true,
            against: Some(0),
            ..ids
        };
        let mut all = vec![ids, genres];
        all.extend(with_modalities(genres, 1, text, image));
        let both = all.len() - 1;
        all.push(Self {
            history: true,
            against: Some(both),
            ..all[both]
        });
        let no_ids = Self {
            ids: false,
            history: true,
            against: Some(1),
            ..genres
        };
        let at = all.len();
        all.push(no_ids);
        all.extend(with_modalities(no_ids, at, text, image));
        all
    }

    pub fn name(self) -> String {
        let parts = [
            (self.ids, "ids"),
            (self.history, "history"),
            (self.genres, "genres"),
            (self.text, "text"),
            (self.image, "image"),
        ];
        let parts: Vec<&str> = parts
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| *name)
            .collect();
        parts.join(", ")
    }

    /// The preset whose shape and training the variant follows.
    pub fn preset(self) -> Preset {
        match self.history {
            true => Preset::Best,
            false => Preset::Mmdlrm,
        }
    }

    /// The preset's model with what the variant has.
    pub fn model(self, features: &Features, dim: usize) -> DlrmConfig {
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
            .retain(|modality| match modality.name.as_str() {
                "text" => self.text,
                _ => self.image,
            });
        config
    }
}

/// `base`, which is number `at`, and the modalities one by one and together.
fn with_modalities(base: Variant, at: usize, text: bool, image: bool) -> Vec<Variant> {
    [(true, false), (false, true), (true, true)]
        .into_iter()
        .filter(|&(with_text, with_image)| (text || !with_text) && (image || !with_image))
        .map(|(text, image)| Variant {
            text,
            image,
            against: Some(at),
            ..base
        })
        .collect()
}
