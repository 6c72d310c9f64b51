//! Files in the format of MNIST: pictures and labels as bytes, plain or compressed with gzip.
//!
//! ```text
//! pictures   00 00 08 03   count   rows   columns   a byte for every pixel, picture by picture
//! labels     00 00 08 01   count                    a byte each
//! ```
//!
//! Numbers are of four bytes, the highest first. A byte is a grey from 0, black, to 255, white.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use recurrent_generative::Pictures;
use thiserror::Error;

const PICTURES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a file has no pictures, or no labels for them.
#[derive(Debug, Error)]
pub enum IdxError {
    /// It cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// What gzip has packed is damaged or cut short.
    #[error("{}: the gzip data are cut short or damaged: {reason}", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: io::Error,
    },
    /// It begins as no file of its kind does.
    #[error("{}: the magic number is {got:#010x}, expected {expected:#010x}, IDX {what}", path.display())]
    Magic {
        /// The file.
        path: PathBuf,
        /// What it should hold: "pictures" or "labels".
        what: &'static str,
        /// The number it should begin with.
        expected: u32,
        /// The number it begins with.
        got: u32,
    },
    /// It ends before its header does.
    #[error("{}: the file is cut: it has {got} bytes, its header alone {expected}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Bytes of a header.
        expected: usize,
        /// Bytes of the file, unpacked.
        got: usize,
    },
    /// A size of its header is 0.
    #[error("{}: `{field}` is 0, expected at least 1", path.display())]
    Zero {
        /// The file.
        path: PathBuf,
        /// Which size: "count", "rows" or "columns".
        field: &'static str,
    },
    /// It has more or fewer bytes than its header says.
    #[error(
        "{}: there are {got} bytes behind the header, expected {expected}: {}",
        path.display(),
        if (*got as u128) < *expected { "the file is cut" } else { "it is too long" }
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes that its header speaks of.
        expected: u128,
        /// Bytes behind it.
        got: usize,
    },
    /// There are more or fewer labels than pictures.
    #[error("{} has {labels} labels, expected {pictures}, one for each picture of {}", path.display(), images.display())]
    Labels {
        /// The file of the labels.
        path: PathBuf,
        /// The file of the pictures.
        images: PathBuf,
        /// The labels.
        labels: usize,
        /// The pictures.
        pictures: usize,
    },
}

/// The pictures of a file, with the labels of another one if there is one.
///
/// # Errors
///
/// If a file cannot be read, is not of its format, or one does not fit the other.
pub fn read(images: &Path, labels: Option<&Path>) -> Result<Pictures, IdxError> {
    let ([count, rows, columns], bytes) = parts(images, ("pictures", PICTURES))?;
    let values = bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
    let labels = labels.map(|path| {
        let ([labels], bytes) = parts(path, ("labels", LABELS))?;
        match labels == count {
            true => Ok(bytes.into_iter().map(usize::from).collect()),
            false => Err(IdxError::Labels {
                path: path.to_owned(),
                images: images.to_owned(),
                labels,
                pictures: count,
            }),
        }
    });
    Ok(Pictures { rows, columns, values, labels: labels.transpose()? })
}

/// The sizes of a header, and what is behind it.
fn parts<const N: usize>(
    path: &Path,
    (what, magic): (&'static str, u32),
) -> Result<([usize; N], Vec<u8>), IdxError> {
    let file = || path.to_owned();
    let mut bytes = unpacked(path)?;
    let number = |n: usize| {
        let four = bytes.get(4 * n..4 * n + 4)?;
        Some(u32::from_be_bytes(four.try_into().expect("four bytes")))
    };
    if let Some(got) = number(0).filter(|got| *got != magic) {
        return Err(IdxError::Magic { path: file(), what, expected: magic, got });
    }
    let (header, got) = (4 + 4 * N, bytes.len());
    if got < header {
        return Err(IdxError::Header { path: file(), expected: header, got });
    }
    let sizes = std::array::from_fn(|n| number(n + 1).map_or(0, |size| size as usize));
    for (size, field) in sizes.iter().zip(["count", "rows", "columns"]) {
        if *size == 0 {
            return Err(IdxError::Zero { path: file(), field });
        }
    }
    let expected: u128 = sizes.iter().map(|size| *size as u128).product();
    let got = bytes.len() - header;
    if expected != got as u128 {
        return Err(IdxError::Length { path: file(), expected, got });
    }
    bytes.drain(..header);
    Ok((sizes, bytes))
}

fn unpacked(path: &Path) -> Result<Vec<u8>, IdxError> {
    let file = || path.to_owned();
    let bytes = fs::read(path).map_err(|reason| IdxError::Read { path: file(), reason })?;
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked);
    read.map_err(|reason| IdxError::Gzip { path: file(), reason })?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use rstest::rstest;

    use super::*;

    fn bytes(numbers: &[u32], behind: &[u8]) -> Vec<u8> {
        let header = numbers.iter().flat_map(|number| number.to_be_bytes());
        header.chain(behind.iter().copied()).collect()
    }

    fn read_bytes(images: &[u8], labels: Option<&[u8]>) -> Result<Pictures, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let images = write("images", images);
        let labels = labels.map(|labels| write("labels", labels));
        let place = format!("{}/", folder.path().display());
        read(&images, labels.as_deref()).map_err(|error| error.to_string().replace(&place, ""))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bytes_are_greys_row_by_row() {
        let images = bytes(&[PICTURES, 2, 1, 3], &[0, 51, 255, 255, 102, 0]);
        let labels = bytes(&[LABELS, 2], &[7, 3]);
        let pictures = read_bytes(&images, Some(&labels)).unwrap();
        assert_eq!((pictures.rows, pictures.columns, pictures.count()), (1, 3, 2));
        assert_eq!(pictures.values, [0.0, 0.2, 1.0, 1.0, 0.4, 0.0]);
        assert_eq!(pictures.labels.as_deref(), Some(&[7, 3][..]));
        assert_eq!(read_bytes(&gzip(&images), Some(&gzip(&labels))).unwrap(), pictures);
        assert_eq!(read_bytes(&images, None).unwrap().labels, None);
    }

    #[rstest]
    #[case(&[], &[1, 2], "images: the file is cut: it has 2 bytes, its header alone 16")]
    #[case(&[PICTURES, 2], &[], "images: the file is cut: it has 8 bytes, its header alone 16")]
    #[case(&[LABELS, 2], &[1, 2], "images: the magic number is 0x00000801, expected 0x00000803, IDX pictures")]
    #[case(&[PICTURES, 0, 1, 1], &[], "images: `count` is 0, expected at least 1")]
    #[case(&[PICTURES, 1, 0, 1], &[], "images: `rows` is 0, expected at least 1")]
    #[case(&[PICTURES, 1, 1, 0], &[], "images: `columns` is 0, expected at least 1")]
    #[case(&[PICTURES, 2, 1, 2], &[1, 2, 3], "images: there are 3 bytes behind the header, expected 4: the file is cut")]
    #[case(&[PICTURES, 1, 1, 2], &[1, 2, 3], "images: there are 3 bytes behind the header, expected 2: it is too long")]
    #[case(&[PICTURES, u32::MAX, u32::MAX, u32::MAX], &[1], "images: there are 1 bytes behind the header, expected 79228162458924105385300197375: the file is cut")]
    fn what_is_wrong_with_pictures_is_named(
        #[case] header: &[u32],
        #[case] behind: &[u8],
        #[case] message: &str,
    ) {
        assert_eq!(read_bytes(&bytes(header, behind), None).unwrap_err(), message);
    }

    #[test]
    fn what_is_wrong_with_labels_is_named() {
        let images = bytes(&[PICTURES, 2, 1, 1], &[1, 2]);
        let error = |labels: &[u8]| read_bytes(&images, Some(labels)).unwrap_err();
        let three = "labels has 3 labels, expected 2, one for each picture of images";
        assert_eq!(error(&bytes(&[LABELS, 3], &[1, 2, 3])), three);
        assert!(error(&images).starts_with("labels: the magic number is 0x00000803"));
        let cut = "labels: there are 1 bytes behind the header, expected 2: the file is cut";
        assert_eq!(error(&bytes(&[LABELS, 2], &[1])), cut);
        let packed = gzip(&bytes(&[LABELS, 2], &[1, 2]));
        let said = error(&packed[..packed.len() - 4]);
        assert!(said.starts_with("labels: the gzip data are cut short or damaged"), "{said}");
        let missing = read(Path::new("no/such/file"), None).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read no/such/file: "), "{missing}");
    }
}
