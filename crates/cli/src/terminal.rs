//! What a terminal gets and a pipe does not, and tables.

use std::{
    env,
    fmt::{self, Write},
    io::{self, IsTerminal},
};

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Whether a person looks at it.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    /// The styles of this stream: none on a pipe, in a terminal that says it is `dumb`, or if the
    /// environment says `NO_COLOR` (<https://no-color.org>).
    pub fn styles(self) -> Styles {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.is_terminal() && !set("NO_COLOR") && !dumb {
            true => Styles::Ansi,
            false => Styles::Plain,
        }
    }
}

/// Whether text is set off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Styles {
    /// By escape sequences.
    Ansi,
    /// Not at all.
    #[default]
    Plain,
}

impl Styles {
    /// Bold.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Aligned columns, two spaces apart.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Align>,
    header: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    styles: Styles,
}

impl Table {
    /// Without a header.
    pub fn new(columns: impl Into<Vec<Align>>) -> Self {
        let columns = columns.into();
        Self { columns, header: None, rows: Vec::new(), styles: Styles::Plain }
    }

    /// With a header.
    #[must_use]
    pub fn with_header<S: Into<String>>(mut self, header: impl IntoIterator<Item = S>) -> Self {
        self.header = Some(self.checked(header));
        self
    }

    /// With styles: a header is bold.
    #[must_use]
    pub fn with_styles(mut self, styles: Styles) -> Self {
        self.styles = styles;
        self
    }

    /// One more row.
    ///
    /// # Panics
    ///
    /// If it has more or fewer cells than there are columns.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = self.checked(cells);
        self.rows.push(cells);
    }

    fn checked<S: Into<String>>(&self, cells: impl IntoIterator<Item = S>) -> Vec<String> {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        cells
    }

    fn widths(&self) -> Vec<usize> {
        let rows = || self.header.iter().chain(&self.rows);
        let width = |column: usize| rows().map(|row| width(&row[column])).max().unwrap_or(0);
        (0..self.columns.len()).map(width).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, align), full) in cells.iter().zip(&self.columns).zip(widths) {
            let space = " ".repeat(full - width(cell));
            match align {
                Align::Left => line.extend([cell, &space, "  "]),
                Align::Right => line.extend([&space, cell, "  "]),
            }
        }
        line.trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        if let Some(header) = &self.header {
            writeln!(f, "{}", self.styles.bold(&self.line(header, &widths)))?;
        }
        for row in &self.rows {
            writeln!(f, "{}", self.line(row, &widths))?;
        }
        Ok(())
    }
}

/// How many columns of a terminal a text takes: Chinese, Japanese and Korean characters are two
/// wide.
pub fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// The wide and fullwidth blocks of Unicode's `EastAsianWidth.txt`, roughly.
fn is_wide(character: char) -> bool {
    matches!(
        u32::from(character),
        0x1100..=0x115F
            | 0x2E80..=0x303E
            | 0x3041..=0xA4CF
            | 0xA960..=0xA97F
            | 0xAC00..=0xD7A3
            | 0xF900..=0xFAFF
            | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6
            | 0x1F300..=0x1F64F
            | 0x1F900..=0x1F9FF
            | 0x20000..=0x3FFFD
    )
}

/// A number with its thousands set apart: `1 234 567`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([Align::Left, Align::Right]).with_header(["metric", "value"]);
        table.row(["BLEU", "31.4"]);
        table.row(["日本", "7"]);
        assert_eq!(table.to_string(), "metric  value\nBLEU     31.4\n日本        7\n");
    }

    #[test]
    fn only_ansi_is_set_off() {
        assert_eq!(Styles::Plain.bold("a"), "a");
        assert_eq!(Styles::Ansi.bold("a"), "\x1b[1ma\x1b[0m");
        let table = Table::new([Align::Left]).with_header(["a"]).with_styles(Styles::Ansi);
        assert_eq!(table.to_string(), "\x1b[1ma\x1b[0m\n");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
