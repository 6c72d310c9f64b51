//! [`additive_score`](crate::additive_score) on a GPU. What is compared, `[B, T, S, A]`, is never in
//! memory: the backward pass makes it once more, twice.

use burn::{
    backend::{TensorMetadata, ops::FloatTensorOps},
    tensor::{DType, Shape},
};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{activation::through_tanh, buffer, cast, contiguous, element, uninitialised};

type Tensor = super::Float;

/// The columns of queries and keys that a cube holds at a time.
const CHUNK: usize = 32;

/// Units of a cube of the backward kernels, one for a column.
const UNITS: usize = 64;

/// Queries and keys of one cube: each of its units scores one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tile {
    queries: usize,
    keys: usize,
}

impl Tile {
    /// A decoder asks once a step, a teacher for all steps at once.
    fn of(queries: usize) -> Self {
        match queries {
            1 => Self { queries: 1, keys: 64 },
            _ => Self { queries: 8, keys: 16 },
        }
    }
}

pub(super) fn forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor {
    let [batch, queries, width] = q.shape().dims();
    let [_, keys, _] = k.shape().dims();
    let scores = uninitialised(&q, [batch, queries, keys], q.dtype());
    let tile = Tile::of(queries);
    let tiles = keys.div_ceil(tile.keys) * queries.div_ceil(tile.queries);
    score::launch(
        &scores.client,
        CubeCount::Static(tiles as u32, batch as u32, 1),
        CubeDim::new_1d((tile.queries * tile.keys) as u32),
        buffer(&q),
        buffer(&k),
        buffer(&v),
        buffer(&scores),
        queries as u32,
        keys as u32,
        width as u32,
        tile,
        element(&q),
    );
    scores
}

/// The gradients of `q`, `k` and `v`.
pub(super) fn backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor) -> (Tensor, Tensor, Tensor) {
    let [batch, queries, width] = q.shape().dims();
    let [_, keys, _] = k.shape().dims();
    let [dq, dk] = [&q, &k].map(|like| uninitialised(like, like.shape().dims::<3>(), like.dtype()));
    let shares = uninitialised(&q, [batch * queries, width], DType::F32);
    let dim = CubeDim::new_1d(UNITS as u32);
    let (grad, columns) = (contiguous(grad), width.div_ceil(UNITS) as u32);
    queries_backward::launch(
        &q.client,
        CubeCount::Static(columns, queries as u32, batch as u32),
        dim,
        buffer(&grad),
        buffer(&q),
        buffer(&k),
        buffer(&v),
        buffer(&dq),
        buffer(&shares),
        keys as u32,
        width as u32,
        element(&q),
    );
    keys_backward::launch(
        &q.client,
        CubeCount::Static(columns, keys as u32, batch as u32),
        dim,
        buffer(&grad),
        buffer(&q),
        buffer(&k),
        buffer(&v),
        buffer(&dk),
        queries as u32,
        width as u32,
        element(&q),
    );
    let dv =
        CubeBackend::float_reshape(CubeBackend::float_sum_dim(shares, 0), Shape::from([width]));
    (dq, dk, cast(dv, v.dtype()))
}

/// `score[b, t, s] = Σ_a v_a · tanh(q[b, t, a] + k[b, s, a])`.
#[cube(launch)]
fn score<F: Float>(
    q: &[F],
    k: &[F],
    v: &[F],
    scores: &mut [F],
    queries: u32,
    keys: u32,
    width: u32,
    #[comptime] tile: Tile,
    #[define(F)] _dtype: ElemType,
) {
    let (queries, keys, width) = (queries as usize, keys as usize, width as usize);
    let b = CUBE_POS_Y as usize;
    let across = (keys + comptime!(tile.keys - 1)) / tile.keys;
    let first_query = (CUBE_POS_X as usize / across) * tile.queries;
    let first_key = (CUBE_POS_X as usize % across) * tile.keys;
    let unit = UNIT_POS_X as usize;
    let (t, s) = (unit / tile.keys, unit % tile.keys);

    let mut some_q = Shared::<[f32]>::new_slice(comptime!(tile.queries * CHUNK));
    let mut some_k = Shared::<[f32]>::new_slice(comptime!(tile.keys * CHUNK));
    let mut some_v = Shared::<[f32]>::new_slice(CHUNK);
    let mut sum = 0.0f32;
    let mut from = 0usize;
    while from < width {
        sync_cube();
        take::<F>(&mut some_q, q, b * queries, first_query, queries, from, width, tile.queries);
        take::<F>(&mut some_k, k, b * keys, first_key, keys, from, width, tile.keys);
        take::<F>(&mut some_v, v, 0usize, 0usize, 1usize, from, width, 1usize);
        sync_cube();
        for a in 0..CHUNK {
            sum += some_v[a] * (some_q[t * CHUNK + a] + some_k[s * CHUNK + a]).tanh();
        }
        from += CHUNK;
    }
    let (query, key) = (first_query + t, first_key + s);
    if query < queries && key < keys {
        scores[(b * queries + query) * keys + key] = F::cast_from(sum);
    }
}

/// Columns `from..from + CHUNK` of `count` rows into the memory of a cube, zeros beyond both ends: `v` is
/// 0 there, so they add nothing.
#[cube]
fn take<F: Float>(
    to: &mut [f32],
    rows: &[F],
    start: usize,
    first: usize,
    all: usize,
    from: usize,
    width: usize,
    #[comptime] count: usize,
) {
    let mut place = UNIT_POS_X as usize;
    while place < comptime!(count * CHUNK) {
        let (row, column) = (first + place / CHUNK, from + place % CHUNK);
        let mut value = 0.0f32;
        if row < all && column < width {
            value = f32::cast_from(rows[(start + row) * width + column]);
        }
        to[place] = value;
        place += CUBE_DIM_X as usize;
    }
}

/// `dq[b, t, a]`, and what the query adds to `dv[a]`.
#[cube(launch)]
fn queries_backward<F: Float>(
    grad: &[F],
    q: &[F],
    k: &[F],
    v: &[F],
    dq: &mut [F],
    shares: &mut [f32],
    keys: u32,
    width: u32,
    #[define(F)] _dtype: ElemType,
) {
    let (keys, width) = (keys as usize, width as usize);
    let row = (CUBE_POS_Z * CUBE_COUNT_Y + CUBE_POS_Y) as usize;
    let a = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    if a < width {
        let query = f32::cast_from(q[row * width + a]);
        let weight = f32::cast_from(v[a]);
        let mut d = 0.0f32;
        let mut share = 0.0f32;
        for s in 0..keys {
            let g = f32::cast_from(grad[row * keys + s]);
            let key = f32::cast_from(k[(CUBE_POS_Z as usize * keys + s) * width + a]);
            let y = (query + key).tanh();
            d += g * weight * through_tanh(y);
            share += g * y;
        }
        dq[row * width + a] = F::cast_from(d);
        shares[row * width + a] = share;
    }
}

/// `dk[b, s, a]`.
#[cube(launch)]
fn keys_backward<F: Float>(
    grad: &[F],
    q: &[F],
    k: &[F],
    v: &[F],
    dk: &mut [F],
    queries: u32,
    width: u32,
    #[define(F)] _dtype: ElemType,
) {
    let (queries, width) = (queries as usize, width as usize);
    let (b, s, keys) = (CUBE_POS_Z as usize, CUBE_POS_Y as usize, CUBE_COUNT_Y as usize);
    let a = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    if a < width {
        let key = f32::cast_from(k[(b * keys + s) * width + a]);
        let weight = f32::cast_from(v[a]);
        let mut d = 0.0f32;
        for t in 0..queries {
            let g = f32::cast_from(grad[(b * queries + t) * keys + s]);
            let y = (f32::cast_from(q[(b * queries + t) * width + a]) + key).tanh();
            d += g * weight * through_tanh(y);
        }
        dk[(b * keys + s) * width + a] = F::cast_from(d);
    }
}
