//! The numbers of an echo state network as a safetensors file, in double precision and to the bit.
//!
//! | name | shape | |
//! |---|---|---|
//! | `reservoirs.0.w`, `.w_in` | `[N, N]`, `[N, K]` | dense |
//! | `reservoirs.0.w.rows`, `.columns`, `.values` | `[weights]` each | sparse: sorted by row, then column |
//! | `reservoirs.0.b`, `.keep`, `.gain` | `[N]` | |
//! | `readout` | `[L, F]` | |

use std::collections::BTreeMap;

use recurrent_kernels::sparse::{LeakyUnits, SparseMatrix, Squash, Weights};
use recurrent_reservoir::{EchoStateNetwork, EsnConfig, Readout, Reservoir, ReservoirActivation};
use safetensors::{Dtype, SafeTensors};
use thiserror::Error;

use crate::weights::{Bytes, WeightsError};

/// Why a file is no echo state network.
#[derive(Debug, Error)]
pub enum ReservoirWeightsError {
    /// It is no file of weights, or not of these.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Sparse weights are not as they should be.
    #[error("`{name}`: {reason}")]
    Sparse {
        /// Which.
        name: String,
        /// Why.
        reason: recurrent_kernels::sparse::SparseError,
    },
    /// The parts do not belong together.
    #[error(transparent)]
    Network(#[from] recurrent_reservoir::ReservoirError),
}

fn numbers(numbers: &[f64], shape: &[usize]) -> Bytes {
    let data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Bytes { dtype: Dtype::F64, shape: shape.to_vec(), data }
}

fn places(places: &[u32]) -> Bytes {
    let data = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    Bytes { dtype: Dtype::U32, shape: vec![places.len()], data }
}

/// The content of a file.
///
/// # Errors
///
/// If there is more than a file can hold.
pub fn to_bytes(network: &EchoStateNetwork) -> Result<Vec<u8>, WeightsError> {
    let mut tensors: BTreeMap<String, Bytes> = BTreeMap::new();
    for (n, reservoir) in network.reservoirs().iter().enumerate() {
        let LeakyUnits { w, w_in, b, keep, gain, .. } = &reservoir.units;
        for (name, weights) in [("w", w), ("w_in", w_in)] {
            put(&mut tensors, &format!("reservoirs.{n}.{name}"), weights);
        }
        for (name, vector) in [("b", b), ("keep", keep), ("gain", gain)] {
            tensors.insert(format!("reservoirs.{n}.{name}"), numbers(vector, &[vector.len()]));
        }
    }
    if let Some(readout) = network.readout() {
        let shape = [readout.outputs(), readout.features];
        tensors.insert("readout".to_owned(), numbers(&readout.weights, &shape));
    }
    safetensors::serialize(tensors, None)
        .map_err(|reason| WeightsError::Damaged(reason.to_string()))
}

fn put(tensors: &mut BTreeMap<String, Bytes>, name: &str, weights: &Weights<f64>) {
    match weights {
        Weights::Dense { values, columns } => {
            tensors.insert(name.to_owned(), numbers(values, &[weights.rows(), *columns]));
        }
        Weights::Sparse(_) => {
            let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for (row, column, value) in weights.entries() {
                rows.push(row as u32);
                columns.push(column as u32);
                values.push(value);
            }
            tensors.insert(format!("{name}.rows"), places(&rows));
            tensors.insert(format!("{name}.columns"), places(&columns));
            let count = values.len();
            tensors.insert(format!("{name}.values"), numbers(&values, &[count]));
        }
    }
}

/// The network of `inputs` and `outputs` columns that a file holds.
///
/// # Errors
///
/// If the bytes are no safetensors file, or its tensors are not those of such a network.
pub fn from_bytes(
    config: &EsnConfig,
    [inputs, outputs]: [usize; 2],
    bytes: &[u8],
) -> Result<EchoStateNetwork, ReservoirWeightsError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|reason| WeightsError::Damaged(reason.to_string()))?;
    let mut reservoirs = Vec::with_capacity(config.reservoirs.len());
    for (n, described) in config.reservoirs.iter().enumerate() {
        let name = |part: &str| format!("reservoirs.{n}.{part}");
        let b = vector(&file, &name("b"))?;
        let w = weights(&file, &name("w"), b.len())?;
        let w_in = weights(&file, &name("w_in"), b.len())?;
        let squash = match described.activation {
            ReservoirActivation::Tanh => Squash::Tanh,
            ReservoirActivation::Identity => Squash::Identity,
        };
        let (keep, gain) = (vector(&file, &name("keep"))?, vector(&file, &name("gain"))?);
        reservoirs.push(Reservoir {
            units: LeakyUnits { w, w_in, b, keep, gain, squash },
            fed_back: if described.has_feedback() { outputs } else { 0 },
            noise: described.noise,
        });
    }
    let (shape, weights) = array(&file, "readout")?;
    let readout = match shape.as_slice() {
        [_, features] => Readout { weights, features: *features },
        _ => {
            return Err(
                other_shape("readout", shape, vec![outputs, weights.len() / outputs]).into()
            );
        }
    };
    Ok(EchoStateNetwork::of(config.clone(), [inputs, outputs], reservoirs, Some(readout))?)
}

fn other_shape(name: &str, file: Vec<usize>, module: Vec<usize>) -> WeightsError {
    WeightsError::Shape { name: name.to_owned(), file, module }
}

fn missing(name: &str) -> WeightsError {
    WeightsError::Names { missing: vec![name.to_owned()], unknown: Vec::new() }
}

/// Shape and numbers of a tensor.
fn array(file: &SafeTensors<'_>, name: &str) -> Result<(Vec<usize>, Vec<f64>), WeightsError> {
    let view = file.tensor(name).map_err(|_| missing(name))?;
    if view.dtype() != Dtype::F64 {
        return Err(WeightsError::Dtype { name: name.to_owned(), dtype: view.dtype().to_string() });
    }
    let (numbers, _) = view.data().as_chunks::<8>();
    let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok((view.shape().to_vec(), numbers)),
        Some(number) => Err(WeightsError::Damaged(format!("`{name}` has the number {number}"))),
    }
}

fn vector(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, WeightsError> {
    let (shape, numbers) = array(file, name)?;
    match shape.len() {
        1 => Ok(numbers),
        _ => Err(other_shape(name, shape, vec![numbers.len()])),
    }
}

/// Rows or columns of sparse weights.
fn indices(file: &SafeTensors<'_>, name: &str) -> Result<Vec<usize>, WeightsError> {
    let view = file.tensor(name).map_err(|_| missing(name))?;
    if view.dtype() != Dtype::U32 {
        return Err(WeightsError::Dtype { name: name.to_owned(), dtype: view.dtype().to_string() });
    }
    let (places, _) = view.data().as_chunks::<4>();
    Ok(places.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect())
}

/// Weights of `rows` rows; sparse ones are square.
fn weights(
    file: &SafeTensors<'_>,
    name: &str,
    rows: usize,
) -> Result<Weights<f64>, ReservoirWeightsError> {
    if file.tensor(name).is_ok() {
        let (shape, values) = array(file, name)?;
        return match shape.as_slice() {
            [there, columns] if *there == rows && *columns > 0 => {
                Ok(Weights::Dense { values, columns: *columns })
            }
            _ => Err(other_shape(name, shape.clone(), vec![rows, rows]).into()),
        };
    }
    let part = |part: &str| format!("{name}.{part}");
    let values = vector(file, &part("values"))?;
    let places = [indices(file, &part("rows"))?, indices(file, &part("columns"))?];
    if let Some(other) = places.iter().find(|places| places.len() != values.len()) {
        return Err(other_shape(&part("rows"), vec![other.len()], vec![values.len()]).into());
    }
    let [from, to] = places;
    let entries =
        from.into_iter().zip(to).zip(values).map(|((row, column), value)| (row, column, value));
    let sparse = |reason| ReservoirWeightsError::Sparse { name: name.to_owned(), reason };
    Ok(Weights::Sparse(SparseMatrix::new(rows, rows, entries).map_err(sparse)?))
}
