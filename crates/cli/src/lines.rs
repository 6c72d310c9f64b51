//! Lines of standard input, each with its number.

use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, anyhow};

/// Bytes that are read at once.
const BYTES: usize = 1 << 16;

/// Lines of text, one after the other.
#[derive(Debug)]
pub struct Lines<R> {
    input: BufReader<R>,
    read: u64,
}

impl<R: Read> Lines<R> {
    /// All of `input`.
    pub fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BYTES, input), read: 0 }
    }

    /// The next line with its number, from 1 on, without what ends it; none behind the last. A mark of the
    /// order of bytes in front of the first is no part of it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is not UTF-8; names its number.
    pub fn line(&mut self) -> anyhow::Result<Option<(u64, String)>> {
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line).context("standard input")? == 0 {
            return Ok(None);
        }
        self.read += 1;
        let number = self.read;
        let line = String::from_utf8(line)
            .map_err(|_| anyhow!("standard input, line {number}: it is not UTF-8"))?;
        let line = line.trim_end_matches(['\n', '\r']);
        let marked = line.strip_prefix('\u{feff}').filter(|_| number == 1);
        Ok(Some((number, marked.unwrap_or(line).to_owned())))
    }

    /// Whether the next line is there already: whoever waits for an answer before it gets one first.
    pub fn is_waiting(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_numbers_and_no_marks() {
        let text = b"\xef\xbb\xbfa\r\n\n\xef\xbb\xbfb\n\xff\nc".as_slice();
        let mut lines = Lines::new(text);
        assert_eq!(lines.line().unwrap(), Some((1, "a".to_owned())));
        assert!(lines.is_waiting());
        assert_eq!(lines.line().unwrap(), Some((2, String::new())));
        assert_eq!(lines.line().unwrap(), Some((3, "\u{feff}b".to_owned())));
        let error = lines.line().unwrap_err().to_string();
        assert_eq!(error, "standard input, line 4: it is not UTF-8");
        assert!(!lines.is_waiting());
        assert_eq!(lines.line().unwrap(), Some((5, "c".to_owned())));
        assert_eq!(lines.line().unwrap(), None);
    }
}
