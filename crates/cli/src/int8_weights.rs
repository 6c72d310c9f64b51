//! The parts of a quantised model as a safetensors file: a matrix is an `I8` tensor of its name and an
//! `F32` tensor `NAME.scale`, a number for each row; what is not quantised is an `F32` tensor.

use std::collections::BTreeMap;

use recurrent_gnmt::Part;
use safetensors::{Dtype, SafeTensors};

use crate::weights::{Bytes, WeightsError};

const SCALE: &str = ".scale";

fn floats(numbers: &[f32]) -> Bytes {
    Bytes {
        dtype: Dtype::F32,
        shape: vec![numbers.len()],
        data: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

/// The content of a file with all parts.
///
/// # Errors
///
/// If there are more than a file can hold.
pub fn to_bytes(parts: &[(String, Part)]) -> Result<Vec<u8>, WeightsError> {
    let mut tensors: BTreeMap<String, Bytes> = BTreeMap::new();
    for (name, part) in parts {
        match part {
            Part::Vector(numbers) => {
                tensors.insert(name.clone(), floats(numbers));
            }
            Part::Matrix { values, scales, shape } => {
                let data = values.iter().map(|value| value.to_le_bytes()[0]).collect();
                let matrix = Bytes { dtype: Dtype::I8, shape: shape.to_vec(), data };
                tensors.insert(name.clone(), matrix);
                tensors.insert(format!("{name}{SCALE}"), floats(scales));
            }
        }
    }
    safetensors::serialize(tensors, None)
        .map_err(|reason| WeightsError::Damaged(reason.to_string()))
}

/// The parts in a file.
///
/// # Errors
///
/// If the bytes are no safetensors file, or a tensor is of another type or shape than a part is.
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, Part)>, WeightsError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|reason| WeightsError::Damaged(reason.to_string()))?;
    let read = |name: &str| -> Result<Vec<f32>, WeightsError> {
        let view = file.tensor(name).map_err(|_| WeightsError::Names {
            missing: vec![name.to_owned()],
            unknown: Vec::new(),
        })?;
        if view.dtype() != Dtype::F32 {
            let (name, dtype) = (name.to_owned(), view.dtype().to_string());
            return Err(WeightsError::Dtype { name, dtype });
        }
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        Ok(view.data().chunks_exact(4).map(number).collect())
    };
    let mut parts = Vec::new();
    for (name, view) in file.iter() {
        let of = name.strip_suffix(SCALE);
        if of.is_some_and(|of| file.tensor(of).is_ok_and(|of| of.dtype() == Dtype::I8)) {
            continue;
        }
        let part = match (view.dtype(), view.shape()) {
            (Dtype::I8, &[outputs, inputs]) => Part::Matrix {
                values: view.data().iter().map(|byte| i8::from_le_bytes([*byte])).collect(),
                scales: read(&format!("{name}{SCALE}"))?,
                shape: [outputs, inputs],
            },
            _ => Part::Vector(read(name)?),
        };
        parts.push((name.to_owned(), part));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Vec<(String, Part)> {
        let values = vec![-127, 0, 127, 5, -1, 1];
        let matrix = Part::Matrix { values, scales: vec![0.5, 1e-9], shape: [2, 3] };
        vec![("a.b".to_owned(), Part::Vector(vec![1.5, -0.0, f32::MIN])), ("w".to_owned(), matrix)]
    }

    #[test]
    fn what_is_written_is_read_to_the_bit() {
        let bytes = to_bytes(&parts()).unwrap();
        let mut read = from_bytes(&bytes).unwrap();
        read.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(read, parts());
        let Part::Vector(numbers) = &read[0].1 else { panic!("a vector") };
        assert!(numbers[1].is_sign_negative());
        assert_eq!(to_bytes(&read).unwrap(), bytes);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let bytes = to_bytes(&parts()).unwrap();
        let refused = |bytes: &[u8]| from_bytes(bytes).unwrap_err().to_string();
        assert!(refused(&bytes[..bytes.len() - 1]).contains("not a safetensors file"));
        let text = |from: &str, to: &str| {
            let at = bytes.windows(from.len()).position(|some| some == from.as_bytes()).unwrap();
            let mut bytes = bytes.clone();
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            bytes
        };
        assert!(refused(&text("w.scale", "w.scalf")).contains("`w.scale`"));
        assert!(refused(&text("\"F32\",\"shape\":[3]", "\"I32\",\"shape\":[3]")).contains("I32"));
    }
}
