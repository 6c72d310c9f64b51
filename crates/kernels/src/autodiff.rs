//! Gradients: each sequence operation is one node of the graph.

use burn::backend::{Backend, tensor::FloatTensor};
use burn_autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};

use crate::{
    Lengths,
    gru::{Reset, Update},
    lstm::Gates,
    ops::{Course, SequenceOps},
    rnn::Activation,
};

// `compute_bound` keeps what the backward pass needs also under `gradient_checkpointing()`: running
// a whole sequence again is what checkpointing by operation should not do.
impl<B: Backend + SequenceOps, C: CheckpointStrategy> SequenceOps for Autodiff<B, C> {
    fn project_sequence(
        x: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        b: FloatTensor<Self>,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w_x.node(), b.node()];
        let (x, w_x, b) = (x.into_primitive(), w_x.into_primitive(), b.into_primitive());
        let projected = B::project_sequence(x.clone(), w_x.clone(), b, lengths.clone());
        match Project.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(ProjectSaved::<B> { x, w_x, lengths }, projected),
            OpsKind::UnTracked(prep) => prep.finish(projected),
        }
    }

    fn rnn_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        activation: Activation,
        course: Course,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w_h.node(), h0.node()];
        let (x, w_h, h0) = (x.into_primitive(), w_h.into_primitive(), h0.into_primitive());
        let states = B::rnn_sequence(x, w_h.clone(), h0, activation, course.clone());
        match Rnn.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let saved = RnnSaved::<B> { w_h, states: states.clone(), activation, course };
                prep.finish(saved, states)
            }
            OpsKind::UnTracked(prep) => prep.finish(states),
        }
    }

    fn lstm_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        gates: Gates,
        course: Course,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w_h.node(), peephole.node(), h0.node(), c0.node()];
        let (x, h0, c0) = (x.into_primitive(), h0.into_primitive(), c0.into_primitive());
        let (w_h, peephole) = (w_h.into_primitive(), peephole.into_primitive());
        match Lstm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (states, activated, cells) = B::lstm_forward(
                    x,
                    w_h.clone(),
                    peephole.clone(),
                    h0,
                    c0,
                    gates,
                    course.clone(),
                );
                let saved = LstmSaved::<B> {
                    w_h,
                    peephole,
                    states: states.clone(),
                    activated,
                    cells,
                    gates,
                    course,
                };
                prep.finish(saved, states)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::lstm_sequence(x, w_h, peephole, h0, c0, gates, course))
            }
        }
    }

    fn gru_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        reset: Reset,
        update: Update,
        course: Course,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), w_h.node(), b_h.node(), h0.node()];
        let (x, h0) = (x.into_primitive(), h0.into_primitive());
        let (w_h, b_h) = (w_h.into_primitive(), b_h.into_primitive());
        match Gru.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (states, activated) =
                    B::gru_forward(x, w_h.clone(), b_h, h0, reset, update, course.clone());
                let saved =
                    GruSaved::<B> { w_h, states: states.clone(), activated, reset, update, course };
                prep.finish(saved, states)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::gru_sequence(x, w_h, b_h, h0, reset, update, course))
            }
        }
    }
}

/// What a node keeps until its backward pass.
#[derive(Clone, Debug)]
struct ProjectSaved<B: Backend> {
    x: FloatTensor<B>,
    w_x: FloatTensor<B>,
    lengths: Lengths,
}

#[derive(Debug)]
struct Project;

impl<B: Backend + SequenceOps> Backward<B, 3> for Project {
    type State = ProjectSaved<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ProjectSaved { x, w_x, lengths } = ops.state;
        let [input, weights, bias] = ops.parents;
        if weights.is_some() || bias.is_some() {
            let (dw, db) = B::project_weight_gradients(grad.clone(), x, lengths.clone());
            for (parent, gradient) in [(weights, dw), (bias, db)] {
                if let Some(node) = parent {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
        if let Some(node) = input {
            let dx = B::project_input_gradient(grad, w_x, lengths);
            grads.register::<B>(node.id, dx);
        }
    }
}

#[derive(Clone, Debug)]
struct RnnSaved<B: Backend> {
    w_h: FloatTensor<B>,
    states: FloatTensor<B>,
    activation: Activation,
    course: Course,
}

#[derive(Debug)]
struct Rnn;

impl<B: Backend + SequenceOps> Backward<B, 3> for Rnn {
    type State = RnnSaved<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let (dx, dw_h, dh0) =
            B::rnn_backward(grad, saved.w_h, saved.states, saved.activation, saved.course);
        for (parent, gradient) in ops.parents.into_iter().zip([dx, dw_h, dh0]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct LstmSaved<B: Backend> {
    w_h: FloatTensor<B>,
    peephole: FloatTensor<B>,
    states: FloatTensor<B>,
    activated: FloatTensor<B>,
    cells: FloatTensor<B>,
    gates: Gates,
    course: Course,
}

#[derive(Debug)]
struct Lstm;

impl<B: Backend + SequenceOps> Backward<B, 5> for Lstm {
    type State = LstmSaved<B>;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let (dx, dw_h, dp, dh0, dc0) = B::lstm_backward(
            grad,
            saved.w_h,
            saved.peephole,
            saved.states,
            saved.activated,
            saved.cells,
            saved.gates,
            saved.course,
        );
        for (parent, gradient) in ops.parents.into_iter().zip([dx, dw_h, dp, dh0, dc0]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct GruSaved<B: Backend> {
    w_h: FloatTensor<B>,
    states: FloatTensor<B>,
    activated: FloatTensor<B>,
    reset: Reset,
    update: Update,
    course: Course,
}

#[derive(Debug)]
struct Gru;

impl<B: Backend + SequenceOps> Backward<B, 4> for Gru {
    type State = GruSaved<B>;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let (dx, dw_h, db_h, dh0) = B::gru_backward(
            grad,
            saved.w_h,
            saved.states,
            saved.activated,
            saved.reset,
            saved.update,
            saved.course,
        );
        for (parent, gradient) in ops.parents.into_iter().zip([dx, dw_h, db_h, dh0]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
