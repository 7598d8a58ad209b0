use mmdlrm_data::DataFingerprint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

/// What makes a run this one: a checkpoint of another is refused, and told apart by it.
///
/// Settings are kept as they are and not as a hash: a later version reads them as its own,
/// new settings at their defaults, and names what differs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunIdentity {
    /// What [`Session::run`](crate::Session::run) calls it.
    pub run: String,
    /// How it is trained, and the shape of the model.
    pub settings: Value,
    /// What it learns from.
    pub data: DataFingerprint,
}

impl RunIdentity {
    pub(crate) fn new(
        run: String,
        settings: &impl Serialize,
        data: DataFingerprint,
    ) -> Result<Self> {
        Ok(Self {
            run,
            settings: serde_json::to_value(settings)?,
            data,
        })
    }

    /// What is another here than in `now`, whose settings are an `S`.
    pub(crate) fn differences<S: Serialize + DeserializeOwned>(&self, now: &Self) -> Vec<String> {
        let changes = self.data.changes(&now.data);
        let mut found: Vec<String> = changes.iter().map(ToString::to_string).collect();
        match S::deserialize(&self.settings).and_then(serde_json::to_value) {
            Ok(settings) => compare("", &settings, &now.settings, &mut found),
            Err(error) => found.push(format!("settings that this version cannot read: {error}")),
        }
        if found.is_empty() && self.run != now.run {
            found.push("it was begun as another run".to_owned());
        }
        found
    }
}

/// Names the numbers and words that differ, by where they stand.
fn compare(place: &str, before: &Value, now: &Value, found: &mut Vec<String>) {
    let within = |key: &str| match place {
        "" => key.to_owned(),
        place => format!("{place}.{key}"),
    };
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let gone = before.keys().filter(|key| !now.contains_key(*key));
            for key in now.keys().chain(gone) {
                let (before, now) = (before.get(key), now.get(key));
                let none = &Value::Null;
                compare(
                    &within(key),
                    before.unwrap_or(none),
                    now.unwrap_or(none),
                    found,
                );
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (number, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&within(&number.to_string()), before, now, found);
            }
        }
        (before, now) if before == now => {}
        (before, now) => found.push(format!("{place}: {before} then, {now} now")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;

    fn identity(settings: Value) -> RunIdentity {
        RunIdentity {
            settings,
            ..RunIdentity::default()
        }
    }

    #[test]
    fn settings_that_differ_are_named_and_new_ones_stand_at_their_defaults() {
        let now = RunIdentity::new(
            String::new(),
            &TrainConfig::default(),
            DataFingerprint::default(),
        )
        .unwrap();
        let mut older = now.settings.clone();
        // As a version would have written that did not know of patience.
        older.as_object_mut().unwrap().remove("patience");
        assert_eq!(
            identity(older.clone()).differences::<TrainConfig>(&now),
            [] as [&str; 0]
        );
        older["optimizer"]["learning_rate"] = 0.25.into();
        assert_eq!(
            identity(older.clone()).differences::<TrainConfig>(&now),
            ["optimizer.learning_rate: 0.25 then, 0.001 now"]
        );
        // What is left out where it stands at its default.
        #[derive(Serialize, Deserialize)]
        struct Named {
            #[serde(default, skip_serializing_if = "String::is_empty")]
            name: String,
        }
        let of = |name: &str| {
            let settings = Named {
                name: name.to_owned(),
            };
            RunIdentity::new(String::new(), &settings, DataFingerprint::default()).unwrap()
        };
        assert_eq!(
            of("a").differences::<Named>(&of("")),
            [r#"name: "a" then, null now"#]
        );
        assert_eq!(
            of("").differences::<Named>(&of("a")),
            [r#"name: null then, "a" now"#]
        );
        older["colour"] = "red".into();
        let found = identity(older).differences::<TrainConfig>(&now);
        assert!(found[0].contains("colour"), "{found:?}");
        let renamed = RunIdentity {
            run: "another".to_owned(),
            ..now.clone()
        };
        assert_eq!(renamed.differences::<TrainConfig>(&now).len(), 1);
    }
}
