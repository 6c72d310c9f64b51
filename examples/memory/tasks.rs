//! Three tasks that need memory, drawn fresh for every update.
//!
//! Sources: for adding and copying, Arjovsky, Shah & Bengio (2016), Unitary Evolution Recurrent
//! Neural Networks, after Hochreiter & Schmidhuber (1997).

use burn::{prelude::*, tensor::TensorData};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::target::Target;

const SYMBOLS: usize = 8;
const RECALLED: usize = 10;
const GAP: usize = 20;

/// A task, and its length where training and testing differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// 50 numbers in `[0, 1]`, one marked in each half: their sum, at the end.
    Adding,
    /// Ten symbols of eight, a gap, a delimiter: the ten symbols again, after it.
    Copying,
    /// Random bits: at every step, whether the ones so far are odd in number.
    Parity {
        /// How many bits.
        bits: usize,
    },
}

/// Sequences and what is to be said about them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// `[B, T, I]`.
    pub(crate) x: Tensor<3>,
    /// What the model should put out.
    pub(crate) target: Target,
}

impl Task {
    /// All of them, at their training lengths.
    pub(crate) const ALL: [Self; 3] = [Self::Adding, Self::Copying, Self::Parity { bits: 10 }];

    /// One word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Adding => "adding",
            Self::Copying => "copy",
            Self::Parity { .. } => "parity",
        }
    }

    /// Features of one step, `I`.
    pub(crate) fn d_input(self) -> usize {
        match self {
            Self::Adding => 2,
            Self::Copying => SYMBOLS + 2,
            Self::Parity { .. } => 1,
        }
    }

    /// Numbers that the readout puts out.
    pub(crate) fn d_output(self) -> usize {
        match self {
            Self::Adding => 1,
            Self::Copying => SYMBOLS + 1,
            Self::Parity { .. } => 2,
        }
    }

    /// Enough for the models that can learn it.
    pub(crate) fn updates(self) -> usize {
        match self {
            Self::Adding | Self::Copying => 3000,
            Self::Parity { .. } => 2000,
        }
    }

    /// The loss of the best answer without memory: the variance of a sum of two numbers in
    /// `[0, 1]`; guessed symbols, `10 ln 8 / (T + 20)`; a guessed bit.
    pub(crate) fn baseline(self) -> f64 {
        match self {
            Self::Adding => 1.0 / 6.0,
            Self::Copying => RECALLED as f64 * (SYMBOLS as f64).ln() / (GAP + 2 * RECALLED) as f64,
            Self::Parity { .. } => 2f64.ln(),
        }
    }

    /// `size` sequences. They depend on `seed` and `number` and nothing else.
    pub(crate) fn batch(self, size: usize, seed: u64, number: u64, device: &Device) -> Batch {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&number.to_le_bytes());
        let mut rng = StdRng::from_seed(key);
        match self {
            Self::Adding => adding(size, &mut rng, device),
            Self::Copying => copying(size, &mut rng, device),
            Self::Parity { bits } => parity(bits, size, &mut rng, device),
        }
    }
}

/// The first feature is the number, the second is 1 where it is marked.
fn adding(size: usize, rng: &mut StdRng, device: &Device) -> Batch {
    const STEPS: usize = 50;
    let mut x = vec![0f32; size * STEPS * 2];
    let mut sums: Vec<f32> = Vec::with_capacity(size);
    for row in x.chunks_exact_mut(STEPS * 2) {
        row.iter_mut().step_by(2).for_each(|value| *value = rng.random());
        let marked = [rng.random_range(..STEPS / 2), rng.random_range(STEPS / 2..STEPS)];
        marked.iter().for_each(|t| row[2 * t + 1] = 1.0);
        sums.push(marked.iter().map(|t| row[2 * t]).sum());
    }
    let x = Tensor::from_data(TensorData::new(x, [size, STEPS, 2]), device);
    Batch { x, target: Target::Number(Tensor::from_data(TensorData::new(sums, [size, 1]), device)) }
}

/// `10 symbols, T − 1 blanks, delimiter, 10 blanks` to `T + 10 blanks, 10 symbols`.
fn copying(size: usize, rng: &mut StdRng, device: &Device) -> Batch {
    const STEPS: usize = GAP + 2 * RECALLED;
    let (blank, delimiter) = (SYMBOLS, SYMBOLS + 1);
    let mut x = vec![0f32; size * STEPS * (SYMBOLS + 2)];
    let mut classes = vec![blank as i32; size * STEPS];
    let rows = x.chunks_exact_mut(STEPS * (SYMBOLS + 2)).zip(classes.chunks_exact_mut(STEPS));
    for (row, classes) in rows {
        for (t, one_hot) in row.chunks_exact_mut(SYMBOLS + 2).enumerate() {
            let seen = match t {
                0..RECALLED => rng.random_range(..SYMBOLS),
                _ if t == STEPS - RECALLED - 1 => delimiter,
                _ => blank,
            };
            one_hot[seen] = 1.0;
            if t < RECALLED {
                classes[STEPS - RECALLED + t] = seen as i32;
            }
        }
    }
    let x = Tensor::from_data(TensorData::new(x, [size, STEPS, SYMBOLS + 2]), device);
    let classes = Tensor::from_data(TensorData::new(classes, [size, STEPS]), device);
    Batch { x, target: Target::Classes { classes, graded: RECALLED } }
}

/// Bits are −1 and 1.
fn parity(bits: usize, size: usize, rng: &mut StdRng, device: &Device) -> Batch {
    let drawn: Vec<bool> = (0..size * bits).map(|_| rng.random()).collect();
    let x: Vec<f32> = drawn.iter().map(|bit| if *bit { 1.0 } else { -1.0 }).collect();
    let odd = drawn.chunks_exact(bits).flat_map(|row| {
        row.iter().scan(false, |odd, bit| {
            *odd ^= bit;
            Some(i32::from(*odd))
        })
    });
    let classes: Vec<i32> = odd.collect();
    let x = Tensor::from_data(TensorData::new(x, [size, bits, 1]), device);
    let classes = Tensor::from_data(TensorData::new(classes, [size, bits]), device);
    Batch { x, target: Target::Classes { classes, graded: 1 } }
}
