//! Where in a file, or in which `--set`, something is written.

use std::{ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::Set;

/// A file, and behind its end, as if they were further text, the values from the command line.
#[derive(Debug)]
pub(super) struct Places<'a> {
    path: &'a Path,
    text: &'a str,
    sets: &'a [Set],
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    /// Where the key stands.
    name: Range<usize>,
    /// Where its value stands.
    value: Range<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str, sets: &'a [Set]) -> Self {
        Self { path, text, sets, entries: Vec::new() }
    }

    /// Where the text of this `--set` is taken to begin.
    pub(super) fn start_of(&self, number: usize) -> usize {
        self.text.len() + 1 + number * self.stride()
    }

    /// More than any `--set` is long, escaped.
    fn stride(&self) -> usize {
        let longest = self.sets.iter().map(|set| set.to_string().len()).max().unwrap_or(0);
        6 * longest + 16
    }

    /// Notes where all keys and values stand.
    pub(super) fn remember(&mut self, root: &DeTable<'_>) {
        self.walk("", root);
    }

    fn walk(&mut self, above: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref();
            let path = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
            self.enter(&path, value.get_ref());
            self.entries.push(Entry { key: path, name: key.span(), value: value.span() });
        }
    }

    fn enter(&mut self, path: &str, value: &DeValue<'_>) {
        match value {
            DeValue::Table(inside) => self.walk(path, inside),
            DeValue::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.enter(&format!("{path}[{number}]"), item.get_ref());
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    /// The place, for a person.
    pub(super) fn at(&self, span: Option<Range<usize>>) -> String {
        let file = self.path.display();
        let Some(Range { start, end }) = span else { return file.to_string() };
        if start > self.text.len() {
            let number = (start - self.text.len() - 1) / self.stride();
            return format!("--set {}", self.sets[number]);
        }
        if self.is_all(&(start..end)) {
            return file.to_string();
        }
        let line = 1 + self.text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count();
        format!("{file}:{line}")
    }

    /// What concerns the whole file, a key missing at the top say, has no line.
    fn is_all(&self, span: &Range<usize>) -> bool {
        span.start == 0 && (span.end == 0 || span.end >= self.text.trim_end().len())
    }

    /// The path of the key at this place, empty if it is no key's.
    pub(super) fn key_at(&self, span: Option<Range<usize>>) -> String {
        let Some(span) = span.filter(|span| !self.is_all(span)) else { return String::new() };
        let covers = |range: &Range<usize>| range.start <= span.start && span.end <= range.end;
        let ranges = self
            .entries
            .iter()
            .flat_map(|entry| [(&entry.key, &entry.name), (&entry.key, &entry.value)]);
        let closest =
            ranges.filter(|(_, range)| covers(range)).min_by_key(|(_, range)| range.len());
        closest.map_or_else(String::new, |(key, _)| key.clone())
    }

    /// The place of a key, for a person; that of what it is in, if nobody wrote it; then the file.
    pub(super) fn of_key(&self, key: &str) -> Option<String> {
        let mut key = key;
        loop {
            let entry = self.entries.iter().find(|entry| entry.key == key);
            match (entry, key.rsplit_once('.')) {
                (None, Some((above, _))) => key = above,
                (entry, _) => return Some(self.at(entry.map(|entry| entry.name.clone()))),
            }
        }
    }
}
