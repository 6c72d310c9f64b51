//! Batches of examples of similar length, so that little of a batch is padding.
//!
//! An epoch is a shuffle, a sort by length that leaves equals in their shuffled order, a cut into
//! batches, and a shuffle of the batches. It depends on the seed and the number of the epoch alone:
//! random numbers are ChaCha12's and the shuffle is written out here, so no update of a library
//! changes a run.

use rand::{Rng, SeedableRng, rngs::ChaCha12Rng};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Tokens of one example, as many as there will be steps: with `</s>` where one is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    /// Tokens of the source, `S`.
    pub source: usize,
    /// Tokens of the target, `T`; 0 if there is none.
    pub target: usize,
}

/// How large a batch may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchSize {
    /// Tokens of sources and targets together, padding included: `B · (S + T)`.
    Tokens(usize),
    /// Examples, `B`.
    Sentences(usize),
}

/// How batches are made, as data of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucketing {
    /// How large a batch may become.
    pub size: BatchSize,
    /// Longer sources are dropped, and their targets with them.
    #[serde(default)]
    pub max_source: Option<usize>,
    /// Longer targets are dropped, and their sources with them.
    #[serde(default)]
    pub max_target: Option<usize>,
}

/// Why batches cannot be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// A batch without room.
    #[error("the size of a batch must be above 0, got 0")]
    Size,
    /// No example is left.
    #[error("there is no example to make batches of, {dropped} were dropped as too long")]
    NoExample {
        /// Examples that were too long.
        dropped: usize,
    },
    /// An example that is larger than a batch may become.
    #[error(
        "example {example} has {tokens} tokens, which is above the {budget} of a batch; \
         raise the budget or drop long examples"
    )]
    Budget {
        /// The index of the example.
        example: usize,
        /// Its tokens.
        tokens: usize,
        /// The most tokens of a batch.
        budget: usize,
    },
}

/// Examples that are ready to be put into batches.
#[derive(Clone, Debug)]
pub struct Buckets {
    size: BatchSize,
    lengths: Vec<Length>,
    kept: Vec<usize>,
}

/// How much of some batches is padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Tokens of the examples.
    pub real: usize,
    /// Tokens of the batches, padding included.
    pub padded: usize,
}

impl Padding {
    /// The share of padding, in `[0, 1)`; 0 where there is nothing.
    pub fn share(&self) -> f64 {
        if self.padded == 0 { 0.0 } else { 1.0 - self.real as f64 / self.padded as f64 }
    }
}

impl Bucketing {
    /// Batches of the given size, nothing dropped.
    pub fn new(size: BatchSize) -> Self {
        Self { size, max_source: None, max_target: None }
    }

    /// The same for what is measured: nothing is dropped, and a budget that the largest of `lengths` is above
    /// grows to hold it.
    pub fn of_all(&self, lengths: &[Length]) -> Self {
        let largest = lengths.iter().map(|length| length.source + length.target).max();
        Self::new(match self.size {
            BatchSize::Tokens(budget) => BatchSize::Tokens(budget.max(largest.unwrap_or(0))),
            BatchSize::Sentences(count) => BatchSize::Sentences(count),
        })
    }

    /// Takes in the lengths of all examples and drops those that are too long.
    ///
    /// # Errors
    ///
    /// If the size is 0, no example is left, or one is larger than a batch may become.
    pub fn plan(&self, lengths: Vec<Length>) -> Result<Buckets, BatchError> {
        let (BatchSize::Tokens(size) | BatchSize::Sentences(size)) = self.size;
        if size == 0 {
            return Err(BatchError::Size);
        }
        let fits = |length: &Length| {
            self.max_source.is_none_or(|most| length.source <= most)
                && self.max_target.is_none_or(|most| length.target <= most)
        };
        let kept: Vec<usize> = (0..lengths.len()).filter(|index| fits(&lengths[*index])).collect();
        if kept.is_empty() {
            return Err(BatchError::NoExample { dropped: lengths.len() });
        }
        if let BatchSize::Tokens(budget) = self.size {
            for &example in &kept {
                let tokens = lengths[example].source + lengths[example].target;
                if tokens > budget {
                    return Err(BatchError::Budget { example, tokens, budget });
                }
            }
        }
        Ok(Buckets { size: self.size, lengths, kept })
    }
}

impl Buckets {
    /// How many examples are in an epoch.
    pub fn examples(&self) -> usize {
        self.kept.len()
    }

    /// How many examples were dropped because they are too long.
    pub fn dropped(&self) -> usize {
        self.lengths.len() - self.kept.len()
    }

    /// The batches of an epoch, each a list of indices of examples. Every example that was not
    /// dropped is in one batch, once.
    pub fn epoch(&self, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut rng = generator(seed, epoch);
        let mut order = self.kept.clone();
        shuffle(&mut order, &mut rng);
        // Targets rise and fall in turn, so that they do not jump where the source grows by one.
        order.sort_by_key(|index| {
            let Length { source, target } = self.lengths[*index];
            (source, if source % 2 == 0 { target } else { usize::MAX - target })
        });
        let mut batches = self.cut(order);
        shuffle(&mut batches, &mut rng);
        batches
    }

    /// The batches of an epoch whose examples are in random order, which is what sorting by length
    /// is measured against.
    pub fn random_epoch(&self, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut order = self.kept.clone();
        shuffle(&mut order, &mut generator(seed, epoch));
        self.cut(order)
    }

    /// How much of the given batches is padding.
    pub fn padding(&self, batches: &[Vec<usize>]) -> Padding {
        let mut padding = Padding::default();
        for batch in batches {
            let lengths = || batch.iter().map(|index| self.lengths[*index]);
            padding.real += lengths().map(|length| length.source + length.target).sum::<usize>();
            let longest = lengths().fold(Length::default(), longest);
            padding.padded += batch.len() * (longest.source + longest.target);
        }
        padding
    }

    fn cut(&self, order: Vec<usize>) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        let mut batch = Vec::new();
        let mut padded = Length::default();
        for index in order {
            let grown = longest(padded, self.lengths[index]);
            let examples = batch.len() + 1;
            let is_full = match self.size {
                BatchSize::Tokens(budget) => examples * (grown.source + grown.target) > budget,
                BatchSize::Sentences(most) => examples > most,
            };
            if is_full {
                batches.push(std::mem::take(&mut batch));
                padded = self.lengths[index];
            } else {
                padded = grown;
            }
            batch.push(index);
        }
        batches.push(batch);
        batches
    }
}

fn longest(a: Length, b: Length) -> Length {
    Length { source: a.source.max(b.source), target: a.target.max(b.target) }
}

fn generator(seed: u64, epoch: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&epoch.to_le_bytes());
    ChaCha12Rng::from_seed(key)
}

/// Fisher and Yates' shuffle, from the back.
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha12Rng) {
    for last in (1..items.len()).rev() {
        let below = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        items.swap(last, below as usize);
    }
}

#[cfg(test)]
mod tests;
