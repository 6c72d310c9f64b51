//! The product of a few rows with the recurrent weights, which every step of every cell begins with.

use cubecl::prelude::*;

use super::plan::{Form, Route};

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

/// Puts `rows` rows of `from`, `[.., width]`, into the memory that the units of a cube share.
/// Rows beyond the batch are zeros. The caller waits for the other units.
#[cube]
pub(super) fn stage<F: Float>(
    tile: &mut [f32],
    from: &[F],
    start: usize,
    row: usize,
    batch: usize,
    rows: usize,
    width: usize,
    stride: usize,
) {
    let mut place = UNIT_POS_X as usize;
    while place < rows * width {
        let r = row + place / width;
        let mut value = 0.0f32;
        if r < batch {
            value = f32::cast_from(from[start + r * stride + place % width]);
        }
        tile[place] = value;
        place += CUBE_DIM_X as usize;
    }
}

/// `sums[g * rows + r] = Σ_k tile[side + r, k] · weights[k, g · columns + j]`, for weights of `inputs`
/// rows and `blocks` blocks of `columns` columns. By [`Route::Product`] `weights` is that product
/// already, of one row of `tile`.
#[cube]
pub(super) fn recurrent<F: Float>(
    sums: &mut Array<f32>,
    tile: &[f32],
    side: usize,
    weights: &[F],
    row: usize,
    j: usize,
    inputs: usize,
    columns: usize,
    #[comptime] blocks: usize,
    #[comptime] form: Form,
) {
    if comptime!(form.route == Route::Product) {
        #[unroll]
        for g in 0..blocks {
            sums[g] = f32::cast_from(weights[(row * blocks + g) * columns + j]);
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
