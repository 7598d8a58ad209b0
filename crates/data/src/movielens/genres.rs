//! Genres in one field of text, as MovieLens writes them and as others do.

use std::borrow::Cow;

use serde_json::Value;

/// `Action|Drama`; or, where there is no `|`, a list as JSON or Python writes it, of names
/// (`['Action', 'Drama']`) or of objects with one each (`[{'id': 28, 'name': 'Action'}]`), or names
/// with commas between them.
pub(super) fn genres_in(text: &str) -> Vec<Cow<'_, str>> {
    let text = text.trim();
    if text.contains('|') {
        return text.split('|').map(|name| name.trim().into()).collect();
    }
    let Some(list) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) else {
        return between_commas(text);
    };
    if let Ok(values) = serde_json::from_str::<Vec<Value>>(text) {
        return values.iter().filter_map(name_of).collect();
    }
    match list.trim_start().chars().next() {
        Some('{') => named_in(list),
        Some('\'' | '"') => quoted_in(list).map(|(name, _)| name.into()).collect(),
        _ => between_commas(list),
    }
}

fn between_commas(text: &str) -> Vec<Cow<'_, str>> {
    let names = text.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(Cow::from).collect()
}

/// A name, or that of an object.
fn name_of(value: &Value) -> Option<Cow<'static, str>> {
    let name = value.as_str().or_else(|| value.get("name")?.as_str());
    name.map(|name| name.to_owned().into())
}

/// What stands between quotes of one kind, and what behind it.
fn quoted_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(['\'', '"'])?;
        let (quote, inside) = (rest[start..].chars().next()?, &rest[start + 1..]);
        let end = inside.find(quote)?;
        rest = &inside[end + 1..];
        Some((&inside[..end], rest))
    })
}

/// What stands in quotes right behind each `'name':`.
fn named_in(text: &str) -> Vec<Cow<'_, str>> {
    let keys = quoted_in(text).filter(|(key, _)| *key == "name");
    let names = keys.filter_map(|(_, behind)| {
        let value = behind.trim_start().strip_prefix(':')?.trim_start();
        let is_quoted = value.starts_with(['\'', '"']);
        is_quoted.then(|| quoted_in(value).next())?
    });
    names.map(|(name, _)| name.into()).collect()
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
            r#"["Action","Children\u0027s"]"#,
            "[Action, Children's ]",
            "[{'id': 28, 'name': 'Action'}, {'name': \"Children's\", 'id': 3}]",
            "[{'name': None, 'id': 1}, {'name': 'Action'}, {'name': \"Children's\"}]",
            r#"[{"id": 28, "name": "Action"}, {"id": 3, "name": "Children's"}]"#,
        ] {
            assert_eq!(genres_in(text), ["Action", "Children's"], "{text}");
        }
        for text in ["", "[]", " [ ] ", "[{}]", "[{'id': 3}]", "[3, null]"] {
            assert!(genres_in(text).is_empty(), "{text}");
        }
        assert_eq!(genres_in("(no genres listed)"), ["(no genres listed)"]);
        assert_eq!(genres_in("Sci-Fi"), ["Sci-Fi"]);
        assert_eq!(genres_in("['torn"), ["['torn"]);
    }
}
