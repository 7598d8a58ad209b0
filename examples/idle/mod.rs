//! Options that would do nothing beside the others: an error, not a silence.

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Options, as their fields are called, that do nothing in some circumstances.
pub struct Idle<'a> {
    pub options: &'a [&'a str],
    /// Whether the circumstances hold.
    pub holds: bool,
    /// What they are.
    pub circumstances: &'a str,
}

/// Says which option of the command line does nothing, if any.
pub fn find(matches: &ArgMatches, rules: &[Idle]) -> Option<String> {
    let is_named = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    rules.iter().filter(|rule| rule.holds).find_map(|rule| {
        let option = rule.options.iter().find(|option| is_named(option))?;
        let option = option.replace('_', "-");
        let circumstances = rule.circumstances;
        Some(format!(
            "--{option} does nothing {circumstances}; leave it out"
        ))
    })
}
