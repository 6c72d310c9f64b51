//! Where two settings differ.

use serde::Serialize;
use toml::Value;

use super::SettingsError;

/// A key whose value is not the same in two settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path, `model.gnmt.query`.
    pub key: String,
    /// Its value in the first, or "nothing".
    pub first: String,
    /// Its value in the second, or "nothing".
    pub second: String,
}

/// The first key, in alphabetical order, whose values differ.
///
/// # Errors
///
/// If the settings hold something that TOML has no notation for.
pub fn first_difference<T: Serialize>(
    first: &T,
    second: &T,
) -> Result<Option<Difference>, SettingsError> {
    let value = |settings: &T| {
        Value::try_from(settings)
            .map_err(|reason| SettingsError::Write { reason: reason.to_string() })
    };
    Ok(between("", Some(&value(first)?), Some(&value(second)?)))
}

fn between(path: &str, first: Option<&Value>, second: Option<&Value>) -> Option<Difference> {
    if first == second {
        return None;
    }
    if let (Some(Value::Table(a)), Some(Value::Table(b))) = (first, second) {
        let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
        keys.sort_unstable();
        return keys.into_iter().find_map(|key| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            between(&path, a.get(key), b.get(key))
        });
    }
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), ToString::to_string);
    Some(Difference { key: path.to_owned(), first: shown(first), second: shown(second) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(first: &str, second: &str) -> Option<[String; 3]> {
        let parse = |text: &str| text.parse::<toml::Table>().unwrap();
        let found = first_difference(&parse(first), &parse(second)).unwrap();
        found.map(|Difference { key, first, second }| [key, first, second])
    }

    #[test]
    fn the_key_and_both_values_are_named() {
        let text = "b = 1\n[a]\nx = [1, 2]\ny = \"z\"\n";
        assert_eq!(difference(text, text), None);
        let other = text.replace("\"z\"", "\"w\"").replace("b = 1", "b = 2");
        assert_eq!(difference(text, &other).unwrap(), ["a.y", "\"z\"", "\"w\""]);
        let fewer = text.replace("y = \"z\"\n", "");
        assert_eq!(difference(&fewer, text).unwrap(), ["a.y", "nothing", "\"z\""]);
        assert_eq!(difference("a = 1", "a.b = 1").unwrap()[0], "a");
        assert_eq!(difference("a = [1]", "a = [2]").unwrap(), ["a", "[1]", "[2]"]);
    }
}
