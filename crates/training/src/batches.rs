//! Where the batches of an epoch come from.

use crate::learn::mix;

/// The batches of every epoch, as a function of the seed and the epoch alone.
///
/// An epoch is planned at once and cheaply, e.g. as numbers of examples; a batch is made from its
/// plan on another thread, shortly before it is needed.
pub trait Batches: Send + Sync + 'static {
    /// What a batch is made of.
    type Plan: Send + 'static;

    /// What a step learns from.
    type Batch: Send + 'static;

    /// The batches of `epoch`, counted from 1, in the order they are learnt in.
    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Self::Plan>;

    /// A batch.
    fn batch(&self, plan: &Self::Plan) -> Self::Batch;

    /// Whether a batch carries on where the one before it ended. By default none does.
    fn past(&self, _plan: &Self::Plan) -> Past {
        Past::None
    }
}

/// What a batch has before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// Nothing: it starts anew.
    #[default]
    None,
    /// The batch before it in the epoch, whose state is handed on without its gradients. The first
    /// batch of an epoch starts anew in any case.
    Carried,
}

/// The same batches in the same order, every epoch.
#[derive(Clone, Debug)]
pub struct InOrder<B>(pub Vec<B>);

/// The same batches in another order every epoch.
#[derive(Clone, Debug)]
pub struct Shuffled<B>(pub Vec<B>);

impl<B: Clone + Send + Sync + 'static> Batches for InOrder<B> {
    type Plan = usize;
    type Batch = B;

    fn epoch(&self, _seed: u64, _epoch: usize) -> Vec<usize> {
        (0..self.0.len()).collect()
    }

    fn batch(&self, plan: &usize) -> B {
        self.0[*plan].clone()
    }
}

impl<B: Clone + Send + Sync + 'static> Batches for Shuffled<B> {
    type Plan = usize;
    type Batch = B;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        shuffle(&mut order, mix([seed, epoch as u64]));
        order
    }

    fn batch(&self, plan: &usize) -> B {
        self.0[*plan].clone()
    }
}

/// Fisher and Yates's shuffle, written out so that no update of a library changes a run.
fn shuffle(order: &mut [usize], seed: u64) {
    for last in (1..order.len()).rev() {
        let other = mix([seed, last as u64]) % (last as u64 + 1);
        order.swap(last, other as usize);
    }
}
