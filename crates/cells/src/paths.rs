//! The ways by which the past enters a step.

use burn::prelude::*;

/// What a wrapper may put on the ways inside a step. Dropout on the recurrent input, dropout on
/// what is written into the cell and the truncated gradient of 1997 all change one of these and
/// nothing else, so a cell names the ways in its equations and every wrapper works on every cell.
pub trait Paths {
    /// `h` on its way into the recurrent product, `[B, H]`.
    fn recurrent(&self, h: Tensor<2>) -> Tensor<2> {
        h
    }

    /// `c` on its way through a peephole into a gate, `[B, H]`.
    fn peephole(&self, c: Tensor<2>) -> Tensor<2> {
        c
    }

    /// What the gates let into the memory, `i ⊙ g`, before it is added, `[B, H]`.
    fn update(&self, u: Tensor<2>) -> Tensor<2> {
        u
    }
}

/// Nothing on any way: the cell's own equations.
#[derive(Clone, Copy, Debug)]
pub struct Direct;

impl Paths for Direct {}
