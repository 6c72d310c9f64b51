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
    safetensors::serialize(tensors(network), None)
        .map_err(|reason| WeightsError::Damaged(reason.to_string()))
}

/// All that a file has of a network.
fn tensors(network: &EchoStateNetwork) -> BTreeMap<String, Bytes> {
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
    tensors
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
    let network =
        EchoStateNetwork::of(config.clone(), [inputs, outputs], reservoirs, Some(readout))?;
    let known = tensors(&network);
    let foreign = file.names().into_iter().filter(|name| !known.contains_key(*name));
    let unknown: Vec<String> = foreign.map(str::to_owned).collect();
    match unknown.is_empty() {
        true => Ok(network),
        false => Err(WeightsError::Names { missing: Vec::new(), unknown }.into()),
    }
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

#[cfg(test)]
mod tests {
    use recurrent_reservoir::{Arrangement, OneOrEach, ReservoirConfig, Series, Topology, signals};
    use rstest::rstest;

    use super::*;

    /// Sparse and dense, fed back or deep, with rates of their own.
    fn network(arrangement: Arrangement, feedback_scaling: f64) -> EchoStateNetwork {
        let sparse = ReservoirConfig {
            units: 30,
            bias_scaling: 0.3,
            feedback_scaling,
            leak: OneOrEach::Each((1..=30).map(|n| f64::from(n) / 30.0).collect()),
            ..ReservoirConfig::default()
        };
        let dense = ReservoirConfig {
            units: 20,
            topology: Topology::Orthogonal,
            activation: ReservoirActivation::Identity,
            noise: 1e-3,
            ..ReservoirConfig::default()
        };
        let reservoirs = vec![sparse, dense];
        let config = EsnConfig { reservoirs, arrangement, ..EsnConfig::default() };
        let mut network = config.init(1, 1).unwrap();
        let [u, d] = signals::narma10(400, 1).map(Series::of);
        network.fit(&[(u, d)]).unwrap();
        network
    }

    /// what is read is what was written, to the bit.
    #[rstest]
    fn x_4_a_network_is_saved_exactly(
        #[values(Arrangement::Stacked, Arrangement::Parallel)] arrangement: Arrangement,
        #[values(0.0, 0.4)] feedback_scaling: f64,
    ) {
        let network = network(arrangement, feedback_scaling);
        let bytes = to_bytes(&network).unwrap();
        let again = from_bytes(network.config(), [1, 1], &bytes).unwrap();
        assert!(again == network);
        assert!(to_bytes(&again).unwrap() == bytes);
        let u = Series::of(signals::mackey_glass(17, 50, 1));
        let said = |network: &EchoStateNetwork| network.run(&u, &mut network.start()).unwrap();
        assert_eq!(said(&again), said(&network));
    }

    /// A file with one tensor in the place of another.
    fn changed(name: &str, tensor: Option<Bytes>) -> Result<EchoStateNetwork, String> {
        let network = network(Arrangement::Stacked, 0.0);
        let bytes = to_bytes(&network).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: BTreeMap<String, Bytes> = file
            .iter()
            .map(|(name, view)| {
                let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
                (name.to_owned(), Bytes { dtype: view.dtype(), shape, data })
            })
            .collect();
        assert!(tensors.remove(name).is_some() || tensor.is_some());
        if let Some(tensor) = tensor {
            tensors.insert(name.to_owned(), tensor);
        }
        let bytes = safetensors::serialize(tensors, None).unwrap();
        from_bytes(network.config(), [1, 1], &bytes).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case("readout", None, "the model has `readout`, the file has not")]
    #[case("reservoirs.0.b", Some(numbers(&[0.0; 31], &[31])), "`reservoirs.0.w_in` is [30, 1]")]
    #[case("reservoirs.1.w", Some(numbers(&[], &[20, 0])), "`reservoirs.1.w` is [20, 0]")]
    #[case("reservoirs.0.gain", Some(numbers(&[1.0; 29], &[29])), "29 leak rates, expected 30")]
    #[case("reservoirs.0.keep", Some(numbers(&[f64::NAN; 30], &[30])), "`reservoirs.0.keep` has the number NaN")]
    #[case("reservoirs.0.w.rows", Some(places(&[0])), "`reservoirs.0.w.rows` is [1]")]
    #[case("reservoirs.2.b", Some(numbers(&[0.0], &[1])), "the file has `reservoirs.2.b`, the model has not")]
    fn what_is_no_network_is_refused(
        #[case] name: &str,
        #[case] tensor: Option<Bytes>,
        #[case] message: &str,
    ) {
        let refused = changed(name, tensor).unwrap_err();
        assert!(refused.contains(message), "{refused}");
    }

    /// A place beyond the matrix, or one that is taken, is no network.
    #[test]
    fn sparse_places_are_checked() {
        let network = network(Arrangement::Stacked, 0.0);
        let count = network.reservoirs()[0].units.w.entries().count();
        let places_of = |place: u32| Some(places(&vec![place; count]));
        let refused = changed("reservoirs.0.w.columns", places_of(30)).unwrap_err();
        assert!(refused.contains(", 30], expected a place within [30, 30]"), "{refused}");
        let refused = changed("reservoirs.0.w.rows", places_of(0)).unwrap_err();
        assert!(refused.contains("is not behind the one before it"), "{refused}");
    }
}
