//! [`cross_entropy`](crate::cross_entropy) in Burn's operations.

use burn::{
    backend::{
        Backend, TensorMetadata, get_device_settings,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{IndexingUpdateOp, Shape, Slice, TensorData},
};

use super::value::Value;
use crate::cross_entropy::{Targets, Vocabulary};

/// The real rows, and what the layer makes of them.
struct Forward<B: Backend> {
    /// Their places, `[n]`.
    rows: IntTensor<B>,
    /// Their targets, `[n, 1]`.
    ids: IntTensor<B>,
    /// `[n, R]`.
    x: Value<B>,
    /// `W_o`, `[R, V]`.
    w_o: Value<B>,
    /// `[n, V]`.
    log_p: Value<B>,
}

pub(crate) fn sums<B: Backend>(
    x: FloatTensor<B>,
    w_o: FloatTensor<B>,
    b_o: FloatTensor<B>,
    vocabulary: Vocabulary,
    targets: &Targets,
) -> FloatTensor<B> {
    match Forward::<B>::new(x.clone(), w_o, b_o, vocabulary, targets) {
        None => zeros::<B>([2], &x),
        Some(forward) => forward.sums(targets),
    }
}

pub(crate) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    w_o: FloatTensor<B>,
    b_o: FloatTensor<B>,
    vocabulary: Vocabulary,
    targets: &Targets,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (w_o_shape, b_o_shape) = (w_o.shape(), b_o.shape());
    let Some(forward) = Forward::<B>::new(x.clone(), w_o, b_o, vocabulary, targets) else {
        let gradient = |shape| zeros::<B>(shape, &x);
        return (
            zeros::<B>([2], &x),
            gradient(x.shape()),
            gradient(w_o_shape),
            gradient(b_o_shape),
        );
    };
    let sums = forward.sums(targets);
    let Forward { rows, ids, x: real, w_o, log_p } = forward;
    let [_, size] = log_p.dims();
    let smoothing = targets.label_smoothing();
    let spread = B::float_add_scalar(B::float_exp(log_p.0), (-smoothing / size as f64).into());
    let chosen = B::float_add_scalar(zeros::<B>(ids.shape(), &x), (smoothing - 1.0).into());
    let dl = Value::<B>(B::float_scatter(1, spread, ids, chosen, IndexingUpdateOp::Add));
    let dx = dl.clone().matmul(w_o.transpose());
    let dx =
        B::float_select_assign(zeros::<B>(x.shape(), &x), 0, rows, dx.0, IndexingUpdateOp::Add);
    let dw_o = match vocabulary {
        Vocabulary::First => dl.clone().transpose().matmul(real),
        Vocabulary::Last => real.transpose().matmul(dl.clone()),
    };
    (sums, dx, dw_o.0, dl.sum_rows().0)
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    dx: FloatTensor<B>,
    dw_o: FloatTensor<B>,
    db_o: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let grad = B::float_slice(grad, &[Slice::from(0..1)]);
    let matrix = Value::<B>(B::float_reshape(grad.clone(), [1, 1].into()));
    let times = |gradient| (Value(gradient) * matrix.clone()).0;
    (times(dx), times(dw_o), (Value::<B>(db_o) * Value(grad)).0)
}

fn zeros<B: Backend>(shape: impl Into<Shape>, like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(shape.into(), &like.device(), like.dtype().into())
}

impl<B: Backend> Forward<B> {
    /// None if there is no real row.
    fn new(
        x: FloatTensor<B>,
        w_o: FloatTensor<B>,
        b_o: FloatTensor<B>,
        vocabulary: Vocabulary,
        targets: &Targets,
    ) -> Option<Self> {
        let (rows, ids) = targets.real();
        let (n, size) = (rows.len(), b_o.shape()[0]);
        if n == 0 {
            return None;
        }
        let device = x.device();
        let dtype = get_device_settings::<B>(&device).int_dtype;
        let places = |places: Vec<usize>, shape: Shape| {
            let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
            let data = TensorData::new(places, shape).convert_dtype(dtype.into());
            B::int_from_data(data, &device)
        };
        let (rows, ids) = (places(rows, [n].into()), places(ids, [n, 1].into()));
        let x = Value::<B>(B::float_select(x, 0, rows.clone()));
        let w_o = match vocabulary {
            Vocabulary::First => Value(w_o).transpose(),
            Vocabulary::Last => Value(w_o),
        };
        let logits = x.clone().matmul(w_o.clone()) + Value(b_o).reshape([1, size]);
        let largest = Value(B::float_max_dim(logits.0.clone(), 1));
        let shifted = logits - largest;
        let sum = B::float_sum_dim(B::float_exp(shifted.0.clone()), 1);
        let log_p = shifted - Value(B::float_log(sum));
        Some(Self { rows, ids, x, w_o, log_p })
    }

    fn sums(&self, targets: &Targets) -> FloatTensor<B> {
        let [_, size] = self.log_p.dims();
        let smoothing = targets.label_smoothing();
        let chosen = B::float_gather(1, self.log_p.0.clone(), self.ids.clone());
        let nll = Value::<B>(B::float_sum(chosen)).negate();
        let times = |a: Value<B>, factor: f64| Value::<B>(B::float_mul_scalar(a.0, factor.into()));
        let loss = if smoothing > 0.0 {
            let all = Value::<B>(B::float_sum(self.log_p.0.clone()));
            times(nll.clone(), 1.0 - smoothing) + times(all, -smoothing / size as f64)
        } else {
            nll.clone()
        };
        B::float_cat(vec![loss.0, nll.0], 0)
    }
}
