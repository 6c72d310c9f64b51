//! An output layer and the cross-entropy of its softmax, in one operation.
//!
//! ```text
//! l_n   = x_n · W_o + b_o                                        [V], for every real row n
//! nll   = Σ_n −log p_n(y_n)                                      p_n = softmax(l_n)
//! loss  = Σ_n (1 − ε)·(−log p_n(y_n)) + ε·(−1/V Σ_v log p_n(v))  label smoothing ε
//!
//! dL/dl_n = p_n − (1 − ε)·1[v = y_n] − ε/V
//! dL/dx_n = dL/dl_n · W_oᵀ        dL/dW_o = Σ_n x_nᵀ · dL/dl_n        dL/db_o = Σ_n dL/dl_n
//! ```
//!
//! The gradients are made together with the loss, while the logits of some rows are at hand, and
//! later only multiplied by that of the loss: the logits of a whole batch are never in memory, nor
//! kept. Rows of padding are not multiplied at all.
//!
//! Source of label smoothing: Szegedy et al. (2016), Rethinking the Inception Architecture,
//! section 7.

use std::sync::Arc;

use burn::{backend::Dispatch, prelude::*};

use crate::{Lengths, layer_ops::LayerOps};

/// The weights of an output layer.
#[derive(Clone, Debug)]
pub enum OutputWeights {
    /// `W_o`, `[R, V]`.
    Own(Tensor<2>),
    /// An embedding `E`, `[V, R]`, whose transpose is `W_o`.
    Tied(Tensor<2>),
}

/// Which axis of the weights is the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// The first: `[V, R]`.
    First,
    /// The last: `[R, V]`.
    Last,
}

/// What every row should be.
#[derive(Clone, Debug)]
pub struct Targets {
    /// `[B, T]`, row by row; what stands in padding is not read.
    ids: Arc<[i32]>,
    lengths: Lengths,
    label_smoothing: f64,
}

/// The two sums over all real rows.
#[derive(Clone, Debug)]
pub struct Losses {
    /// `loss`, `[1]`, with the graph to its gradients.
    pub smoothed: Tensor<1>,
    /// `nll`, `[1]`, a number to look at: it has no gradient.
    pub nll: Tensor<1>,
}

impl Targets {
    /// `ids`, `[B, T]` row by row, of sequences of the given lengths. What stands behind the length
    /// of a sequence is not read. `label_smoothing` is `ε`.
    ///
    /// # Panics
    ///
    /// If the ids are not `B · T`, or `ε` is not in `[0, 1)`.
    pub fn new(ids: impl Into<Arc<[i32]>>, lengths: Lengths, label_smoothing: f64) -> Self {
        let ids = ids.into();
        let all = lengths.batch() * lengths.steps();
        assert_eq!(ids.len(), all, "there are as many targets as steps of all sequences");
        assert!((0.0..1.0).contains(&label_smoothing), "label smoothing is in [0, 1)");
        Self { ids, lengths, label_smoothing }
    }

    /// `ε`.
    pub(crate) fn label_smoothing(&self) -> f64 {
        self.label_smoothing
    }

    /// The rows that are not padding, in their order, and their ids.
    pub(crate) fn real(&self) -> (Vec<usize>, Vec<usize>) {
        let steps = self.lengths.steps();
        let lengths = self.lengths.as_slice().iter().enumerate();
        let rows = lengths.flat_map(|(b, length)| b * steps..b * steps + length);
        let id = |row: usize| usize::try_from(self.ids[row]).expect("ids are not negative");
        rows.map(|row| (row, id(row))).unzip()
    }
}

/// The loss of what an output layer makes of `x`, for `targets`.
///
/// # Shapes
///
/// - `x`: `[B, T, R]`
/// - `w_o`: `[R, V]`, or `[V, R]` if tied
/// - `b_o`: `[V]`
///
/// Sums are taken in double precision on the CPU. Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong, or the id of a real row is not below `V`.
pub fn cross_entropy(
    x: Tensor<3>,
    w_o: OutputWeights,
    b_o: Tensor<1>,
    targets: &Targets,
) -> Losses {
    let [batch, steps, features] = x.dims();
    let [vocabulary] = b_o.dims();
    assert_shape!(x, [targets.lengths.batch(), targets.lengths.steps(), features]);
    let (w_o, axis) = match w_o {
        OutputWeights::Own(w_o) => {
            assert_shape!(w_o, [features, vocabulary]);
            (w_o, Vocabulary::Last)
        }
        OutputWeights::Tied(w_o) => {
            assert_shape!(w_o, [vocabulary, features]);
            (w_o, Vocabulary::First)
        }
    };
    let (_, ids) = targets.real();
    if let Some(id) = ids.into_iter().find(|id| *id >= vocabulary) {
        panic!("target {id} is not below the vocabulary, {vocabulary}");
    }
    let sums = Tensor::<1>::from_dispatch(<Dispatch as LayerOps>::cross_entropy(
        x.reshape([batch * steps, features]).into_dispatch(),
        w_o.into_dispatch(),
        b_o.into_dispatch(),
        axis,
        targets.clone(),
    ));
    Losses { smoothed: sums.clone().narrow(0, 0, 1), nll: sums.narrow(0, 1, 1).detach() }
}
