/// How alike a name must be to be named.
const ALIKE: f64 = 0.8;

/// For a message on a name that is not there: the one among `names` that is most like it, if any
/// is; whether letters are capitals makes no difference.
pub(crate) fn did_you_mean<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wanted = wanted.to_lowercase();
    let alike = names.map(|name| (name, strsim::jaro_winkler(&wanted, &name.to_lowercase())));
    let nearest = alike.max_by(|a, b| a.1.total_cmp(&b.1));
    match nearest.filter(|&(_, alike)| alike >= ALIKE) {
        Some((name, _)) => format!(", did you mean '{name}'?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_named() {
        let names = ["userId", "movieId", "rating", "Timestamp"];
        let of = |wanted: &str| did_you_mean(wanted, names.into_iter());
        assert_eq!(of("user_id"), ", did you mean 'userId'?");
        assert_eq!(of("timestmp"), ", did you mean 'Timestamp'?");
        assert_eq!(of("price"), "");
    }
}
