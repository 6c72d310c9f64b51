//! The gated recurrent unit (GRU).
//!
//! ```text
//! [r z n]_x = x_t · W_x + b_x                  [B, 3H]   packed in this order
//! r         = σ(r_x + h · W_hr + b_hr)         [B, H]    reset gate
//! z         = σ(z_x + h · W_hz + b_hz)         [B, H]    update gate
//! n         = φ(n_x + r ⊙ (h · W_hn + b_hn))   [B, H]    reset after the product (default)
//! n         = φ(n_x + (r ⊙ h) · W_hn + b_hn)   [B, H]    reset before the product
//! h'        = (1 − z) ⊙ n + z ⊙ h              [B, H]    `z` keeps (default)
//! h'        = (1 − z) ⊙ h + z ⊙ n              [B, H]    `z` writes
//! ```
//!
//! `W_x` is `[I, 3H]`, `W_h` is `[H, 3H]`, `b_x` and `b_h` are `[3H]`: two biases, because the reset
//! gate stands between them. Order and defaults are PyTorch's. The two places of the reset gate
//! cannot share weights; the two update conventions can, with `z`'s weights negated.
//!
//! Sources: Cho et al. (2014), Learning Phrase Representations using RNN Encoder–Decoder (`z` keeps;
//! its first version resets after the product, its last before); Chung et al. (2014), Empirical
//! Evaluation of Gated Recurrent Neural Networks on Sequence Modeling (`z` writes, reset before).

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{
    Direction, GruOperands, Lengths, Reset, Update, gru_sequence, project_sequence, sigmoid, tanh,
};

use crate::{Cell, Gated, Paths, init};

/// Sizes and initial values of a [`GruCell`].
#[derive(Config, Debug)]
pub struct GruConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// Where the reset gate acts.
    #[config(default = "Reset::AfterProduct")]
    pub reset: Reset,
    /// What the update gate does when it is open.
    #[config(default = "Update::Keeps")]
    pub update: Update,
    /// How `W_x` is drawn, gate by gate.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How `W_h` is drawn, gate by gate.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One GRU layer, as a [`Cell`]. Its state is its output.
#[derive(Module, Debug)]
pub struct GruCell {
    /// `W_x`, `[I, 3H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 3H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b_x`, `[3H]`.
    pub b_x: Param<Tensor<1>>,
    /// `b_h`, `[3H]`.
    pub b_h: Param<Tensor<1>>,
    /// Where the reset gate acts.
    #[module(skip)]
    pub reset: Reset,
    /// What the update gate does when it is open.
    #[module(skip)]
    pub update: Update,
}

impl GruConfig {
    /// Draws a new cell, with both biases zero.
    pub fn init(&self, device: &Device) -> GruCell {
        let (d, h) = (self.d_input, self.d_hidden);
        GruCell {
            w_x: init::packed(&self.input_init, [d, h], 3, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 3, device),
            b_x: init::packed_bias(&[0.0; 3], h, device),
            b_h: init::packed_bias(&[0.0; 3], h, device),
            reset: self.reset,
            update: self.update,
        }
    }
}

impl Cell for GruCell {
    type State = Tensor<2>;

    fn d_input(&self) -> usize {
        self.w_x.dims()[0]
    }

    fn d_hidden(&self) -> usize {
        self.w_h.dims()[0]
    }

    fn initial_state(&self, batch: usize) -> Tensor<2> {
        init::zeros_like_weight(&self.w_h, batch, self.d_hidden())
    }

    fn project(&self, x: Tensor<3>, _start: &Tensor<2>, lengths: &Lengths) -> Tensor<3> {
        project_sequence(x, self.w_x.val(), Some(self.b_x.val()), lengths)
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        Some(self.w_x.val())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, h: Tensor<2>, paths: &P) -> Tensor<2> {
        let hidden = self.d_hidden();
        assert_shape!(h, [projected.dims()[0], hidden]);
        let (w_h, b_h) = (self.w_h.val(), self.b_h.val().unsqueeze::<2>());
        let seen = paths.recurrent(h.clone());

        let [r_x, z_x, n_x] = init::blocks(projected);
        let (z, n) = match self.reset {
            Reset::AfterProduct => {
                let [r_h, z_h, n_h] = init::blocks(seen.matmul(w_h) + b_h);
                let (r, z) = (sigmoid(r_x + r_h), sigmoid(z_x + z_h));
                (z, tanh(n_x + r * n_h))
            }
            Reset::BeforeProduct => {
                let part =
                    |t: &Tensor<2>, from, count| t.clone().narrow(1, from * hidden, count * hidden);
                let rz_h = seen.clone().matmul(part(&w_h, 0, 2)) + part(&b_h, 0, 2);
                let [r_h, z_h] = init::blocks(rz_h);
                let (r, z) = (sigmoid(r_x + r_h), sigmoid(z_x + z_h));
                let n_h = (r * seen).matmul(part(&w_h, 2, 1)) + part(&b_h, 2, 1);
                (z, tanh(n_x + n_h))
            }
        };
        let n = paths.update(n);
        let one_minus_z = -z.clone() + 1.0;
        match self.update {
            Update::Keeps => one_minus_z * n + z * h,
            Update::Writes => one_minus_z * h + z * n,
        }
    }

    fn output(&self, h: &Tensor<2>) -> Tensor<2> {
        h.clone()
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: Tensor<2>,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, Tensor<2>) {
        let operands = GruOperands { w_h: self.w_h.val(), b_h: self.b_h.val(), hidden: start };
        gru_sequence(projected, operands, self.reset, self.update, lengths, direction)
    }
}

impl Gated for GruCell {}
