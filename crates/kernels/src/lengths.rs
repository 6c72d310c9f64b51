//! How long each sequence of a padded batch really is, and which way it is read.

use std::sync::Arc;

use burn::prelude::*;

/// The lengths of a batch of sequences that are padded **on the right** to a common number of steps.
///
/// Lengths live on the host: batches are built there, and a kernel must never read a tensor back
/// to learn how far to run. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    lengths: Arc<[usize]>,
    steps: usize,
}

impl Lengths {
    /// Sequences of the given lengths, padded to `steps`. A length of 0 is allowed: such a sequence
    /// keeps its initial state and puts out zeros.
    ///
    /// # Panics
    ///
    /// If there is no sequence, no step, or a length above `steps`.
    pub fn new(lengths: impl Into<Arc<[usize]>>, steps: usize) -> Self {
        let lengths = lengths.into();
        assert!(!lengths.is_empty(), "a batch needs at least one sequence, got none");
        assert!(steps > 0, "a sequence needs at least one step, got T = 0");
        if let Some((row, length)) = lengths.iter().enumerate().find(|(_, length)| **length > steps)
        {
            panic!("length {length} of sequence {row} is above the number of steps, {steps}");
        }
        Self { lengths, steps }
    }

    /// `batch` sequences without padding, each `steps` long.
    ///
    /// # Panics
    ///
    /// If `batch` or `steps` is 0.
    pub fn full(batch: usize, steps: usize) -> Self {
        Self::new(vec![steps; batch], steps)
    }

    /// The number of sequences, `B`.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// The number of steps the batch is padded to, `T`.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The true length of every sequence.
    pub fn as_slice(&self) -> &[usize] {
        &self.lengths
    }

    /// Whether no sequence has padding.
    pub fn is_full(&self) -> bool {
        self.all_run_at(self.steps - 1)
    }

    /// Whether step `t` is real in every sequence.
    pub fn all_run_at(&self, t: usize) -> bool {
        self.lengths.iter().all(|length| t < *length)
    }

    /// `[B]` booleans, true where step `t` is padding.
    pub fn padded_at(&self, t: usize) -> Vec<bool> {
        self.lengths.iter().map(|length| t >= *length).collect()
    }

    /// `[B, T]`, true where a step is padding (Burn's convention).
    pub fn pad_mask(&self, device: &Device) -> Tensor<2, Bool> {
        let mask =
            self.lengths.iter().flat_map(|length| (0..self.steps).map(move |t| t >= *length));
        let data = TensorData::new(mask.collect::<Vec<bool>>(), [self.batch(), self.steps]);
        Tensor::from_data(data, device)
    }
}

/// Which way a recurrence reads a sequence. Reading backward starts at the last real step of each
/// sequence, never in its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Backward,
}

/// One step of a recurrence over `T` inputs and the `T + 1` states around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The input that is read, `0..T`.
    pub t: usize,
    /// The state before the step, `0..=T`.
    pub before: usize,
    /// The state after the step, `0..=T`.
    pub after: usize,
}

impl Direction {
    /// The steps in the order in which they are run. State 0 is where a forward recurrence starts,
    /// state `T` where a backward one does.
    pub fn steps(self, steps: usize) -> impl DoubleEndedIterator<Item = Step> {
        (0..steps).map(move |n| self.step(n, steps))
    }

    /// Step `n` of these.
    pub fn step(self, n: usize, steps: usize) -> Step {
        match self {
            Self::Forward => Step { t: n, before: n, after: n + 1 },
            Self::Backward => Step { t: steps - 1 - n, before: steps - n, after: steps - 1 - n },
        }
    }

    /// The index of the initial state among `T + 1` states.
    pub fn first(self, steps: usize) -> usize {
        match self {
            Self::Forward => 0,
            Self::Backward => steps,
        }
    }

    /// The index of the final state among `T + 1` states.
    pub fn last(self, steps: usize) -> usize {
        steps - self.first(steps)
    }

    /// The index, among `T + 1` states, of the state after the step that reads input 0. The states
    /// from there on are the outputs, in the order of the inputs.
    pub fn outputs_from(self) -> usize {
        match self {
            Self::Forward => 1,
            Self::Backward => 0,
        }
    }

    /// The index, among `T + 1` states, of the state before the step that reads input 0.
    pub fn inputs_from(self) -> usize {
        1 - self.outputs_from()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backward_recurrence_starts_behind_the_last_input() {
        let steps: Vec<_> = Direction::Backward.steps(2).collect();
        assert_eq!(steps[0], Step { t: 1, before: 2, after: 1 });
        assert_eq!(steps[1], Step { t: 0, before: 1, after: 0 });
        assert_eq!((Direction::Backward.first(2), Direction::Backward.last(2)), (2, 0));
    }

    #[test]
    fn the_mask_is_true_on_padding() {
        let mask = Lengths::new([2, 0], 3).pad_mask(&Device::flex());
        let expected = [[false, false, true], [true, true, true]];
        mask.into_data().assert_eq(&TensorData::from(expected), false);
    }

    #[test]
    #[should_panic(expected = "length 4 of sequence 1 is above the number of steps, 3")]
    fn a_length_beyond_the_padding_is_refused() {
        Lengths::new([3, 4], 3);
    }

    #[test]
    #[should_panic(expected = "a batch needs at least one sequence, got none")]
    fn an_empty_batch_is_refused() {
        Lengths::full(0, 3);
    }
}
