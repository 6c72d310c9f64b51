//! The product of a few rows with the recurrent weights, which every step of every cell begins with.

use cubecl::prelude::*;

use super::plan::{Form, Route, place_of};
use crate::Direction;

/// The first unit `j` of the recurrence that this unit of the kernel computes.
#[cube]
pub(super) fn unit() -> usize {
    (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize
}

/// From there to the next.
#[cube]
pub(super) fn stride() -> usize {
    (CUBE_DIM_X * CUBE_COUNT_X) as usize
}

/// Stages the states, `[.., B, H]`, from which step `from` of `steps` goes out.
#[cube]
pub(super) fn stage_state<F: Float>(
    tile: &mut [f32],
    states: &[F],
    from: usize,
    steps: usize,
    batch: usize,
    hidden: usize,
    #[comptime] form: Form,
    #[comptime] direction: Direction,
) {
    if comptime!(form.route != Route::Product) {
        let before = place_of(from, steps, direction).before;
        stage::<F>(tile, states, before * batch * hidden, batch, hidden, hidden, form);
        sync_cube();
    }
}

/// Stages the first `width` of `all` columns of the gradients, `[T, B, all]`, of the step that pass `from` has left;
/// there is none before the first.
#[cube]
pub(super) fn stage_left<F: Float>(
    tile: &mut [f32],
    da: &[F],
    from: usize,
    steps: usize,
    batch: usize,
    width: usize,
    all: usize,
    #[comptime] form: Form,
    #[comptime] direction: Direction,
) {
    if comptime!(form.route != Route::Product) {
        if from > 0 {
            let left = place_of(steps - from, steps, direction).t;
            stage::<F>(tile, da, left * batch * all, batch, width, all, form);
        }
        sync_cube();
    }
}

/// Puts the first `width` of `all` columns of the sequences of this cube into the memory that its units share.
/// Sequences beyond the batch are zeros. The caller waits for the other units.
#[cube]
fn stage<F: Float>(
    tile: &mut [f32],
    from: &[F],
    start: usize,
    batch: usize,
    width: usize,
    all: usize,
    #[comptime] form: Form,
) {
    let first = CUBE_POS_Y as usize * form.rows;
    let mut place = UNIT_POS_X as usize;
    while place < form.rows * width {
        let r = first + place / width;
        let mut value = 0.0f32;
        if r < batch {
            value = f32::cast_from(from[start + r * all + place % width]);
        }
        tile[place] = value;
        place += CUBE_DIM_X as usize;
    }
}

/// `sums[g * rows + r] = Σ_k tile[side + r, k] · weights[k, g · columns + j]`, for weights of `inputs`
/// rows and `blocks` blocks of `columns` columns. By [`Route::Product`] `weights` is that product
/// already, of the one sequence of this cube.
#[cube]
pub(super) fn recurrent<F: Float>(
    sums: &mut Array<f32>,
    tile: &[f32],
    side: usize,
    weights: &[F],
    j: usize,
    inputs: usize,
    columns: usize,
    #[comptime] blocks: usize,
    #[comptime] form: Form,
) {
    if comptime!(form.route == Route::Product) {
        #[unroll]
        for g in 0..blocks {
            sums[g] = f32::cast_from(weights[(CUBE_POS_Y as usize * blocks + g) * columns + j]);
        }
    } else {
        #[unroll]
        for n in 0..blocks * form.rows {
            sums[n] = 0.0f32;
        }
        for k in 0..inputs {
            let mut block = Array::<f32>::new(blocks);
            #[unroll]
            for g in 0..blocks {
                block[g] = f32::cast_from(weights[(k * blocks + g) * columns + j]);
            }
            #[unroll]
            for r in 0..form.rows {
                let h = tile[side + r * inputs + k];
                #[unroll]
                for g in 0..blocks {
                    sums[g * form.rows + r] += h * block[g];
                }
            }
        }
    }
}
