//! What counts as a blank.

/// Whether Python's `str.split` splits at `c`: Unicode's white space and four control characters.
/// sacreBLEU's numbers depend on it.
pub(crate) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The words of `text` as Python's `str.split` sees them.
pub(crate) fn python_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_python_space).filter(|word| !word.is_empty())
}
