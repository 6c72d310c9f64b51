//! A backend tensor with operators, so that equations read like equations.

use std::ops::{Add, Mul, Sub};

use burn::{
    backend::{Backend, TensorMetadata, get_device_settings, tensor::FloatTensor},
    tensor::{Shape, Slice, TensorData},
};

use crate::{Lengths, products::product};

/// A float tensor of backend `B`. Operands of `+ - *` have the same shape, or axes of size 1.
pub(super) struct Value<B: Backend>(pub(super) FloatTensor<B>);

impl<B: Backend> Clone for Value<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> Add for Value<B> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(B::float_add(self.0, other.0))
    }
}

impl<B: Backend> Sub for Value<B> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(B::float_sub(self.0, other.0))
    }
}

impl<B: Backend> Mul for Value<B> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }
}

impl<B: Backend> Value<B> {
    pub(super) fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims::<D>()
    }

    pub(super) fn matmul(self, other: Self) -> Self {
        Self(product::<B>(self.0, other.0))
    }

    pub(super) fn transpose(self) -> Self {
        Self(B::float_swap_dims(self.0, 0, 1))
    }

    pub(super) fn reshape(self, shape: impl Into<Shape>) -> Self {
        Self(B::float_reshape(self.0, shape.into()))
    }

    pub(super) fn tanh(self) -> Self {
        Self(B::float_tanh(self.0))
    }

    /// `1 / (1 + e^-a)` in the dtype of `a`; Burn's default `sigmoid` goes through f32.
    pub(super) fn sigmoid(self) -> Self {
        let e = B::float_exp(B::float_neg(self.0));
        Self(B::float_recip(B::float_add_scalar(e, 1.0.into())))
    }

    /// `max(a, 0)`; NaN stays NaN.
    pub(super) fn relu(self) -> Self {
        Self(B::float_clamp_min(self.0, 0.0.into()))
    }

    /// `a` where `self` is above 0, else 0.
    pub(super) fn where_positive(self, a: Self) -> Self {
        let dtype = get_device_settings::<B>(&self.0.device()).bool_dtype;
        let not_positive = B::float_lower_equal_elem(self.0, 0.0.into(), dtype);
        Self(B::float_mask_fill(a.0, not_positive, 0.0.into()))
    }

    /// `a`, or the bound of `−bound` and `bound` that it is beyond; NaN is beyond neither.
    pub(super) fn clip(self, bound: f64) -> Self {
        let dtype = get_device_settings::<B>(&self.0.device()).bool_dtype;
        let above = B::float_greater_elem(self.0.clone(), bound.into(), dtype);
        let below = B::float_lower_elem(self.0.clone(), (-bound).into(), dtype);
        let held = B::float_mask_fill(self.0, above, bound.into());
        Self(B::float_mask_fill(held, below, (-bound).into()))
    }

    /// `a`, but 0 where `self` was [clipped](Self::clip) to one of the bounds. Backends round a number to
    /// the dtype that it fills or is compared with, so what was clipped is found at its bound.
    pub(super) fn where_inside(self, bound: f64, a: Self) -> Self {
        let dtype = get_device_settings::<B>(&self.0.device()).bool_dtype;
        let clipped = B::float_greater_equal_elem(B::float_abs(self.0), bound.into(), dtype);
        Self(B::float_mask_fill(a.0, clipped, 0.0.into()))
    }

    /// `1 - a`.
    pub(super) fn complement(self) -> Self {
        Self(B::float_add_scalar(B::float_neg(self.0), 1.0.into()))
    }

    pub(super) fn negate(self) -> Self {
        Self(B::float_neg(self.0))
    }

    pub(super) fn zeros_like(&self) -> Self {
        Self(B::float_zeros(self.0.shape(), &self.0.device(), self.0.dtype().into()))
    }

    /// Row `n` of the first axis of `[N, B, K]`, as `[B, K]`.
    pub(super) fn row(&self, n: usize) -> Self {
        let [_, batch, width] = self.dims();
        self.rows(n, 1).reshape([batch, width])
    }

    /// Rows `from..from + count` of the first axis of `[N, B, K]`.
    pub(super) fn rows(&self, from: usize, count: usize) -> Self {
        let [_, batch, width] = self.dims();
        let range = [from..from + count, 0..batch, 0..width].map(Slice::from);
        Self(B::float_slice(self.0.clone(), &range))
    }

    /// Columns `from..from + count` of `[B, K]`.
    pub(super) fn columns(&self, from: usize, count: usize) -> Self {
        let [batch, _] = self.dims();
        let range = [0..batch, from..from + count].map(Slice::from);
        Self(B::float_slice(self.0.clone(), &range))
    }

    /// The columns of `[B, N * K]` as `N` blocks `[B, K]`.
    pub(super) fn blocks<const N: usize>(&self) -> [Self; N] {
        let [_, width] = self.dims();
        let each = width / N;
        std::array::from_fn(|n| self.columns(n * each, each))
    }

    /// `N` blocks `[B, K]` as `[B, N * K]`.
    pub(super) fn join(blocks: Vec<Self>) -> Self {
        Self(B::float_cat(blocks.into_iter().map(|block| block.0).collect(), 1))
    }

    /// `N` tensors `[B, K]` as `[N, B, K]`.
    pub(super) fn stack(rows: Vec<Self>) -> Self {
        let [batch, width] = rows[0].dims();
        let rows = rows.into_iter().map(|row| row.reshape([1, batch, width]).0);
        Self(B::float_cat(rows.collect(), 0))
    }

    /// Sum over the first axis of `[N, K]`, as `[K]`.
    pub(super) fn sum_rows(self) -> Self {
        let [_, width] = self.dims();
        Self(B::float_sum_dim(self.0, 0)).reshape([width])
    }

    /// Mean over the last axis of `[N, K]`, as `[N, 1]`. Divided first, so that a sum of many does not
    /// leave the range of a small dtype.
    pub(super) fn mean_columns(&self) -> Self {
        let [_, width] = self.dims();
        let shares = B::float_mul_scalar(self.0.clone(), (1.0 / width as f64).into());
        Self(B::float_sum_dim(shares, 1))
    }

    /// `1 / √(a + ε)`.
    pub(super) fn inverse_root(self, epsilon: f64) -> Self {
        Self(B::float_recip(B::float_sqrt(B::float_add_scalar(self.0, epsilon.into()))))
    }

    /// `self`, but the rows of `kept` where `pad` says so. Selects, so a NaN in what is not taken
    /// does no harm.
    pub(super) fn unless(self, pad: &Padding<B>, kept: Self) -> Self {
        match &pad.0 {
            None => self,
            Some(mask) => {
                let mask = B::bool_expand(mask.clone(), self.0.shape());
                Self(B::float_mask_where(self.0, mask, kept.0))
            }
        }
    }

    /// `self`, but zeros where `pad` says so.
    pub(super) fn zero_at(self, pad: &Padding<B>) -> Self {
        match &pad.0 {
            None => self,
            Some(mask) => {
                let mask = B::bool_expand(mask.clone(), self.0.shape());
                Self(B::float_mask_fill(self.0, mask, 0.0.into()))
            }
        }
    }
}

/// The rows that are padding, of one step, `[B, 1]`, or of all, `[T · B, 1]`; none if there are none.
pub(super) struct Padding<B: Backend>(Option<burn::backend::tensor::BoolTensor<B>>);

impl<B: Backend> Padding<B> {
    pub(super) fn at(t: usize, lengths: &Lengths, like: &Value<B>) -> Self {
        if lengths.all_run_at(t) {
            return Self(None);
        }
        Self::new(lengths.padded_at(t), like)
    }

    /// Of all steps, time-major.
    pub(super) fn of_all(lengths: &Lengths, like: &Value<B>) -> Self {
        if lengths.is_full() {
            return Self(None);
        }
        Self::new((0..lengths.steps()).flat_map(|t| lengths.padded_at(t)).collect(), like)
    }

    fn new(padded: Vec<bool>, like: &Value<B>) -> Self {
        let device = like.0.device();
        let dtype = get_device_settings::<B>(&device).bool_dtype;
        let rows = padded.len();
        let data = TensorData::new(padded, [rows, 1]);
        Self(Some(B::bool_from_data(data.convert_dtype(dtype.into()), &device)))
    }
}

/// `[T, B, K]` as `[T · B, K]`, zero where it is padding.
pub(super) fn flat<B: Backend>(value: FloatTensor<B>, lengths: &Lengths) -> Value<B> {
    let value = Value::<B>(value);
    let [steps, batch, width] = value.dims();
    let flat = value.reshape([steps * batch, width]);
    let pad = Padding::of_all(lengths, &flat);
    flat.zero_at(&pad)
}

/// The states of a recurrence while it runs, in time order whatever the direction.
pub(super) struct States<B: Backend>(Vec<Option<Value<B>>>);

impl<B: Backend> States<B> {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(|_| None).collect())
    }

    pub(super) fn set(&mut self, n: usize, state: Value<B>) {
        self.0[n] = Some(state);
    }

    pub(super) fn get(&self, n: usize) -> Value<B> {
        self.0[n].clone().expect("a step runs after the step before it")
    }

    pub(super) fn into_rows(self) -> Vec<Value<B>> {
        self.0.into_iter().map(|state| state.expect("every step has run")).collect()
    }

    pub(super) fn stack(self) -> Value<B> {
        Value::stack(self.into_rows())
    }
}

/// `Σ_t before_tᵀ · grad_t` for `before` and `grad` of `[T, B, ·]`: one product for all steps.
pub(super) fn weight_gradient<B: Backend>(before: &Value<B>, grad: &Value<B>) -> Value<B> {
    let flat = |value: &Value<B>| {
        let [steps, batch, width] = value.dims();
        value.clone().reshape([steps * batch, width])
    };
    flat(before).transpose().matmul(flat(grad))
}
