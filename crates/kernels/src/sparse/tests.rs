//! Against the equations, one unit after the other, in plain loops.

use proptest::prelude::*;

use super::*;

/// Numbers in ±1 without a generator.
fn number(n: usize) -> f64 {
    ((n as f64 + 1.0) * 12.9898).sin()
}

fn sparse(rows: usize, columns: usize, density: f64, seed: usize) -> Weights<f64> {
    let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let kept =
        places.filter(|(row, column)| number(seed + row * columns + column).abs() * 1.2 < density);
    let weights = kept.map(|(row, column)| (row, column, number(row + 7 * column + seed)));
    Weights::Sparse(SparseMatrix::new(rows, columns, weights.collect::<Vec<_>>()).unwrap())
}

fn dense(rows: usize, columns: usize, seed: usize) -> Weights<f64> {
    Weights::dense((0..rows * columns).map(|n| number(n + seed)).collect(), columns)
}

fn units(n: usize, k: usize, w: Weights<f64>, squash: Squash) -> LeakyUnits<f64> {
    LeakyUnits {
        w: w.map(|value| value / (n as f64).sqrt()),
        w_in: dense(n, k, 5),
        b: (0..n).map(|unit| 0.1 * number(unit + 3)).collect(),
        keep: (0..n).map(|unit| 0.3 + 0.5 * number(unit).abs()).collect(),
        gain: (0..n).map(|unit| 0.2 + 0.5 * number(unit + 1).abs()).collect(),
        squash,
    }
}

/// The equations as they are written.
fn plain(units: &LeakyUnits<f64>, u: &[f64], noise: Option<&[f64]>, x: &mut [f64]) -> Vec<f64> {
    let (n, k) = (units.units(), units.inputs());
    let mut states = Vec::new();
    for (t, u) in u.chunks(k).enumerate() {
        let mut sums = units.b.clone();
        for (row, column, value) in units.w_in.entries() {
            sums[row] += value * u[column];
        }
        for (row, column, value) in units.w.entries() {
            sums[row] += value * x[column];
        }
        for unit in 0..n {
            let sum = sums[unit] + noise.map_or(0.0, |noise| noise[t * n + unit]);
            let new = match units.squash {
                Squash::Tanh => sum.tanh(),
                Squash::Identity => sum,
            };
            x[unit] = units.keep[unit] * x[unit] + units.gain[unit] * new;
        }
        states.extend_from_slice(x);
    }
    states
}

fn assert_near(found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len());
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= within, "number {n}: {found} is not {expected}");
    }
}

/// Around the edges of a register, of the four sums, and of the number of units worth two threads.
#[test]
fn a_sequence_follows_the_equations() {
    for (n, k, steps) in [(1, 1, 3), (3, 2, 9), (17, 1, 20), (130, 3, 40), (400, 1, 60)] {
        for squash in [Squash::Tanh, Squash::Identity] {
            for w in [sparse(n, n, 0.2, 9), dense(n, n, 2), sparse(n, n, 0.0, 1)] {
                let units = units(n, k, w, squash);
                let u: Vec<f64> = (0..steps * k).map(|m| number(m + 40)).collect();
                let noise: Vec<f64> = (0..steps * n).map(|m| 0.01 * number(m)).collect();
                for noise in [None, Some(noise.as_slice())] {
                    let mut state: Vec<f64> = (0..n).map(|unit| 0.5 * number(unit)).collect();
                    let expected = plain(&units, &u, noise, &mut state.clone());
                    let (stride, offset) = (n + 3, 2);
                    let mut elements = vec![7.0; steps * stride];
                    let rows = Rows { elements: &mut elements, stride, offset };
                    units.sequence(&u, noise, &mut state, rows);
                    let of_row = |row: &[f64]| row[offset..offset + n].to_vec();
                    let found: Vec<f64> = elements.chunks(stride).flat_map(of_row).collect();
                    assert_near(&found, &expected, 1e-12);
                    assert_eq!(state, found[(steps - 1) * n..]);
                    // What is beside the states is left alone.
                    let beside = |row: &[f64]| row[..2] == [7.0; 2] && row[n + 2] == 7.0;
                    assert!(elements.chunks(stride).all(beside));
                }
            }
        }
    }
}

/// ESN-9.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let n = 600;
    let units = units(n, 2, sparse(n, n, 0.3, 4), Squash::Tanh);
    let u: Vec<f64> = (0..400).map(number).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut state, mut elements) = (vec![0.0; n], vec![0.0; 200 * n]);
            let rows = Rows { elements: &mut elements, stride: n, offset: 0 };
            units.sequence(&u, None, &mut state, rows);
            elements
        })
    };
    let alone = run(1);
    for threads in 2..5 {
        assert!(alone == run(threads), "{threads} threads");
    }
}

#[test]
fn a_batch_is_its_sequences() {
    let n = 37;
    for w in [sparse(n, n, 0.3, 4), dense(n, n, 2)] {
        let units = units(n, 2, w, Squash::Tanh);
        for count in [1, 15, 16, 17, 40] {
            let inputs: Vec<Vec<f64>> = (0..count)
                .map(|s| (0..2 * (s * 7 % 12)).map(|m| number(m + 100 * s)).collect())
                .collect();
            let start = |s: usize| (0..n).map(|unit| 0.3 * number(unit + s)).collect::<Vec<_>>();
            let mut states: Vec<Vec<f64>> = (0..count).map(start).collect();
            let mut elements: Vec<Vec<f64>> =
                inputs.iter().map(|u| vec![0.0; u.len() / 2 * (n + 1)]).collect();
            let u: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
            let mut rows: Vec<Rows<'_, f64>> = elements
                .iter_mut()
                .map(|elements| Rows { elements, stride: n + 1, offset: 1 })
                .collect();
            units.batch(&u, &mut states, &mut rows);
            for (s, u) in inputs.iter().enumerate() {
                let mut state = start(s);
                let expected = plain(&units, u, None, &mut state);
                let of_row = |row: &[f64]| row[1..].to_vec();
                let found: Vec<f64> = elements[s].chunks(n + 1).flat_map(of_row).collect();
                assert_near(&found, &expected, 1e-12);
                assert_near(&states[s], &state, 1e-12);
            }
        }
    }
}

#[test]
fn single_precision_is_near_double() {
    let n = 90;
    let units = units(n, 1, sparse(n, n, 0.2, 4), Squash::Tanh);
    let single = LeakyUnits {
        w: units.w.map(|a| a as f32),
        w_in: units.w_in.map(|a| a as f32),
        b: units.b.iter().map(|a| *a as f32).collect(),
        keep: units.keep.iter().map(|a| *a as f32).collect(),
        gain: units.gain.iter().map(|a| *a as f32).collect(),
        squash: Squash::Tanh,
    };
    let u: Vec<f64> = (0..50).map(number).collect();
    let expected = plain(&units, &u, None, &mut vec![0.0; n]);
    let u: Vec<f32> = u.iter().map(|a| *a as f32).collect();
    let mut elements = vec![0.0_f32; 50 * n];
    let rows = Rows { elements: &mut elements, stride: n, offset: 0 };
    single.sequence(&u, None, &mut vec![0.0; n], rows);
    let found: Vec<f64> = elements.iter().map(|a| f64::from(*a)).collect();
    assert_near(&found, &expected, 1e-5);
}

#[test]
fn the_tangent_is_right_to_the_last_bits() {
    let swept = (-40_000..40_000).map(|n| f64::from(n) * 6.1e-4);
    let small = (0..300).map(|n| 10.0_f64.powi(-n));
    for a in swept.chain(small).chain([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e300]) {
        let (found, expected) = (a.tangent(), a.tanh());
        let within = 4.0 * f64::EPSILON * expected.abs();
        assert!((found - expected).abs() <= within, "tanh of {a:e}: {found:e}, not {expected:e}");
        assert_eq!((-a).tangent(), -found);
    }
    assert!(f64::NAN.tangent().is_nan());
}

#[test]
fn a_wrong_matrix_says_which_weight() {
    let place = SparseMatrix::new(2, 3, [(0, 3, 1.0)]).unwrap_err();
    assert_eq!(place.to_string(), "a weight at [0, 3], expected a place within [2, 3]");
    let value = SparseMatrix::new(2, 3, [(1, 2, f64::NAN)]).unwrap_err();
    assert_eq!(value.to_string(), "weight [1, 2] is NaN, expected a finite number");
    let order = SparseMatrix::new(2, 3, [(1, 2, 1.0), (1, 2, 1.0)]).unwrap_err();
    assert_eq!(order.to_string(), "weight [1, 2] is not behind the one before it");
}

proptest! {
    /// Whatever rows are empty, `W · x` is the sum of its entries, and the entries are what was given.
    #[test]
    fn a_product_is_the_sum_of_its_entries(
        rows in 1_usize..9, columns in 1_usize..40, density in 0.0..1.0, seed in 0_usize..99,
    ) {
        let w = sparse(rows, columns, density, seed);
        let x: Vec<f64> = (0..columns).map(|n| number(n + seed)).collect();
        let mut expected = vec![0.0; rows];
        for (row, column, value) in w.entries() {
            expected[row] += value * x[column];
        }
        let mut found = vec![0.0; rows];
        w.product(&x, &mut found);
        assert_near(&found, &expected, 1e-12);
        let Weights::Sparse(matrix) = &w else { unreachable!() };
        prop_assert_eq!(&SparseMatrix::new(rows, columns, w.entries()).unwrap(), matrix);
    }
}
