//! Vectors of words, as other programs learned them: a text file of word2vec or GloVe.
//!
//! ```text
//! 400000 3                      only with word2vec: COUNT DIMENSIONS
//! the 0.418 0.24968 -0.41242    a word and its numbers, with blanks in between
//! ```
//!
//! Blanks are spaces and tabs: a word may have any other character, a no-break space for one, which
//! GloVe's largest file has in words. A first line of two whole numbers is always taken for the header.
//!
//! Sources: the text output (`-binary 0`) of word2vec, Mikolov et al. (2013), Distributed
//! Representations of Words and Phrases and their Compositionality; and the files of Pennington et
//! al. (2014), GloVe: Global Vectors for Word Representation.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    CorpusError,
    lines::{numbered, read_text},
};

/// A vector for each of some words, all of the same number of dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct WordVectors {
    dimensions: usize,
    /// The position of every word in the file.
    positions: HashMap<String, usize>,
    /// The vectors one after the other, `words * dimensions`.
    numbers: Vec<f32>,
}

/// Why a file is not one of word vectors. Lines count from 1.
#[derive(Debug, Error)]
pub enum WordVectorError {
    /// The file cannot be read, is empty or is no text, as word2vec's binary output is none.
    #[error(transparent)]
    File(#[from] CorpusError),
    /// The first line is neither a word with its numbers nor a header.
    #[error(
        "{}:1: expected a word and its numbers, or COUNT and DIMENSIONS above 0, got `{got}`",
        path.display()
    )]
    FirstLine {
        /// The file.
        path: PathBuf,
        /// The line.
        got: String,
    },
    /// A line has more or fewer numbers than the header or the first line says.
    #[error(
        "{}:{line}: expected a word and {expected} numbers, got `{word}` and {got} fields after it",
        path.display()
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The word.
        word: String,
        /// The numbers that every line must have.
        expected: usize,
        /// The fields after the word.
        got: usize,
    },
    /// A field is no number, is not finite or is too large for 32 bits.
    #[error(
        "{}:{line}: number {number} of `{word}` must be a finite number, got `{got}`",
        path.display()
    )]
    Number {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The word.
        word: String,
        /// Which of its numbers, from 1.
        number: usize,
        /// What it is.
        got: String,
    },
    /// A word has two vectors.
    #[error("{}:{line}: `{word}` has a vector already, in line {first}", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The second line of the word.
        line: usize,
        /// The word.
        word: String,
        /// Its first line.
        first: usize,
    },
    /// The header tells of more or fewer words than there are.
    #[error("{}:1: the header says that there are {expected} words, got {got}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// The words of the header.
        expected: usize,
        /// The lines after the header.
        got: usize,
    },
}

impl WordVectors {
    /// All vectors of a text file, plain or gzip.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no text or is empty, if lines have different numbers of numbers,
    /// if one is not finite, if a word is there twice, or if there are more or fewer words than the
    /// header says.
    pub fn read(path: &Path) -> Result<Self, WordVectorError> {
        Self::parse(path, &read_text(path)?)
    }

    /// The vectors of the text of a file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, WordVectorError> {
        let first = text.lines().next().unwrap_or_default();
        let head = head(first).ok_or_else(|| WordVectorError::FirstLine {
            path: path.to_owned(),
            got: first.to_owned(),
        })?;
        let skipped = usize::from(head.count.is_some());
        let (mut positions, mut numbers) = (HashMap::new(), Vec::new());
        for (line, row) in numbered(text).skip(skipped) {
            let word = read_row(path, line, row, head.dimensions, &mut numbers)?;
            if let Some(first) = positions.insert(word.to_owned(), line - 1 - skipped) {
                let (path, word, first) = (path.to_owned(), word.to_owned(), first + 1 + skipped);
                return Err(WordVectorError::Twice { path, line, word, first });
            }
        }
        let got = positions.len();
        match head.count {
            Some(expected) if expected != got => {
                Err(WordVectorError::Count { path: path.to_owned(), expected, got })
            }
            Some(_) | None => Ok(Self { dimensions: head.dimensions, positions, numbers }),
        }
    }

    /// The numbers of every vector, one at least.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The vector of a word, `dimensions` finite numbers. None if the file has no such word, letter by
    /// letter: `The` is another word than `the`.
    pub fn get(&self, word: &str) -> Option<&[f32]> {
        let start = self.positions.get(word)? * self.dimensions;
        self.numbers.get(start..start + self.dimensions)
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no word. Never of a file: an empty one is refused.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }
}

/// What the first line says of the others.
struct Head {
    dimensions: usize,
    /// The number of words, if the line is a header.
    count: Option<usize>,
}

/// None if the line is neither a header nor a word with numbers.
fn head(line: &str) -> Option<Head> {
    let fields: Vec<&str> = fields(line).collect();
    let header = match fields[..] {
        [count, dimensions] => count.parse().ok().zip(dimensions.parse().ok()),
        _ => None,
    };
    match header {
        Some((0, _) | (_, 0)) => None,
        Some((count, dimensions)) => Some(Head { dimensions, count: Some(count) }),
        None if fields.len() < 2 => None,
        None => Some(Head { dimensions: fields.len() - 1, count: None }),
    }
}

/// The word of a line. Its numbers go behind `numbers`.
fn read_row<'t>(
    path: &Path,
    line: usize,
    row: &'t str,
    dimensions: usize,
    numbers: &mut Vec<f32>,
) -> Result<&'t str, WordVectorError> {
    let mut all = fields(row);
    let word = all.next().unwrap_or_default();
    let got = all.clone().count();
    if got != dimensions {
        let (path, word, expected) = (path.to_owned(), word.to_owned(), dimensions);
        return Err(WordVectorError::Dimensions { path, line, word, expected, got });
    }
    for (field, number) in all.zip(1..) {
        match field.parse() {
            Ok(value) if f32::is_finite(value) => numbers.push(value),
            _ => {
                let (path, word, got) = (path.to_owned(), word.to_owned(), field.to_owned());
                return Err(WordVectorError::Number { path, line, word, number, got });
            }
        }
    }
    Ok(word)
}

/// What is between blanks. word2vec ends every line with a blank.
fn fields(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.split([' ', '\t']).filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use flate2::{Compression, write::GzEncoder};
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    fn read(bytes: &[u8]) -> Result<WordVectors, String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("vectors.txt");
        fs::write(&path, bytes).unwrap();
        let read = WordVectors::read(&path);
        read.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// As GloVe writes a file, as word2vec does, with tabs and the line ends of Windows, and packed.
    #[test]
    fn files_of_glove_and_word2vec_read_the_same() {
        let glove = "the 0.5 -2 1e-3\n, 3 .25 +4\n";
        let word2vec = "2 3\nthe 0.500000 -2.000000 0.001000 \n, 3.000000 0.250000 4.000000 \n";
        let windows = "the\t0.5\t-2\t1e-3\r\n,  3 .25 4";
        let all = [glove.into(), word2vec.into(), windows.into(), gzip(glove), gzip(word2vec)];
        for bytes in all {
            let vectors = read(&bytes).unwrap();
            assert_eq!((vectors.len(), vectors.dimensions(), vectors.is_empty()), (2, 3, false));
            assert_eq!(vectors.get("the"), Some(&[0.5, -2.0, 1e-3][..]));
            assert_eq!(vectors.get(","), Some(&[3.0, 0.25, 4.0][..]));
            for absent in ["The", "2", "", "the "] {
                assert_eq!(vectors.get(absent), None, "{absent}");
            }
        }
    }

    /// Python's `str.split` would cut these words and `str.splitlines` these lines.
    #[test]
    fn words_may_have_all_but_blanks_and_line_feeds() {
        let vectors = read("at\u{a0}home 1 2\na\u{85}b 3 4\n7 5 6\n".as_bytes()).unwrap();
        assert_eq!(vectors.get("at\u{a0}home"), Some(&[1.0, 2.0][..]));
        assert_eq!(vectors.get("a\u{85}b"), Some(&[3.0, 4.0][..]));
        assert_eq!(vectors.get("7"), Some(&[5.0, 6.0][..]));
    }

    /// One dimension is possible; only a first line of two whole numbers is a header.
    #[test]
    fn a_header_is_two_whole_numbers() {
        assert_eq!(read(b"a 1\n2 3\n").unwrap().get("2"), Some(&[3.0][..]));
        assert_eq!(read(b"2 0.5\na 1\n").unwrap().get("2"), Some(&[0.5][..]));
        let vectors = read(b"1 1\na 1\n").unwrap();
        assert_eq!((vectors.len(), vectors.get("1")), (1, None));
    }

    #[rstest]
    #[case("the\n", "the")]
    #[case("\nthe 1\n", "")]
    #[case(" \n", " ")]
    #[case("0 3\n", "0 3")]
    #[case("2 0\na\nb\n", "2 0")]
    fn a_first_line_without_numbers_is_refused(#[case] text: &str, #[case] got: &str) {
        let expected = format!(
            "FILE:1: expected a word and its numbers, or COUNT and DIMENSIONS above 0, got `{got}`"
        );
        assert_eq!(read(text.as_bytes()).unwrap_err(), expected);
    }

    #[rstest]
    #[case("", "FILE is empty")]
    #[case("a 1 2\nb 1\n", "FILE:2: expected a word and 2 numbers, got `b` and 1 fields after it")]
    #[case(
        "a 1 2\nnew york 3 4\n",
        "FILE:2: expected a word and 2 numbers, got `new` and 3 fields after it"
    )]
    #[case("1 3\na 1 2\n", "FILE:2: expected a word and 3 numbers, got `a` and 2 fields after it")]
    #[case("a 1 2\n\n", "FILE:2: expected a word and 2 numbers, got `` and 0 fields after it")]
    #[case("a 1 x\n", "FILE:1: number 2 of `a` must be a finite number, got `x`")]
    #[case("a 1 0,5\n", "FILE:1: number 2 of `a` must be a finite number, got `0,5`")]
    #[case("2 2\na 1 2\nb nan 1\n", "FILE:3: number 1 of `b` must be a finite number, got `nan`")]
    #[case("a 1 2\nb 1 -inf\n", "FILE:2: number 2 of `b` must be a finite number, got `-inf`")]
    // Above the largest of 32 bits.
    #[case("a 1 1e39\n", "FILE:1: number 2 of `a` must be a finite number, got `1e39`")]
    #[case("a 1 2\nb 3 4\na 1 2\n", "FILE:3: `a` has a vector already, in line 1")]
    #[case("3 2\na 1 2\nb 3 4\nb 1 2\n", "FILE:4: `b` has a vector already, in line 3")]
    #[case("3 2\na 1 2\nb 3 4\n", "FILE:1: the header says that there are 3 words, got 2")]
    #[case("1 2\na 1 2\nb 3 4\n", "FILE:1: the header says that there are 1 words, got 2")]
    #[case("5 2\n", "FILE:1: the header says that there are 5 words, got 0")]
    #[case("1 1\na\0\0\0", "FILE:2: byte 5 is zero, the file is binary and not text")]
    fn what_is_no_file_of_vectors_is_refused(#[case] text: &str, #[case] message: &str) {
        assert_eq!(read(text.as_bytes()).unwrap_err(), message);
    }

    #[test]
    fn gzip_that_is_cut_short_is_refused() {
        let packed = gzip("a 1 2\nb 3 4\n");
        let error = read(&packed[..packed.len() - 1]).unwrap_err();
        assert!(error.ends_with(": the gzip data are cut short"), "{error}");
    }
}
