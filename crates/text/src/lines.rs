//! A file as lines of text, or a reason why it is none.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use crate::CorpusError;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of a file, without a byte order mark. Files that start like gzip are unpacked, whatever
/// their name.
pub(crate) fn read_text(path: &Path) -> Result<String, CorpusError> {
    let read = |reason| CorpusError::Read { path: path.to_owned(), reason };
    let mut bytes = fs::read(path).map_err(read)?;
    if bytes.starts_with(&GZIP) {
        bytes = unpack(path, &bytes)?;
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        let line = line_of(&bytes, offset);
        return Err(CorpusError::Binary { path: path.to_owned(), line, offset });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = line_of(error.as_bytes(), offset);
        CorpusError::NotUtf8 { path: path.to_owned(), line, offset }
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.is_empty() {
        return Err(CorpusError::Empty { path: path.to_owned() });
    }
    Ok(text)
}

/// The lines of a text with their numbers, which count from 1. A carriage return before the line
/// feed belongs to the line's end.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

fn unpack(path: &Path, packed: &[u8]) -> Result<Vec<u8>, CorpusError> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut bytes).map_err(|reason| {
        let (path, line) = (path.to_owned(), line_of(&bytes, bytes.len()));
        match reason.kind() {
            io::ErrorKind::UnexpectedEof => CorpusError::Truncated { path, line },
            _ => CorpusError::Damaged { path, line, reason },
        }
    })?;
    Ok(bytes)
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::{io::Write, path::PathBuf};

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use super::*;

    fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("corpus");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The message for a file of these bytes, with `FILE` for its path.
    fn message(bytes: &[u8]) -> String {
        let (_folder, path) = file(bytes);
        let message = read_text(&path).unwrap_err().to_string();
        message.replace(path.to_str().unwrap(), "FILE")
    }

    #[test]
    fn plain_text_gzip_and_several_gzip_members_read_the_same() {
        let members = [gzip("é\n"), gzip("b\r\n")].concat();
        for bytes in [b"\xef\xbb\xbf\xc3\xa9\nb\r\n".to_vec(), gzip("é\nb\r\n"), members] {
            let (_folder, path) = file(&bytes);
            let text = read_text(&path).unwrap();
            assert_eq!(numbered(&text).collect::<Vec<_>>(), [(1, "é"), (2, "b")]);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let (folder, _) = file(b"");
        let path = folder.path().join("absent");
        let message = read_text(&path).unwrap_err().to_string();
        let expected = format!("cannot read {}: No such file", path.display());
        assert!(message.starts_with(&expected), "{message}");
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert_eq!(message(b""), "FILE is empty");
        assert_eq!(message(&gzip("")), "FILE is empty");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_named_by_line_and_offset() {
        assert_eq!(message(b"one\ntwo\nthr\xffee\n"), "FILE:3: byte 11 is not UTF-8");
    }

    #[test]
    fn a_zero_byte_makes_a_file_binary() {
        let expected = "FILE:2: byte 5 is zero, the file is binary and not text";
        assert_eq!(message(b"one\nt\0o\n"), expected);
    }

    #[test]
    fn gzip_that_is_cut_short_is_refused_wherever_it_is_cut() {
        let lines: String = (0..2000).map(|n| format!("{}\n", n * n % 977)).collect();
        let packed = gzip(&lines);
        for kept in [5, 12, packed.len() / 2, packed.len() - 1] {
            let message = message(&packed[..kept]);
            assert!(message.ends_with(": the gzip data are cut short"), "{kept}: {message}");
            assert!(message.starts_with("FILE:"), "{kept}: {message}");
        }
    }

    #[test]
    fn gzip_that_is_damaged_is_refused() {
        let mut packed = gzip("one\ntwo\n");
        let checksum = packed.len() - 8;
        packed[checksum] ^= 1;
        let message = message(&packed);
        assert!(message.starts_with("FILE:3: the gzip data are damaged: "), "{message}");
    }
}
