//! What a model replies in conversations, and how varied that is.
//!
//! For a share of all turns the model is asked what it would have said. Words are what stands between
//! blanks.

use std::collections::HashSet;

use recurrent_generative::{DialogueModel, Dialogues, chosen};
use recurrent_text::{
    Dialogue, EmbeddingMetrics, ScoreError, WordVectors, distinct, embedding_metrics,
};
use recurrent_training::{Moment, Scores};

use crate::{
    decode::Search,
    dialogue_model::{DialogueConfig, Talker},
};

/// As many turns are replied to.
const ASKED: usize = 500;

/// As many of them are replied to several times.
const AGAIN: usize = 50;

/// As often.
const DRAWS: usize = 10;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The turn before it; empty at the start of a conversation.
    pub heard: String,
    /// What the model says.
    pub written: String,
    /// What was said.
    pub said: String,
}

/// Replies, and what is found in all of them.
#[derive(Clone, Debug)]
pub struct Replies {
    /// One behind each of the turns that were asked for.
    pub all: Vec<Reply>,
    /// How many different ones ten draws of the latent variable give, the mean over contexts.
    pub between_draws: f64,
}

/// Asks for replies.
///
/// # Errors
///
/// If the search is out of its ranges, or the model does not give numbers.
pub fn of<C: DialogueConfig>(
    talker: &Talker<C>,
    model: &C::Model,
    (dialogues, batches): (&[Dialogue], &Dialogues),
    how: (&Search, usize),
    at: &Moment,
) -> anyhow::Result<Replies> {
    // Of each conversation all turns but the first, before which there is nothing.
    let all: usize = dialogues.iter().map(|dialogue| dialogue.turns.len().saturating_sub(1)).sum();
    let every = all.div_ceil(ASKED).max(1);
    let (mut n, mut replies, mut failed) = (0, Vec::new(), None);
    let (mut different, mut again) = (0, 0);
    model.hred().befores(batches, |batch, contexts| {
        // The turn before each, where it is in the same batch.
        let before = batch
            .dialogues
            .iter()
            .flat_map(|turns| (0..turns.len()).map(|m| m.checked_sub(1).map(|m| turns[m].clone())));
        let turns: Vec<_> = batch.turns().into_iter().cloned().zip(before).collect();
        let after: Vec<usize> = (0..turns.len()).filter(|row| turns[*row].1.is_some()).collect();
        let first = n;
        n += after.len();
        let picked = (first..).zip(after).filter(|(n, _)| n.is_multiple_of(every));
        let rows: Vec<usize> = picked.map(|(_, row)| row).collect();
        if rows.is_empty() || failed.is_some() {
            return;
        }
        let chosen = chosen(contexts, &rows);
        let ask = |seed: u64| talker.replies(model, &chosen, how, &Moment { seed, step: n, ..*at });
        let mut draw = || -> anyhow::Result<()> {
            for (row, written) in rows.iter().zip(ask(at.seed)?) {
                let (said, heard) = &turns[*row];
                let text = |turn: &[u32]| talker.tokenizer.decode(turn);
                let heard = heard.as_deref().map(text).unwrap_or_default();
                replies.push(Reply { heard, written, said: text(said) });
            }
            if again < AGAIN {
                let draws = (0..DRAWS as u64).map(|draw| ask(at.seed + 1 + draw));
                let draws = draws.collect::<anyhow::Result<Vec<Vec<String>>>>()?;
                for row in 0..rows.len() {
                    let all: HashSet<&String> = draws.iter().map(|replies| &replies[row]).collect();
                    different += all.len();
                    again += 1;
                }
            }
            Ok(())
        };
        failed = draw().err();
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(Replies { all: replies, between_draws: different as f64 / again.max(1) as f64 }),
    }
}

impl Replies {
    /// How varied and how long they are.
    pub fn scores(&self) -> Scores {
        let words = self.words(|reply| &reply.written);
        let length = words.iter().map(Vec::len).sum::<usize>() as f64 / words.len().max(1) as f64;
        Scores::new()
            .with("distinct_1", distinct(&words, 1))
            .with("distinct_2", distinct(&words, 2))
            .with("length", length)
            .with("between_draws", self.between_draws)
    }

    /// How near they are to what was said, by the vectors of words.
    ///
    /// # Errors
    ///
    /// If there is no reply, or the vectors are of another vocabulary.
    pub fn nearness(&self, vectors: &WordVectors) -> Result<EmbeddingMetrics, ScoreError> {
        let (written, said) = (self.words(|reply| &reply.written), self.words(|reply| &reply.said));
        let pairs: Vec<_> = written.into_iter().zip(said).collect();
        embedding_metrics(vectors, &pairs)
    }

    /// `count` of them, at equal distances.
    pub fn spread(&self, count: usize) -> impl Iterator<Item = &Reply> {
        let step = (self.all.len() / count).max(1);
        self.all.iter().step_by(step).take(count)
    }

    fn words<'a>(&'a self, text: impl Fn(&'a Reply) -> &'a String) -> Vec<Vec<String>> {
        let words = |text: &String| text.split_whitespace().map(str::to_owned).collect();
        self.all.iter().map(|reply| words(text(reply))).collect()
    }
}
