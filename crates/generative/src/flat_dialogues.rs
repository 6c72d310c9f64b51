//! Conversations as running text: what a model without turns makes of them.
//!
//! ```text
//! w_{1,1} … w_{1,N_1} </s> w_{2,1} … </s> …           behind <s>
//! ```
//!
//! The tokens to be written are those of [`DialogueBatch`](crate::DialogueBatch), so that the perplexities
//! of both can be compared.

use std::sync::Arc;

use rand::{RngExt, seq::SliceRandom};
use recurrent_seq2seq::{Padded, TextBatch};
use recurrent_text::{BOS, EOS};
use recurrent_training::{Batches, Moment, Past};

use crate::{Chunk, DialogueOrder, Turn};

/// Conversations as running text, some tokens of several of them at a time.
#[derive(Clone, Debug)]
pub struct FlatDialogues {
    texts: Arc<Vec<Vec<u32>>>,
    size: usize,
    steps: usize,
    order: DialogueOrder,
}

impl FlatDialogues {
    /// Conversations, `size` of them side by side, `steps` tokens at a time.
    ///
    /// # Panics
    ///
    /// If `size` or `steps` is 0, or a conversation has no turn.
    pub fn new(dialogues: &[Vec<Turn>], size: usize, steps: usize, order: DialogueOrder) -> Self {
        assert!(size > 0 && steps > 0, "a batch has conversations and tokens");
        assert!(dialogues.iter().all(|turns| !turns.is_empty()), "a conversation has turns");
        let ended = |turn: &Turn| turn.iter().copied().chain([EOS]).collect::<Vec<u32>>();
        let text = |turns: &Vec<Turn>| turns.iter().flat_map(ended).collect();
        Self { texts: Arc::new(dialogues.iter().map(text).collect()), size, steps, order }
    }
}

impl Batches for FlatDialogues {
    type Plan = Chunk;
    type Batch = TextBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Chunk> {
        let lengths: Vec<usize> = self.texts.iter().map(Vec::len).collect();
        Chunk::plan(&lengths, [self.size, self.steps], self.order, Moment { seed, epoch, step: 0 })
    }

    fn batch(&self, chunk: &Chunk) -> TextBatch {
        let (mut read, mut written) = (Vec::new(), Vec::new());
        for row in &chunk.rows {
            let text = &self.texts[*row];
            let to = text.len().min(chunk.from + self.steps);
            let from = chunk.from.min(to);
            let before = from.checked_sub(1).map_or(BOS, |last| text[last]);
            let inputs = [before].into_iter().chain(text[from..to].iter().copied());
            read.push(inputs.take(to - from).collect::<Vec<u32>>());
            written.push(text[from..to].to_vec());
        }
        TextBatch { inputs: Padded::new(&read), targets: Padded::new(&written), past: chunk.past() }
    }

    fn past(&self, chunk: &Chunk) -> Past {
        chunk.past()
    }
}

impl Chunk {
    /// All chunks of sequences of the given lengths: `size` of them side by side, `steps` at a time.
    pub(crate) fn plan(
        lengths: &[usize],
        [size, steps]: [usize; 2],
        order: DialogueOrder,
        at: Moment,
    ) -> Vec<Self> {
        let mut rng = at.rng();
        let mut all: Vec<usize> = (0..lengths.len()).collect();
        match order {
            DialogueOrder::Sorted => all.sort_by_key(|n| lengths[*n]),
            DialogueOrder::Shuffled => {
                // As long, give or take a tenth.
                let near =
                    |n: &usize| (lengths[*n] as f64 * rng.random_range(0.9..1.1) * 16.0) as u64;
                all.sort_by_cached_key(near);
            }
        }
        let mut groups: Vec<&[usize]> = all.chunks(size).collect();
        if order == DialogueOrder::Shuffled {
            groups.shuffle(&mut rng);
        }
        let chunks = |rows: &[usize]| -> Vec<Self> {
            let most = rows.iter().map(|row| lengths[*row]).max().unwrap_or(0);
            let starts = (0..most).step_by(steps);
            starts.map(|from| Self { rows: rows.to_vec(), from }).collect()
        };
        groups.into_iter().flat_map(chunks).collect()
    }

    pub(crate) fn past(&self) -> Past {
        match self.from {
            0 => Past::None,
            _ => Past::Carried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token of every turn, and every end of one, is to be written once, and what is read is what
    /// stands before it.
    #[test]
    fn every_token_is_written_once() {
        let dialogues = vec![
            vec![vec![5, 6], vec![7]],
            vec![vec![8], vec![9, 10, 11], vec![12]],
            vec![vec![13]],
        ];
        for order in [DialogueOrder::Sorted, DialogueOrder::Shuffled] {
            let flat = FlatDialogues::new(&dialogues, 2, 3, order);
            let (mut tokens, mut count) = (0, 0);
            for plan in flat.epoch(1, 1) {
                let TextBatch { inputs, targets, past } = flat.batch(&plan);
                assert_eq!(past, flat.past(&plan));
                assert_eq!(inputs.lengths(), targets.lengths());
                for (read, written) in inputs.rows().zip(targets.rows()) {
                    if !read.is_empty() {
                        assert_eq!(read[1..], written[..written.len() - 1]);
                        assert_eq!(read[0] == BOS, past == Past::None);
                    }
                    tokens += written.iter().sum::<u32>();
                    count += written.len();
                }
            }
            let all: u32 = dialogues.iter().flatten().flatten().sum();
            assert_eq!((tokens, count), (all + 6 * EOS, 9 + 6));
        }
    }
}
