//! Conversations in batches: turns within dialogues, and chunks of long ones.
//!
//! ```text
//! D = (U_1 … U_M),  U_m = w_{m,1} … w_{m,N_m},  w_{m,N_m} = </s>
//! ```
//!
//! Conversations go up to hundreds of turns. A batch has some turns of several conversations side by
//! side; the next one goes on where it ended, row by row, with the contexts carried over and gradients
//! cut between the two. All turns of a batch are read and written at once, as rows of one tensor.

use std::sync::Arc;

use burn::{prelude::*, tensor::TensorData};
use recurrent_cells::Lengths;
use recurrent_seq2seq::Padded;
use recurrent_training::{Batches, Moment, Past};

/// One turn: ids without special ones.
pub type Turn = Vec<u32>;

/// Some turns of several conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueBatch {
    /// Turns of each conversation, in order. One that is over has none.
    pub dialogues: Vec<Vec<Turn>>,
    /// Whether the contexts of the batch before it, row by row, go on.
    pub past: Past,
}

/// Conversations in chunks of some turns.
#[derive(Clone, Debug)]
pub struct Dialogues {
    dialogues: Arc<Vec<Vec<Turn>>>,
    size: usize,
    turns: usize,
    order: DialogueOrder,
}

/// In which order conversations come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogueOrder {
    /// By their number of turns: always alike.
    Sorted,
    /// Shuffled in every epoch; those of a batch still have about as many turns.
    Shuffled,
}

/// The most tokens of a batch, padding included. A turn can be a whole book; a conversation with one that would
/// make the batch larger goes by itself.
const MOST_TOKENS: usize = 1 << 16;

/// The most tokens of turns that are looked at together where nothing is learned, padding included.
const AT_ONCE: usize = 1 << 11;

/// What a batch is made of: numbers of conversations, and from which turn on.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub(crate) rows: Vec<usize>,
    pub(crate) from: usize,
}

impl DialogueBatch {
    /// Whole conversations.
    pub fn whole(dialogues: Vec<Vec<Turn>>) -> Self {
        Self { dialogues, past: Past::None }
    }

    /// Conversations, `B`.
    pub fn size(&self) -> usize {
        self.dialogues.len()
    }

    /// The turns of all conversations, one conversation after the other: `R` of them.
    pub fn turns(&self) -> Vec<&Turn> {
        self.dialogues.iter().flatten().collect()
    }

    /// Which turn of its conversation each is, in the order of [`turns`](Self::turns), if `said` came before
    /// the batch.
    pub(crate) fn numbers_from(&self, said: usize) -> impl Iterator<Item = usize> {
        self.dialogues.iter().flat_map(move |turns| said..said + turns.len())
    }

    /// How many turns each conversation has, padded to the most, `M`.
    ///
    /// # Panics
    ///
    /// If there is no turn at all.
    pub fn lengths(&self) -> Lengths {
        let lengths: Vec<usize> = self.dialogues.iter().map(Vec::len).collect();
        let most = lengths.iter().copied().max().unwrap_or(0);
        Lengths::new(lengths, most)
    }

    /// Tokens to be written: those of all turns, and an `</s>` behind each.
    pub fn tokens(&self) -> usize {
        self.dialogues.iter().flatten().map(|turn| turn.len() + 1).sum()
    }

    /// What is read of the turns, `[R, N]`: with `</s>`.
    ///
    /// # Panics
    ///
    /// If there is no turn at all.
    pub fn ended(&self) -> Padded {
        Padded::ended(&self.turns())
    }

    /// What a decoder reads while it learns them, `[R, N]`: behind `<s>`.
    ///
    /// # Panics
    ///
    /// If there is no turn at all.
    pub fn begun(&self) -> Padded {
        Padded::begun(&self.turns())
    }

    /// What `of` makes of the turns, a row for each, `[R, …]`: it is asked for turns of similar length, by
    /// their rows. One long turn does not make all the others of a batch as long.
    pub(crate) fn by_length<const D: usize>(
        &self,
        of: impl Fn(&[usize], &[&Turn]) -> Tensor<D>,
    ) -> Tensor<D> {
        let turns = self.turns();
        let pieces = alike(&turns);
        let made = pieces.iter().map(|rows| {
            let turns: Vec<&Turn> = rows.iter().map(|row| turns[*row]).collect();
            of(rows, &turns)
        });
        let made = Tensor::cat(made.collect(), 0);
        let mut index = vec![0; turns.len()];
        for (place, row) in pieces.into_iter().flatten().enumerate() {
            index[row] = place;
        }
        let index = places(&index, &made.device());
        made.select(0, index)
    }

    /// Vectors of all turns, `[R, D]`, beside each other by conversation: `[B, M, D]`, zero where one has
    /// no more turns.
    pub(crate) fn nested(&self, vectors: Tensor<2>) -> Tensor<3> {
        let [rows, width] = vectors.dims();
        let lengths = self.lengths();
        let (batch, most) = (lengths.batch(), lengths.steps());
        let (mut row, mut index) = (0, Vec::with_capacity(batch * most));
        for length in lengths.as_slice() {
            index.extend((0..most).map(|m| if m < *length { row + m } else { rows }));
            row += length;
        }
        let nothing = vectors.zeros_like().narrow(0, 0, 1).detach();
        let all = Tensor::cat(vec![vectors, nothing], 0);
        let index = places(&index, &all.device());
        all.select(0, index).reshape([batch, most, width])
    }

    /// What stands in front of each turn, `[R, D]`: `start`, `[B, D]`, in front of the first and the
    /// vector behind turn `m − 1` in front of turn `m`, of `behind`, `[B, M, D]`.
    pub(crate) fn before(&self, start: Tensor<2>, behind: Tensor<3>) -> Tensor<2> {
        let [batch, most, width] = behind.dims();
        let all = Tensor::cat(vec![start.unsqueeze_dim::<3>(1), behind], 1);
        let all = all.reshape([batch * (most + 1), width]);
        let place =
            |(b, turns): (usize, &Vec<Turn>)| (0..turns.len()).map(move |m| b * (most + 1) + m);
        let index: Vec<usize> = self.dialogues.iter().enumerate().flat_map(place).collect();
        let index = places(&index, &all.device());
        all.select(0, index)
    }
}

/// Rows of turns of similar length together, the short ones first.
fn alike(turns: &[&Turn]) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..turns.len()).collect();
    rows.sort_by_key(|row| turns[*row].len());
    let mut pieces: Vec<Vec<usize>> = Vec::new();
    for row in rows {
        // With its end.
        let longest = turns[row].len() + 1;
        match pieces.last_mut() {
            Some(piece) if (piece.len() + 1) * longest <= AT_ONCE => piece.push(row),
            _ => pieces.push(vec![row]),
        }
    }
    pieces
}

/// The rows `rows` of `contexts`, `[R, s]`, in that order.
///
/// # Panics
///
/// If there are not so many.
pub fn chosen(contexts: Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let rows = places(rows, &contexts.device());
    contexts.select(0, rows)
}

/// `rows` for a selection on `device`.
pub(crate) fn places(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

impl Dialogues {
    /// Conversations, `size` of them side by side, `turns` turns at a time.
    ///
    /// # Panics
    ///
    /// If `size` or `turns` is 0, or a conversation has no turn.
    pub fn new(dialogues: Vec<Vec<Turn>>, size: usize, turns: usize, order: DialogueOrder) -> Self {
        assert!(
            size > 0 && turns > 0,
            "a batch has conversations and turns, got {size} and {turns}"
        );
        assert!(dialogues.iter().all(|turns| !turns.is_empty()), "a conversation has turns");
        Self { dialogues: Arc::new(dialogues), size, turns, order }
    }
}

impl Batches for Dialogues {
    type Plan = Chunk;
    type Batch = DialogueBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Chunk> {
        let side_by_side = |turns: &Vec<Turn>| {
            let longest = turns.iter().map(Vec::len).max().unwrap_or(0);
            longest * self.size * turns.len().min(self.turns) <= MOST_TOKENS
        };
        let (together, alone): (Vec<usize>, Vec<usize>) =
            (0..self.dialogues.len()).partition(|row| side_by_side(&self.dialogues[*row]));
        let at = Moment { seed, epoch, step: 0 };
        let plan = |(rows, size): (Vec<usize>, usize)| {
            let lengths: Vec<usize> = rows.iter().map(|row| self.dialogues[*row].len()).collect();
            let mut chunks = Chunk::plan(&lengths, [size, self.turns], self.order, at);
            for row in chunks.iter_mut().flat_map(|chunk| &mut chunk.rows) {
                *row = rows[*row];
            }
            chunks
        };
        [(together, self.size), (alone, 1)].into_iter().flat_map(plan).collect()
    }

    fn batch(&self, chunk: &Chunk) -> DialogueBatch {
        let cut = |row: &usize| {
            let turns = &self.dialogues[*row];
            let to = turns.len().min(chunk.from + self.turns);
            turns[chunk.from.min(to)..to].to_vec()
        };
        DialogueBatch { dialogues: chunk.rows.iter().map(cut).collect(), past: chunk.past() }
    }

    fn past(&self, chunk: &Chunk) -> Past {
        chunk.past()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::assert_close;

    use super::*;

    fn batch() -> DialogueBatch {
        DialogueBatch::whole(vec![vec![vec![5], vec![6, 7]], vec![], vec![vec![8]]])
    }

    #[test]
    fn turns_are_rows_and_find_their_place_again() {
        let batch = batch();
        assert_eq!((batch.size(), batch.tokens(), batch.turns().len()), (3, 7, 3));
        assert_eq!(
            batch.ended().rows().collect::<Vec<_>>(),
            [vec![5, 3], vec![6, 7, 3], vec![8, 3]]
        );
        let like = (&Device::flex(), DType::F64);
        let nested = batch.nested(Tensor::from_data([[1.0], [2.0], [3.0]], like));
        assert_close(&nested, [[[1.0], [2.0]], [[0.0], [0.0]], [[3.0], [0.0]]], 0.0);
        let start = Tensor::from_data([[10.0], [20.0], [30.0]], like);
        assert_close(&batch.before(start, nested), [[10.0], [1.0], [30.0]], 0.0);
    }

    /// In chunks, every turn of every conversation comes once, in order, in the row of its conversation.
    #[test]
    fn chunks_go_on_row_by_row() {
        // Conversation `n` has `n` turns of one token each, which says which turn of which it is.
        let turn = |n: u32, m: u32| vec![n * 100 + m];
        let dialogues: Vec<Vec<Turn>> =
            (1..=9).map(|n| (0..n).map(|m| turn(n, m)).collect()).collect();
        for order in [DialogueOrder::Sorted, DialogueOrder::Shuffled] {
            let all = Dialogues::new(dialogues.clone(), 4, 2, order);
            let mut seen: Vec<Vec<Turn>> = Vec::new();
            let mut open: Vec<Vec<Turn>> = Vec::new();
            for plan in all.epoch(1, 1) {
                let batch = all.batch(&plan);
                assert_eq!(batch.past, all.past(&plan));
                if batch.past == Past::None {
                    seen.append(&mut open);
                    open = vec![Vec::new(); batch.size()];
                }
                assert!(batch.dialogues.iter().any(|turns| !turns.is_empty()));
                for (open, turns) in open.iter_mut().zip(batch.dialogues) {
                    assert!(turns.len() <= 2);
                    open.extend(turns);
                }
            }
            seen.append(&mut open);
            seen.sort();
            assert_eq!(seen, dialogues);
        }
        let orders: Vec<Vec<usize>> = (1..3)
            .map(|epoch| {
                let all = Dialogues::new(dialogues.clone(), 1, 9, DialogueOrder::Shuffled);
                all.epoch(1, epoch).into_iter().flat_map(|chunk| chunk.rows).collect()
            })
            .collect();
        assert_ne!(orders[0], orders[1]);
    }

    /// Memory does not grow with the longest turn times the size of a batch.
    #[test]
    fn a_conversation_with_a_very_long_turn_goes_by_itself() {
        let short = vec![vec![4_u32; 10]; 5];
        let long = vec![vec![4], vec![5; MOST_TOKENS / 8 + 1], vec![6]];
        let dialogues = vec![short.clone(), long, short.clone(), short];
        for order in [DialogueOrder::Sorted, DialogueOrder::Shuffled] {
            let all = Dialogues::new(dialogues.clone(), 4, 2, order);
            let mut turns = [0; 4];
            for chunk in all.epoch(1, 1) {
                assert!(chunk.rows == [1] || !chunk.rows.contains(&1), "{chunk:?}");
                for (row, said) in chunk.rows.iter().zip(all.batch(&chunk).dialogues) {
                    turns[*row] += said.len();
                }
            }
            assert_eq!(turns, [5, 3, 5, 5]);
        }
    }

    /// Each row once, those of a piece about as long, and hardly any padding beside a very long turn.
    #[test]
    fn turns_of_similar_length_are_looked_at_together() {
        let mut turns: Vec<Turn> = (0..2000).map(|n| vec![4; n * 7 % 40]).collect();
        turns[3] = vec![4; 3 * AT_ONCE];
        let pieces = alike(&turns.iter().collect::<Vec<_>>());
        let padded: usize = pieces
            .iter()
            .map(|rows| {
                let longest = rows.iter().map(|row| turns[*row].len() + 1).max().unwrap();
                assert!(rows.len() == 1 || rows.len() * longest <= AT_ONCE, "{rows:?}");
                rows.len() * longest
            })
            .sum();
        let real: usize = turns.iter().map(|turn| turn.len() + 1).sum();
        assert!(padded < real * 11 / 10, "{padded} for {real}");
        let mut rows = pieces.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..2000).collect::<Vec<_>>());
    }

    /// However many turns at a time are allowed: what counts is how many there are.
    #[test]
    fn short_conversations_stay_together_where_turns_are_unbounded() {
        let all = Dialogues::new(vec![vec![vec![4; 10]; 5]; 3], 4, 100_000, DialogueOrder::Sorted);
        let chunks = all.epoch(1, 1);
        assert_eq!(chunks.iter().map(|chunk| chunk.rows.len()).collect::<Vec<_>>(), [3]);
    }
}
