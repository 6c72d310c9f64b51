//! Models of conversations as one talks to them and measures them.
//!
//! ```text
//! nll     = 1/W Σ −ln P(U_m|c_{m−1}, z_m) + KL(q ‖ p)          a token, `</s>` included; one draw a turn
//! iw      = 1/W Σ −IW_K                                        the tighter bound
//! ```

use burn::prelude::*;
use rand::Rng;
use recurrent_cells::AnyState;
use recurrent_training::{Batches, Learn, Past};

use crate::{
    CarriedContext, DialogueBatch, Dialogues, Hred, Latent, MeasuredTexts, TurnGenerator,
    TurnParts, Vhred, measured_texts::sum,
};

/// A model that hears turns and writes them.
pub trait DialogueModel: Learn<Batch = DialogueBatch, Carried = CarriedContext> {
    /// All of it that has nothing to do with a latent variable.
    fn hred(&self) -> &Hred;

    /// The model as something search can write turns with, one behind each of the contexts, `[R, s]`; what
    /// is drawn for them is drawn by `rng`.
    fn generator(&self, contexts: &Tensor<2>, rng: &mut impl Rng) -> TurnGenerator<'_>;

    /// The bound of all turns of `batches` in its two parts.
    ///
    /// # Panics
    ///
    /// If there is no turn.
    fn measure(&self, batches: &Dialogues, rng: &mut impl Rng) -> MeasuredTexts;
}

/// Calls `visit` with every batch and the contexts that it goes on from, and takes those it ends with.
fn walk(
    batches: &Dialogues,
    mut visit: impl FnMut(&DialogueBatch, Option<CarriedContext>) -> CarriedContext,
) {
    let mut carried: Option<CarriedContext> = None;
    for plan in batches.epoch(0, 1) {
        let before = carried.take().filter(|_| batches.past(&plan) == Past::Carried);
        carried = Some(visit(&batches.batch(&plan), before));
    }
}

impl DialogueModel for Hred {
    fn hred(&self) -> &Hred {
        self
    }

    fn generator(&self, contexts: &Tensor<2>, _: &mut impl Rng) -> TurnGenerator<'_> {
        self.generator(contexts.clone())
    }

    fn measure(&self, batches: &Dialogues, _: &mut impl Rng) -> MeasuredTexts {
        let mut measured = MeasuredTexts::default();
        walk(batches, |batch, before| {
            let (nll, after) = self.nll(batch, before);
            measured.add(batch.tokens(), nll);
            after
        });
        assert!(measured.texts > 0, "there are turns to be measured on");
        measured
    }
}

impl DialogueModel for Vhred {
    fn hred(&self) -> &Hred {
        &self.hred
    }

    fn generator(&self, contexts: &Tensor<2>, rng: &mut impl Rng) -> TurnGenerator<'_> {
        self.generator(contexts, rng)
    }

    fn measure(&self, batches: &Dialogues, rng: &mut impl Rng) -> MeasuredTexts {
        let mut measured = MeasuredTexts::default();
        // Turns of each conversation before the batch.
        let mut said = 0;
        walk(batches, |batch, before| {
            if batch.past == Past::None {
                said = 0;
            }
            let TurnParts { reconstruction, kl, posterior, carried } =
                self.parts(batch, before, rng);
            measured.add(batch.tokens(), reconstruction);
            measured.add_latent(&posterior, kl, rng).add_turns(batch.numbers_from(said));
            said += batch.lengths().steps();
            carried
        });
        assert!(measured.texts > 0, "there are turns to be measured on");
        measured
    }
}

impl Hred {
    /// What was said before each turn of `batches`, `[R, s]`, batch by batch.
    pub fn befores(&self, batches: &Dialogues, mut visit: impl FnMut(&DialogueBatch, Tensor<2>)) {
        walk(batches, |batch, carried| {
            let (before, last) = self.contexts(batch, self.read(batch), carried);
            visit(batch, before);
            CarriedContext(last)
        });
    }

    /// The vector of what one conversation is about, `[1, s]`, after some turns.
    pub fn after(&self, turns: &[crate::Turn]) -> (Tensor<2>, AnyState) {
        let hear = |state, turn| self.hear(std::slice::from_ref(turn), state);
        let state = turns.iter().fold(self.start(1), hear);
        (self.vector(&state), state)
    }
}

impl Vhred {
    /// The negative log-likelihood of all turns, in nats a token, with the latent variable from where it
    /// is said; without the divergence.
    pub fn measure_with(&self, latent: Latent, batches: &Dialogues, rng: &mut impl Rng) -> f64 {
        let (mut tokens, mut total) = (0, 0.0);
        walk(batches, |batch, before| {
            let (nll, after) = self.nll_with(latent, batch, before, rng);
            tokens += batch.tokens();
            total += sum(nll);
            after
        });
        total / tokens.max(1) as f64
    }

    /// `−IW_K` for `samples` draws a turn, in nats a token.
    ///
    /// # Panics
    ///
    /// If `samples` is 0.
    pub fn measure_importance(
        &self,
        batches: &Dialogues,
        samples: usize,
        rng: &mut impl Rng,
    ) -> f64 {
        let (mut tokens, mut total) = (0, 0.0);
        walk(batches, |batch, before| {
            let (bound, after) = self.importance_weighted(batch, before, samples, rng);
            tokens += batch.tokens();
            total -= sum(bound);
            after
        });
        total / tokens.max(1) as f64
    }
}
