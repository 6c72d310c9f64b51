//! [`cross_entropy`](crate::cross_entropy) on a GPU: the logits of some rows at a time, which become the
//! gradients in their place.

use burn::{
    backend::{
        TensorMetadata, get_device_settings,
        ops::{FloatTensorOps, IntTensorOps},
        tensor::IntTensor,
    },
    tensor::{DType, IndexingUpdateOp, Shape, TensorData},
};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{buffer, cast, contiguous, element, numbers, product, uninitialised};
use crate::cross_entropy::{Targets, Vocabulary};

type Tensor = super::Float;

/// Bytes of logits that are in memory at a time: what WebGPU promises of one buffer.
const BYTES: usize = 128 << 20;

/// Units of a cube, which has one row.
const UNITS: usize = 128;

/// What becomes of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Losses,
    Gradients,
}

/// An output layer.
pub(super) struct Output {
    pub(super) w_o: Tensor,
    pub(super) b_o: Tensor,
    pub(super) vocabulary: Vocabulary,
}

impl Output {
    /// `W_o`, `[R, V]`.
    fn weights(&self) -> Tensor {
        match self.vocabulary {
            Vocabulary::First => CubeBackend::float_swap_dims(self.w_o.clone(), 0, 1),
            Vocabulary::Last => self.w_o.clone(),
        }
    }
}

/// The smoothed loss and the plain one, `[2]`.
pub(super) fn sums(x: Tensor, output: &Output, targets: &Targets) -> Tensor {
    let mut losses = Sum::default();
    for rows in some_rows(&x, output, targets) {
        let logits = contiguous(product(rows.of(&x), output.weights()));
        losses.add(softmax(&logits, output, &rows, targets, Wanted::Losses));
    }
    losses.or_zeros(&x, [2])
}

/// The same, and the gradients of the smoothed loss with respect to `(x, w_o, b_o)`.
pub(super) fn gradients(
    x: Tensor,
    output: &Output,
    targets: &Targets,
) -> (Tensor, Tensor, Tensor, Tensor) {
    let turned = |tensor: &Tensor| CubeBackend::float_swap_dims(tensor.clone(), 0, 1);
    let (mut losses, mut dw_o, mut db_o) = (Sum::default(), Sum::default(), Sum::default());
    let mut dx = zeros(&x, x.shape());
    let weights = output.weights();
    for rows in some_rows(&x, output, targets) {
        let real = rows.of(&x);
        let logits = contiguous(product(real.clone(), weights.clone()));
        losses.add(softmax(&logits, output, &rows, targets, Wanted::Gradients));
        let dl = logits;
        let d_real = product(dl.clone(), turned(&weights));
        let places = rows.places.clone();
        dx = CubeBackend::float_select_assign(dx, 0, places, d_real, IndexingUpdateOp::Add);
        dw_o.add(match output.vocabulary {
            Vocabulary::First => product(turned(&dl), real),
            Vocabulary::Last => product(turned(&real), dl.clone()),
        });
        let summed = CubeBackend::float_sum_dim(dl, 0);
        db_o.add(CubeBackend::float_reshape(summed, output.b_o.shape()));
    }
    (
        losses.or_zeros(&x, [2]),
        dx,
        dw_o.or_zeros(&x, output.w_o.shape()),
        db_o.or_zeros(&x, output.b_o.shape()),
    )
}

fn zeros(like: &Tensor, shape: impl Into<Shape>) -> Tensor {
    CubeBackend::float_zeros(shape.into(), &like.device(), like.dtype().into())
}

/// A sum of tensors of one shape.
#[derive(Default)]
struct Sum(Option<Tensor>);

impl Sum {
    fn add(&mut self, term: Tensor) {
        self.0 = Some(match self.0.take() {
            None => term,
            Some(sum) => CubeBackend::float_add(sum, term),
        });
    }

    /// Of nothing it is zeros.
    fn or_zeros(self, like: &Tensor, shape: impl Into<Shape>) -> Tensor {
        self.0.unwrap_or_else(|| zeros(like, shape))
    }
}

/// Some rows that are not padding.
struct Rows {
    /// Where they are, `[n]`.
    places: IntTensor<CubeBackend>,
    /// What they should be, `[n]`.
    ids: Tensor,
}

impl Rows {
    /// These rows of `x`, `[n, R]`.
    fn of(&self, x: &Tensor) -> Tensor {
        CubeBackend::float_select(x.clone(), 0, self.places.clone())
    }
}

/// The rows that are not padding, so many at a time that their logits have their place.
fn some_rows(x: &Tensor, output: &Output, targets: &Targets) -> impl Iterator<Item = Rows> + use<> {
    let (places, ids) = targets.real();
    let each = (bytes() / (output.b_o.shape()[0] * x.dtype().size())).max(1);
    let device = x.device();
    let dtype = get_device_settings::<CubeBackend>(&device).int_dtype;
    let like = x.clone();
    (0..places.len()).step_by(each).map(move |from| {
        let some = from..places.len().min(from + each);
        let places: Vec<i64> = places[some.clone()].iter().map(|place| *place as i64).collect();
        let data = TensorData::new(places, [some.len()]).convert_dtype(dtype.into());
        let ids = ids[some].iter().map(|id| *id as u32).collect();
        Rows { places: CubeBackend::int_from_data(data, &device), ids: numbers(ids, &like) }
    })
}

fn bytes() -> usize {
    #[cfg(test)]
    if let Some(bytes) = FORCED.get() {
        return bytes;
    }
    BYTES
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with so many bytes of logits in memory at a time.
#[cfg(test)]
pub(crate) fn within<R>(bytes: usize, f: impl FnOnce() -> R) -> R {
    let before = FORCED.replace(Some(bytes));
    let result = f();
    FORCED.set(before);
    result
}

/// The sums of both losses, `[2]`, of rows whose products with `W_o` are `logits`, which become what is
/// wanted beside.
fn softmax(
    logits: &Tensor,
    output: &Output,
    rows: &Rows,
    targets: &Targets,
    wanted: Wanted,
) -> Tensor {
    let [n, size] = logits.shape().dims();
    let losses = uninitialised(logits, [n, 2], DType::F32);
    // One dimension of cubes holds 65,535 of them.
    let across = n.min(1 << 15);
    softmax_rows::launch(
        &logits.client,
        CubeCount::Static(across as u32, n.div_ceil(across) as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        buffer(logits),
        buffer(&output.b_o),
        buffer(&rows.ids),
        buffer(&losses),
        n as u32,
        size as u32,
        targets.label_smoothing() as f32,
        wanted,
        element(logits),
    );
    let sums = CubeBackend::float_reshape(CubeBackend::float_sum_dim(losses, 0), [2].into());
    cast(sums, logits.dtype())
}

/// `l = logits + b_o` of one row a cube, both losses, and the gradient of the smoothed one.
#[cube(launch)]
fn softmax_rows<F: Float>(
    logits: &mut [F],
    b_o: &[F],
    ids: &[u32],
    losses: &mut [f32],
    n: u32,
    size: u32,
    smoothing: f32,
    #[comptime] wanted: Wanted,
    #[define(F)] _dtype: ElemType,
) {
    let row = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize;
    if row >= n as usize {
        terminate!();
    }
    let size = size as usize;
    let start = row * size;
    let unit = UNIT_POS_X as usize;
    let mut shares = Shared::<[f32]>::new_slice(UNITS);

    // Every unit starts with the first of the row, so that those beyond a short one have a number.
    let mut largest = f32::cast_from(logits[start]) + f32::cast_from(b_o[0]);
    let mut all = 0.0f32;
    let mut v = unit;
    while v < size {
        let l = f32::cast_from(logits[start + v]) + f32::cast_from(b_o[v]);
        all += l;
        if l > largest {
            largest = l;
        }
        v += UNITS;
    }
    shares[unit] = largest;
    sync_cube();
    largest = shares[0];
    let mut other = 1usize;
    while other < UNITS {
        if shares[other] > largest {
            largest = shares[other];
        }
        other += 1;
    }
    sync_cube();
    shares[unit] = all;
    sync_cube();
    let mean = total(&shares) / size as f32;
    sync_cube();

    let mut sum = 0.0f32;
    let mut v = unit;
    while v < size {
        let l = f32::cast_from(logits[start + v]) + f32::cast_from(b_o[v]);
        sum += (l - largest).exp();
        v += UNITS;
    }
    shares[unit] = sum;
    sync_cube();
    let normaliser = largest + total(&shares).ln();

    let id = ids[row] as usize;
    if unit == 0 {
        let l = f32::cast_from(logits[start + id]) + f32::cast_from(b_o[id]);
        let nll = normaliser - l;
        losses[2 * row] = (1.0f32 - smoothing) * nll + smoothing * (normaliser - mean);
        losses[2 * row + 1] = nll;
    }
    if comptime!(wanted == Wanted::Gradients) {
        sync_cube();
        let mut v = unit;
        while v < size {
            let l = f32::cast_from(logits[start + v]) + f32::cast_from(b_o[v]);
            let mut d = (l - normaliser).exp() - smoothing / size as f32;
            if v == id {
                d -= 1.0f32 - smoothing;
            }
            logits[start + v] = F::cast_from(d);
            v += UNITS;
        }
    }
}

/// The sum of what the units of a cube have.
#[cube]
fn total(shares: &[f32]) -> f32 {
    let mut total = 0.0f32;
    let mut unit = 0usize;
    while unit < UNITS {
        total += shares[unit];
        unit += 1;
    }
    total
}
