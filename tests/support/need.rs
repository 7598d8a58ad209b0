//! What a test needs that not every machine has. Each test that may skip does so here, so
//! that a machine which has a thing can insist that it is used.

use std::io::Write;

/// Names what must not be missing, with commas between.
const REQUIRE: &str = "MMDLRM_REQUIRE";

/// What may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The folder of real data and golden values.
    Shared,
    /// A browser.
    Chromium,
}

impl Need {
    const ALL: [Self; 2] = [Self::Shared, Self::Chromium];

    /// As `MMDLRM_REQUIRE` names it.
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Chromium => "chromium",
        }
    }

    /// Gives back what a test has found of its need. Where that is nothing, says that the
    /// test is skipped, or fails if `MMDLRM_REQUIRE` names the need.
    #[track_caller]
    pub fn or_skip<T>(self, found: Option<T>) -> Option<T> {
        let list = std::env::var_os(REQUIRE).unwrap_or_default();
        if let Err(problem) = self.check(found.is_some(), &list.to_string_lossy()) {
            panic!("{problem}");
        }
        if found.is_none() {
            // Straight to standard error: the test harness hides what macros print.
            let _ = writeln!(std::io::stderr(), "skipped: no {}", self.name());
        }
        found
    }

    /// Whether a test may go on, or skip, where `MMDLRM_REQUIRE` is `list`.
    ///
    /// # Errors
    /// A name that is none, or that is this one's where it is not there.
    pub fn check(self, is_there: bool, list: &str) -> Result<(), String> {
        let names = list.split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            let Some(need) = Self::ALL.into_iter().find(|need| need.name() == name) else {
                let all = Self::ALL.map(Self::name).join(", ");
                return Err(format!("{REQUIRE} has '{name}', which is none of {all}"));
            };
            if need == self && !is_there {
                return Err(format!("{REQUIRE} has '{name}', which is not there"));
            }
        }
        Ok(())
    }
}
