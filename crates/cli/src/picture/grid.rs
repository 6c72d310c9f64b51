//! Pictures beside each other, as PNG.
//!
//! The format: a signature, then chunks of length, name, content and checksum. `IHDR` says that there
//! is a byte of grey for every pixel, `IDAT` has the rows, each behind a byte that says how it is to be
//! read, compressed by zlib, and `IEND` ends it (W3C, Portable Network Graphics).

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

/// Pixels between pictures.
const GAP: usize = 2;

/// The grey between pictures, from 0 to 255.
const BETWEEN: u8 = 128;

/// Pictures with fewer rows than this are shown larger.
const LOWEST: usize = 24;

/// Pictures of one size, row by row.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Pixels of a picture from top to bottom.
    pub rows: usize,
    /// Pixels of a picture from left to right.
    pub columns: usize,
    /// Pictures in a row.
    pub across: usize,
    /// Greys from 0, black, to 1, picture by picture.
    pub values: Vec<f32>,
}

impl Grid {
    /// A single picture.
    pub fn one([rows, columns]: [usize; 2], values: &[f32]) -> Self {
        Self { rows, columns, across: 1, values: values.to_vec() }
    }

    /// How many pictures there are.
    pub fn count(&self) -> usize {
        self.values.len() / (self.rows * self.columns)
    }

    /// The picture of all of them as a file. A place without a picture is grey.
    ///
    /// # Panics
    ///
    /// If there is no picture, or no room for one.
    pub fn png(&self) -> Vec<u8> {
        let Self { rows, columns, across, .. } = *self;
        assert!(self.count() > 0 && across > 0, "a grid has pictures");
        let down = self.count().div_ceil(across);
        let larger = LOWEST.div_ceil(rows.min(LOWEST));
        let gap = if self.count() > 1 { GAP } else { 0 };
        let along = |count: usize, pixels: usize| count * (pixels * larger + gap) + gap;
        let (width, height) = (along(across, columns), along(down, rows));
        let mut pixels = vec![BETWEEN; width * height];
        for (n, picture) in self.values.chunks(rows * columns).enumerate() {
            let top = gap + n / across * (rows * larger + gap);
            let left = gap + n % across * (columns * larger + gap);
            for y in 0..rows * larger {
                for x in 0..columns * larger {
                    let grey = picture[y / larger * columns + x / larger];
                    pixels[(top + y) * width + left + x] =
                        (grey.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
        png(&pixels, width)
    }
}

/// Greys, row by row, as a file.
fn png(pixels: &[u8], width: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in pixels.chunks(width) {
        // Rows are as they are.
        packed.write_all(&[0]).expect("memory takes everything");
        packed.write_all(row).expect("memory takes everything");
    }
    let packed = packed.finish().expect("memory takes everything");
    let size = |pixels: usize| u32::try_from(pixels).expect("fewer pixels than a file can have");
    let mut header = Vec::new();
    header.extend(size(width).to_be_bytes());
    header.extend(size(pixels.len() / width).to_be_bytes());
    // Eight bits, grey, and the only compression, filters and order there are.
    header.extend([8, 0, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in [(b"IHDR", header.as_slice()), (b"IDAT", &packed), (b"IEND", &[])] {
        file.extend(size(content.len()).to_be_bytes());
        let mut checksum = crc32fast::Hasher::new();
        for bytes in [name.as_slice(), content] {
            checksum.update(bytes);
            file.extend(bytes);
        }
        file.extend(checksum.finalize().to_be_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    /// Width, height and pixels of a file, every checksum of which is right.
    fn read(mut file: &[u8]) -> ([u32; 2], Vec<u8>) {
        file = file.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let (mut size, mut packed) = ([0; 2], Vec::new());
        while !file.is_empty() {
            let length = number(file) as usize;
            let (named, rest) = file[4..].split_at(4 + length);
            assert_eq!(number(rest), crc32fast::hash(named));
            match &named[..4] {
                b"IHDR" => size = [number(&named[4..]), number(&named[8..])],
                b"IDAT" => packed.extend(&named[4..]),
                name => assert_eq!(name, b"IEND"),
            }
            file = &rest[4..];
        }
        let mut rows = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut rows).unwrap();
        let rows = rows.chunks(size[0] as usize + 1);
        (size, rows.flat_map(|row| row[1..].to_vec()).collect())
    }

    #[test]
    fn pictures_stand_in_their_places() {
        let values = [vec![0.0; 24 * 24], vec![1.0; 24 * 24], vec![0.2; 24 * 24]].concat();
        let ([width, height], pixels) =
            read(&Grid { rows: 24, columns: 24, across: 2, values }.png());
        assert_eq!([width, height], [2 * 26 + 2; 2]);
        let at = |x: usize, y: usize| pixels[y * width as usize + x];
        assert_eq!([at(2, 2), at(28, 2), at(2, 28), at(30, 30)], [0, 255, 51, BETWEEN]);
        assert_eq!([at(0, 0), at(26, 25), at(25, 25)], [BETWEEN, BETWEEN, 0]);
    }

    #[test]
    fn a_small_picture_is_shown_larger() {
        let ([width, height], pixels) = read(&Grid::one([2, 1], &[0.0, 7.0]).png());
        assert_eq!([width, height], [12, 24]);
        assert_eq!([pixels[12 * 11], pixels[12 * 12]], [0, 255]);
    }
}
