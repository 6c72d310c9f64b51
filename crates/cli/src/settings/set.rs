//! Values from the command line.

use std::{fmt, str::FromStr};

use toml::{
    Spanned, Value,
    de::{DeString, DeTable, DeValue},
};

/// `key=value`: another value for a key of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    key: String,
    value: String,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        match pair {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("must be KEY=VALUE, as in `training.epochs=3`".to_owned()),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Set {
    /// A TOML document that says the same. Everything in it lies at `start` or behind, so that an
    /// error can be traced back to it.
    pub(super) fn document(&self, start: usize) -> Result<String, String> {
        let space = " ".repeat(start);
        let Self { key, value } = self;
        let written = format!("{space}{key} = {value}");
        if parse(&written).is_ok() {
            return Ok(written);
        }
        // A bare word is a string.
        let quoted = format!("{space}{key} = {}", Value::String(value.clone()));
        parse(&quoted)?;
        Ok(quoted)
    }

    /// Puts the value of [`document`](Self::document) into `root`.
    pub(super) fn apply<'i>(
        &self,
        root: &mut DeTable<'i>,
        document: &'i str,
    ) -> Result<(), String> {
        let (path, value) = self.follow(document)?;
        let Some((last, above)) = path.split_last() else {
            return Err("there is no key".to_owned());
        };
        let mut table = root;
        for (depth, key) in above.iter().enumerate() {
            let empty = || Spanned::new(key.span(), DeValue::Table(DeTable::new()));
            table = match table.entry(key.clone()).or_insert_with(empty).get_mut() {
                DeValue::Table(inside) => inside,
                other => {
                    let names = path[..=depth].iter().map(|key| key.get_ref().as_ref());
                    let (name, kind) = (names.collect::<Vec<_>>().join("."), other.type_str());
                    return Err(format!("`{name}` is of type {kind} and has no keys"));
                }
            };
        }
        // Removed first, because a key that stays keeps its place in the file.
        table.remove(last);
        table.insert(last.clone(), value);
        Ok(())
    }

    /// The keys on the way to the value, and the value.
    fn follow<'i>(&self, document: &'i str) -> Result<(Vec<Key<'i>>, Element<'i>), String> {
        let depth = depth_of(parse(&format!("{} = 0", self.key))?.get_ref());
        let mut table = parse(document)?.into_inner();
        let mut path = Vec::with_capacity(depth);
        loop {
            let (key, value) = table.into_iter().next().ok_or("there is no value")?;
            path.push(key);
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(inside) if path.len() < depth => table = inside,
                other => return Ok((path, Spanned::new(span, other))),
            }
        }
    }
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, String> {
    DeTable::parse(text).map_err(|error| one_line(error.message()))
}

type Key<'i> = Spanned<DeString<'i>>;
type Element<'i> = Spanned<DeValue<'i>>;

/// How many keys are on the way to the only value that is not a table.
fn depth_of(table: &DeTable<'_>) -> usize {
    match table.values().next().map(Spanned::get_ref) {
        Some(DeValue::Table(inside)) => 1 + depth_of(inside),
        _ => 1,
    }
}

/// What a parser says, on one line.
pub(super) fn one_line(message: &str) -> String {
    message.trim().replace('\n', ", ")
}
