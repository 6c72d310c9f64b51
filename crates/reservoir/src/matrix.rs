//! How the weights of a reservoir are drawn.

use std::collections::{BTreeMap, BTreeSet};

use faer::Mat;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, StandardNormal};
use recurrent_kernels::sparse::{SparseMatrix, Weights};
use serde::{Deserialize, Serialize};

use crate::{ReservoirError, error::check, one_thread::on_one_thread, spectrum::spectral_radius};

/// Where connections are and how their weights are drawn, before they are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Topology {
    /// Anywhere, evenly in [−1, 1].
    #[default]
    Uniform,
    /// Anywhere, normally distributed.
    Normal,
    /// Anywhere, −1 or 1.
    Bernoulli,
    /// Everywhere, as an orthogonal matrix: a linear reservoir forgets nothing within `N` steps.
    Orthogonal,
    /// From each unit to the next and from the last to the first, weight 1.
    Ring,
    /// From each unit to the next, weight 1. It has no eigenvalue but 0, so the weights are the spectral radius
    /// that is asked for.
    Line,
    /// To the nearest units on a ring, some of which are exchanged for any others (Watts & Strogatz 1998);
    /// weights evenly in [−1, 1].
    SmallWorld {
        /// How many of the nearest, even and at least 2.
        neighbours: usize,
        /// The share that is exchanged, in [0, 1].
        rewired: f64,
    },
}

/// From this share of weights on a matrix is kept as a dense one.
const DENSE: f64 = 0.5;

/// How often a matrix without cycles is drawn anew.
const DRAWS: usize = 10;

/// What a spectral radius has to be above to be scaled.
const LEAST_RADIUS: f64 = 1e-8;

/// A matrix `[N, N]` with the spectral radius asked for.
///
/// # Errors
///
/// If a setting is out of its range, or no matrix is drawn that can be scaled.
pub fn recurrent_weights(
    topology: Topology,
    units: usize,
    density: f64,
    radius: f64,
    seed: u64,
) -> Result<Weights<f64>, ReservoirError> {
    check("units", units as f64, |units| units > 0.0, "at least 1")?;
    check("density", density, |density| density > 0.0 && density <= 1.0, "in (0, 1]")?;
    check("spectral_radius", radius, |radius| radius > 0.0, "above 0")?;
    if let Topology::SmallWorld { neighbours, rewired } = topology {
        let even = neighbours >= 2 && neighbours.is_multiple_of(2) && neighbours < units;
        let range = "even, at least 2 and below the number of units";
        check("topology.small_world.neighbours", neighbours as f64, |_| even, range)?;
        let share = |share: f64| (0.0..=1.0).contains(&share);
        check("topology.small_world.rewired", rewired, share, "in [0, 1]")?;
    }
    let mut rng = StdRng::seed_from_u64(seed);
    if topology == Topology::Line {
        let next = (1..units).map(|unit| (unit, unit - 1, radius));
        return Ok(sparse(units, units, next.collect()));
    }
    for _ in 0..DRAWS {
        let drawn = draw(topology, units, density, &mut rng);
        let found = match topology {
            Topology::Orthogonal | Topology::Ring => 1.0,
            _ => spectral_radius(&drawn)?,
        };
        if found > LEAST_RADIUS {
            return Ok(drawn.map(|weight| weight * (radius / found)));
        }
    }
    Err(ReservoirError::Nilpotent { draws: DRAWS, units, density })
}

/// How weights from outside are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputTopology {
    /// Evenly in [−1, 1].
    #[default]
    Uniform,
    /// −1 or 1.
    Bernoulli,
}

/// Weights from outside, `[N, K]`, of which the share `density` is there; in row-major order.
pub(crate) fn input_weights(
    units: usize,
    inputs: usize,
    topology: InputTopology,
    density: f64,
    rng: &mut StdRng,
) -> Vec<f64> {
    let weight = |_| {
        let there = density >= 1.0 || rng.random_bool(density);
        match (there, topology) {
            (false, _) => 0.0,
            (true, InputTopology::Uniform) => rng.random_range(-1.0..=1.0),
            (true, InputTopology::Bernoulli) => sign(rng),
        }
    };
    (0..units * inputs).map(weight).collect()
}

fn draw(topology: Topology, units: usize, density: f64, rng: &mut StdRng) -> Weights<f64> {
    match topology {
        Topology::Orthogonal => orthogonal(units, rng),
        Topology::Ring => {
            let next = (0..units).map(|unit| (unit, (unit + units - 1) % units, 1.0));
            sparse(units, units, next.collect())
        }
        Topology::SmallWorld { neighbours, rewired } => {
            small_world(units, neighbours, rewired, rng)
        }
        Topology::Line | Topology::Uniform | Topology::Normal | Topology::Bernoulli => {
            let weight = |rng: &mut StdRng| match topology {
                Topology::Normal => StandardNormal.sample(rng),
                Topology::Bernoulli => sign(rng),
                _ => rng.random_range(-1.0..=1.0),
            };
            if density >= DENSE {
                let one = |_| match density >= 1.0 || rng.random_bool(density) {
                    true => weight(rng),
                    false => 0.0,
                };
                return Weights::dense((0..units * units).map(one).collect(), units);
            }
            let mut entries = Vec::with_capacity((density * (units * units) as f64 * 1.1) as usize);
            for place in places(units * units, density, rng) {
                entries.push((place / units, place % units, weight(rng)));
            }
            sparse(units, units, entries)
        }
    }
}

/// Which of so many places are taken, each with the same probability: the distance to the next is drawn, so
/// that a sparse matrix takes no longer than its weights.
fn places(count: usize, density: f64, rng: &mut StdRng) -> Vec<usize> {
    let mut taken = Vec::new();
    let mut next = 0.0;
    loop {
        // A geometric distribution; `1 − u` is never zero.
        let u: f64 = rng.random();
        next += ((1.0 - u).ln() / (1.0 - density).ln()).floor();
        if next >= count as f64 {
            return taken;
        }
        taken.push(next as usize);
        next += 1.0;
    }
}

fn sign(rng: &mut StdRng) -> f64 {
    if rng.random() { 1.0 } else { -1.0 }
}

/// The orthogonal factor of a matrix of normal numbers, its signs made even (Mezzadri 2007).
fn orthogonal(units: usize, rng: &mut StdRng) -> Weights<f64> {
    let normal: Mat<f64> = Mat::from_fn(units, units, |_, _| StandardNormal.sample(rng));
    let qr = on_one_thread(|| normal.qr());
    let (q, r) = (on_one_thread(|| qr.compute_Q()), qr.R());
    let value = |n: usize| {
        let (row, column) = (n / units, n % units);
        q[(row, column)] * r[(column, column)].signum()
    };
    Weights::dense((0..units * units).map(value).collect(), units)
}

fn small_world(units: usize, neighbours: usize, rewired: f64, rng: &mut StdRng) -> Weights<f64> {
    let mut entries = BTreeMap::new();
    for unit in 0..units {
        let mut from: BTreeSet<usize> = (1..=neighbours / 2)
            .flat_map(|away| [(unit + away) % units, (unit + units - away) % units])
            .collect();
        for near in from.clone() {
            // With all others taken there is nothing to exchange it for.
            if rng.random_bool(rewired) && from.len() + 1 < units {
                let mut other = rng.random_range(0..units);
                while other == unit || from.contains(&other) {
                    other = rng.random_range(0..units);
                }
                from.remove(&near);
                from.insert(other);
            }
        }
        for other in from {
            entries.insert((unit, other), rng.random_range(-1.0..=1.0));
        }
    }
    let entries = entries.into_iter().map(|((row, column), value)| (row, column, value));
    sparse(units, units, entries.collect())
}

fn sparse(rows: usize, columns: usize, entries: Vec<(usize, usize, f64)>) -> Weights<f64> {
    let mut entries = entries;
    entries.sort_by_key(|(row, column, _)| (*row, *column));
    Weights::Sparse(SparseMatrix::new(rows, columns, entries).expect("places within the matrix"))
}
