//! Genres in one field of text, as MovieLens writes them and as others do.

/// `Action|Drama`; or, where there is no `|`, a list as Python or JSON writes it, of names
/// (`['Action', 'Drama']`) or of objects with one each (`[{'id': 28, 'name': 'Action'}]`), or names
/// with commas between them.
pub(super) fn genres_in(text: &str) -> Vec<&str> {
    let text = text.trim();
    let list = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match list {
        _ if text.contains('|') => text.split('|').map(str::trim).collect(),
        Some(list) if list.contains('{') => named_in(list),
        Some(list) if list.trim_start().starts_with(QUOTES) => quoted_in(list).collect(),
        Some(list) => between_commas(list),
        None => between_commas(text),
    }
}

const QUOTES: [char; 2] = ['\'', '"'];

fn between_commas(text: &str) -> Vec<&str> {
    let names = text.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// What stands between quotes of one kind.
fn quoted_in(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(QUOTES)?;
        let (quote, inside) = (rest[start..].chars().next()?, &rest[start + 1..]);
        let end = inside.find(quote)?;
        rest = &inside[end + 1..];
        Some(&inside[..end])
    })
}

/// What stands behind each `name`.
fn named_in(text: &str) -> Vec<&str> {
    let mut quoted = quoted_in(text);
    let mut names = Vec::new();
    while let Some(key) = quoted.next() {
        if key == "name" {
            names.extend(quoted.next());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genres_are_the_same_however_they_are_written() {
        for text in [
            "Action|Children's",
            " Action | Children's ",
            "Action, Children's",
            "Action,Children's",
            "['Action', \"Children's\"]",
            r#"["Action","Children's"]"#,
            "[Action, Children's ]",
            "[{'id': 28, 'name': 'Action'}, {'name': \"Children's\", 'id': 3}]",
            r#"[{"id": 28, "name": "Action"}, {"id": 3, "name": "Children's"}]"#,
        ] {
            assert_eq!(genres_in(text), ["Action", "Children's"], "{text}");
        }
        for text in ["", "[]", " [ ] ", "[{}]", "[{'id': 3}]"] {
            assert!(genres_in(text).iter().all(|it| it.is_empty()), "{text}");
        }
        assert_eq!(genres_in("(no genres listed)"), ["(no genres listed)"]);
        assert_eq!(genres_in("Sci-Fi"), ["Sci-Fi"]);
        assert_eq!(genres_in("['torn"), ["['torn"]);
    }
}
