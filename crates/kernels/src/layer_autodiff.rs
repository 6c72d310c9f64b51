//! Gradients of the layers: each operation is one node of the graph.

use burn::backend::{Backend, tensor::FloatTensor};
use burn_autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};

use crate::{
    cross_entropy::{Targets, Vocabulary},
    layer_ops::LayerOps,
};

impl<B: Backend + LayerOps, C: CheckpointStrategy> LayerOps for Autodiff<B, C> {
    fn cross_entropy(
        x: FloatTensor<Self>,
        w_o: FloatTensor<Self>,
        b_o: FloatTensor<Self>,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w_o.node(), b_o.node()];
        let (x, w_o, b_o) = (x.into_primitive(), w_o.into_primitive(), b_o.into_primitive());
        match CrossEntropy.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (sums, dx, dw_o, db_o) =
                    B::cross_entropy_gradients(x, w_o, b_o, vocabulary, targets);
                prep.finish([dx, dw_o, db_o], sums)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::cross_entropy(x, w_o, b_o, vocabulary, targets))
            }
        }
    }

    fn additive_score(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [q.node(), k.node(), v.node()];
        let (q, k, v) = (q.into_primitive(), k.into_primitive(), v.into_primitive());
        let scores = B::additive_score(q.clone(), k.clone(), v.clone());
        match AdditiveScore.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([q, k, v], scores),
            OpsKind::UnTracked(prep) => prep.finish(scores),
        }
    }

    fn tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let y = <B as LayerOps>::tanh(x.into_primitive());
        match Tanh.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(y.clone(), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let y = <B as LayerOps>::sigmoid(x.into_primitive());
        match Sigmoid.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(y.clone(), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl<B: Backend + LayerOps> Backward<B, 3> for CrossEntropy {
    /// The gradients of the smoothed loss.
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [dx, dw_o, db_o] = ops.state;
        let (dx, dw_o, db_o) = B::cross_entropy_backward(grad, dx, dw_o, db_o);
        for (parent, gradient) in ops.parents.into_iter().zip([dx, dw_o, db_o]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AdditiveScore;

impl<B: Backend + LayerOps> Backward<B, 3> for AdditiveScore {
    /// Its operands.
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [q, k, v] = ops.state;
        let (dq, dk, dv) = B::additive_score_backward(grad, q, k, v);
        for (parent, gradient) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Tanh;

impl<B: Backend + LayerOps> Backward<B, 1> for Tanh {
    /// What it gave.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            grads.register::<B>(node.id, <B as LayerOps>::tanh_backward(grad, ops.state));
        }
    }
}

#[derive(Debug)]
struct Sigmoid;

impl<B: Backend + LayerOps> Backward<B, 1> for Sigmoid {
    /// What it gave.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            grads.register::<B>(node.id, <B as LayerOps>::sigmoid_backward(grad, ops.state));
        }
    }
}
