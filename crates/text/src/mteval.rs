//! The tokenisation of `mteval-v13a.pl`, called `13a` by sacreBLEU.

use std::sync::LazyLock;

use regex::Regex;

use crate::spaces::python_words;

static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    let rule = |pattern| Regex::new(pattern).expect("a pattern of this file");
    [
        // Every ASCII punctuation mark but `'`, `,`, `-` and `.`.
        (rule(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), " ${1} "),
        // Points and commas, unless a digit stands before them.
        (rule(r"([^0-9])([\.,])"), "${1} ${2} "),
        // Points and commas, unless a digit stands after them.
        (rule(r"([\.,])([^0-9])"), " ${1} ${2}"),
        // Dashes after a digit.
        (rule(r"([0-9])(-)"), "${1} ${2} "),
    ]
});

/// `line` with one blank between tokens.
pub(crate) fn tokenize_13a(line: &str) -> String {
    let mut line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, character);
    }
    let line = RULES.iter().fold(format!(" {line} "), |line, (pattern, with)| {
        pattern.replace_all(&line, *with).into_owned()
    });
    python_words(&line).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What the rules say, by hand; sacreBLEU's word on them is in the fixtures.
    #[rstest]
    #[case("Hello, world!", "Hello , world !")]
    #[case("1,234.56", "1,234.56")]
    #[case("in 1979.", "in 1979 .")]
    #[case("10-year-old", "10 - year-old")]
    #[case("don't", "don't")]
    #[case("&lt;b&gt;", "< b >")]
    #[case("a/b", "a / b")]
    fn punctuation_stands_alone_except_in_numbers(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(tokenize_13a(line), expected);
    }
}
