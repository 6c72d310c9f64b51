//! The operations on Burn's GPU backends: kernels of CubeCL, which become WGSL, SPIR-V or PTX.
//!
//! A GPU computes a step of a recurrence in the time that it takes to be told to, so what counts is the
//! number of launches. A kernel here holds the product with the recurrent weights and the equations of
//! the cell, so a step is one launch; a narrow recurrence takes all steps in one ([`plan`]). Nothing is
//! read back. Sums are taken in a fixed order and in single precision whatever the dtype of the operands:
//! two equal calls give equal bits. `f64` takes the composed path, and recurrences do where a kernel may not
//! have ten buffers.
//!
//! *Names of the sizes:* `T` steps, `B` sequences, `H` units, `G` blocks of `H` columns.

mod activation;
mod additive_score;
mod cross_entropy;
mod gru;
mod lstm;
mod optimizer;
mod plan;
mod rnn;
mod sums;

use std::ops::Range;

use burn::{
    backend::{
        TensorMetadata, cubecl::dtype_to_storage_type, ops::FloatTensorOps, tensor::FloatTensor,
    },
    tensor::{DType, FloatDType, Shape, Slice},
};
use burn_cubecl::{CubeBackend, kernel::into_contiguous, ops::numeric, tensor::CubeTensor};
use cubecl::{
    ir::ElemType,
    prelude::{BufferArg, CubeCount, CubeDim},
};

use crate::{
    Lengths, composed,
    cross_entropy::{Targets, Vocabulary},
    gru::{Reset, Update},
    layer_ops::LayerOps,
    lstm::Gates,
    ops::{Course, SequenceOps},
    products,
    rnn::Activation,
};
#[cfg(test)]
pub(crate) use cross_entropy::within;
use plan::Plan;
pub(crate) use plan::Route;
#[cfg(test)]
pub(crate) use plan::routed;

type Float = FloatTensor<CubeBackend>;

/// What a forward pass leaves behind, beside its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Keep {
    Nothing,
    /// What the backward pass needs.
    Activations,
}

impl SequenceOps for CubeBackend {
    fn rnn_sequence(
        x: Float,
        w_h: Float,
        h0: Float,
        activation: Activation,
        course: Course,
    ) -> Float {
        if is_composed(&x) {
            return composed::rnn::forward::<Self>(x, w_h, h0, activation, &course);
        }
        rnn::forward(x, w_h, h0, activation, &course)
    }

    fn rnn_backward(
        grad: Float,
        w_h: Float,
        states: Float,
        activation: Activation,
        course: Course,
    ) -> (Float, Float, Float) {
        if is_composed(&grad) {
            return composed::rnn::backward::<Self>(grad, w_h, states, activation, &course);
        }
        rnn::backward(grad, w_h, states, activation, &course)
    }

    fn gru_sequence(
        x: Float,
        w_h: Float,
        b_h: Float,
        h0: Float,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> Float {
        if is_composed(&x) || reset == Reset::BeforeProduct {
            return composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course).0;
        }
        gru::forward(x, gru::Operands { w_h, b_h, h0 }, update, &course, Keep::Nothing).0
    }

    fn gru_forward(
        x: Float,
        w_h: Float,
        b_h: Float,
        h0: Float,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (Float, Float) {
        if is_composed(&x) || reset == Reset::BeforeProduct {
            return composed::gru::forward::<Self>(x, w_h, b_h, h0, reset, update, &course);
        }
        gru::forward(x, gru::Operands { w_h, b_h, h0 }, update, &course, Keep::Activations)
    }

    fn gru_backward(
        grad: Float,
        w_h: Float,
        states: Float,
        activated: Float,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> (Float, Float, Float, Float) {
        if is_composed(&grad) || reset == Reset::BeforeProduct {
            return composed::gru::backward::<Self>(
                grad, w_h, states, activated, reset, update, &course,
            );
        }
        gru::backward(grad, w_h, states, activated, update, &course)
    }

    fn lstm_sequence(
        x: Float,
        w_h: Float,
        peephole: Float,
        h0: Float,
        c0: Float,
        gates: Gates,
        course: Course,
    ) -> Float {
        let operands = lstm::Operands { x, w_h, peephole, h0, c0 };
        if is_composed(&operands.x) {
            return operands.composed(gates, &course).0;
        }
        lstm::forward(operands, gates, &course, Keep::Nothing).0
    }

    fn lstm_forward(
        x: Float,
        w_h: Float,
        peephole: Float,
        h0: Float,
        c0: Float,
        gates: Gates,
        course: Course,
    ) -> (Float, Float, Float) {
        let operands = lstm::Operands { x, w_h, peephole, h0, c0 };
        if is_composed(&operands.x) {
            return operands.composed(gates, &course);
        }
        lstm::forward(operands, gates, &course, Keep::Activations)
    }

    fn lstm_backward(
        grad: Float,
        w_h: Float,
        peephole: Float,
        states: Float,
        activated: Float,
        cells: Float,
        gates: Gates,
        course: Course,
    ) -> (Float, Float, Float, Float, Float) {
        if is_composed(&grad) {
            return composed::lstm::backward::<Self>(
                grad, w_h, peephole, states, activated, cells, gates, &course,
            );
        }
        let saved = lstm::Saved { states, activated, cells };
        lstm::backward(grad, w_h, peephole, saved, gates, &course)
    }
}

impl LayerOps for CubeBackend {
    fn cross_entropy(
        x: Float,
        w_o: Float,
        b_o: Float,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> Float {
        if is_double(&x) {
            return composed::cross_entropy::sums::<Self>(x, w_o, b_o, vocabulary, &targets);
        }
        cross_entropy::sums(x, &cross_entropy::Output { w_o, b_o, vocabulary }, &targets)
    }

    fn cross_entropy_gradients(
        x: Float,
        w_o: Float,
        b_o: Float,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> (Float, Float, Float, Float) {
        if is_double(&x) {
            return composed::cross_entropy::gradients::<Self>(x, w_o, b_o, vocabulary, &targets);
        }
        cross_entropy::gradients(x, &cross_entropy::Output { w_o, b_o, vocabulary }, &targets)
    }

    fn additive_score(q: Float, k: Float, v: Float) -> Float {
        if is_double(&q) || is_empty(&q) || is_empty(&k) {
            return composed::additive_score::forward::<Self>(q, k, v);
        }
        additive_score::forward(q, k, v)
    }

    fn additive_score_backward(grad: Float, q: Float, k: Float, v: Float) -> (Float, Float, Float) {
        if is_double(&q) || is_empty(&q) || is_empty(&k) {
            return composed::additive_score::backward::<Self>(grad, q, k, v);
        }
        additive_score::backward(grad, q, k, v)
    }
}

/// Graphics interfaces have no kernels in double precision, and others have no `exp` there.
fn is_double(tensor: &Float) -> bool {
    tensor.dtype() == DType::F64
}

/// Buffers of the kernel that has the most, the backward pass of an LSTM, and one for its numbers.
const BUFFERS: u32 = 10;

/// Whether a recurrence takes the composed path: in double precision, or where a kernel may have fewer buffers
/// than it needs. WebGPU promises 8.
fn is_composed(tensor: &Float) -> bool {
    is_double(tensor) || tensor.client.properties().hardware.max_bindings < BUFFERS
}

/// A launch has at least one cube.
fn is_empty(tensor: &Float) -> bool {
    tensor.shape().num_elements() == 0
}

/// A tensor whose elements stand in row-major order, for a kernel that indexes by hand.
fn buffer(tensor: &Float) -> BufferArg {
    into_contiguous(tensor.clone()).into_buffer_arg()
}

/// The same, once for several launches.
fn contiguous(tensor: Float) -> Float {
    into_contiguous(tensor)
}

/// `[N, K]` as `[K, N]`, laid out so.
fn transposed(tensor: Float) -> Float {
    contiguous(CubeBackend::float_swap_dims(tensor, 0, 1))
}

/// Row `n` of `[N, B, K]`, as `[B, K]`.
fn row(tensor: &Float, n: usize) -> Float {
    let [_, batch, width] = tensor.shape().dims();
    let range = [n..n + 1, 0..batch, 0..width].map(Slice::from);
    let row = CubeBackend::float_slice(tensor.clone(), &range);
    CubeBackend::float_reshape(row, Shape::from([batch, width]))
}

/// Columns `from..from + count` of `[B, K]`.
fn columns(tensor: Float, from: usize, count: usize) -> Float {
    let [batch, _] = tensor.shape().dims();
    let range = [0..batch, from..from + count].map(Slice::from);
    CubeBackend::float_slice(tensor, &range)
}

/// `[N, B, H]`, of which only row `first` is written, `h0`.
fn with_first(h0: &Float, rows: usize, first: usize) -> Float {
    let [batch, hidden] = h0.shape().dims();
    let states = uninitialised(h0, [rows, batch, hidden], h0.dtype());
    let range = [first..first + 1, 0..batch, 0..hidden].map(Slice::from);
    let h0 = CubeBackend::float_reshape(h0.clone(), Shape::from([1, batch, hidden]));
    CubeBackend::float_slice_assign(states, &range, h0)
}

/// What the sums of a step are made with: `W_h`, or by [`Route::Product`] the sums themselves.
fn weights_forward(
    plan: &Plan,
    passes: &Range<usize>,
    course: &Course,
    states: &Float,
    w_h: &Float,
) -> Float {
    match plan.form.route {
        Route::Loop | Route::Step => w_h.clone(),
        Route::Product => {
            let before = course.direction.step(passes.start, course.lengths.steps()).before;
            product(row(states, before), w_h.clone())
        }
    }
}

/// The same of a backward pass, from the gradients `da` of the step that was left. Their first columns belong to
/// the sums that were made with `W_h`.
fn weights_backward(
    plan: &Plan,
    passes: &Range<usize>,
    course: &Course,
    da: &Float,
    w_h_t: &Float,
) -> Float {
    match plan.form.route {
        Route::Product if passes.start > 0 => {
            let steps = course.lengths.steps();
            let left = course.direction.step(steps - passes.start, steps).t;
            let [width, _] = w_h_t.shape().dims();
            product(columns(row(da, left), 0, width), w_h_t.clone())
        }
        Route::Loop | Route::Step | Route::Product => w_h_t.clone(),
    }
}

fn product(a: Float, b: Float) -> Float {
    products::product::<CubeBackend>(a, b)
}

/// In the dtype of results. What is in it already is not copied.
fn cast(tensor: Float, dtype: DType) -> Float {
    if tensor.dtype() == dtype {
        return tensor;
    }
    CubeBackend::float_cast(tensor, FloatDType::from(dtype))
}

/// The cubes of a kernel with a unit for each of `elements`, as [`elementwise_dim`] has them.
fn elementwise_count(elements: usize) -> CubeCount {
    CubeCount::Static(elements.div_ceil(64) as u32, 1, 1)
}

fn elementwise_dim() -> CubeDim {
    CubeDim::new_1d(64)
}

/// A new tensor on the device of another, of whatever was in its memory.
fn uninitialised<const D: usize>(like: &Float, shape: [usize; D], dtype: DType) -> Float {
    numeric::empty_device_contiguous_dtype(
        like.client.clone(),
        like.device.clone(),
        Shape::from(shape),
        dtype,
    )
}

/// The element type that a kernel binds.
fn element(tensor: &Float) -> ElemType {
    dtype_to_storage_type(tensor.dtype())
}

/// `[B]`, the lengths where a kernel can read them.
fn on_device(lengths: &Lengths, like: &Float) -> CubeTensor {
    numbers(lengths.as_slice().iter().map(|length| *length as u32).collect(), like)
}

/// Numbers where a kernel can read them.
fn numbers(numbers: Vec<u32>, like: &Float) -> CubeTensor {
    let handle = like.client.create_from_slice(bytemuck::cast_slice(&numbers));
    let shape = Shape::from([numbers.len()]);
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, DType::U32)
}
