//! Options that would do nothing beside the others: an error, not a silence.

use clap::ArgMatches;
use clap::error::ErrorKind;
use clap::parser::ValueSource;

/// Options, as their fields are called, that do nothing in some circumstances.
pub struct Idle<'a> {
    pub options: &'a [&'a str],
    /// Whether the circumstances hold.
    pub holds: bool,
    /// What they are.
    pub circumstances: &'a str,
}

/// Refuses the first option of the command line that does nothing.
///
/// # Errors
/// One line that names it.
pub fn check(matches: &ArgMatches, rules: &[Idle]) -> Result<(), clap::Error> {
    let is_named = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    let idle = rules.iter().filter(|rule| rule.holds).find_map(|rule| {
        let option = rule.options.iter().find(|option| is_named(option))?;
        Some((option.replace('_', "-"), rule.circumstances))
    });
    let Some((option, circumstances)) = idle else {
        return Ok(());
    };
    let message = format!("--{option} does nothing {circumstances}; leave it out\n");
    Err(clap::Error::raw(ErrorKind::ArgumentConflict, message))
}
