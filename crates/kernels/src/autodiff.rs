//! Gradients: each sequence operation is one node of the graph.

use burn::backend::{Backend, tensor::FloatTensor};
use burn_autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};

use crate::{
    Direction, Lengths,
    checkpointed::{self, Chunk, Layer, LayerGradients, Recurrence},
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

    fn checkpointed_sequence(
        x: FloatTensor<Self>,
        w_x: FloatTensor<Self>,
        b: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        peephole: FloatTensor<Self>,
        b_h: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        recurrence: Recurrence,
        course: Course,
        every: usize,
    ) -> FloatTensor<Self> {
        let nodes = [&x, &w_x, &b, &w_h, &peephole, &b_h, &h0, &c0].map(|t| t.node());
        let layer = Layer::<B> {
            w_x: w_x.into_primitive(),
            b: b.into_primitive(),
            w_h: w_h.into_primitive(),
            peephole: peephole.into_primitive(),
            b_h: b_h.into_primitive(),
            recurrence,
        };
        let (x, start) = (x.into_primitive(), [h0, c0].map(|t| t.into_primitive()));
        match Checkpointed.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let chunks = checkpointed::chunks(&course, every);
                let (states, starts) = run_chunks(&layer, &x, start, &chunks);
                prep.finish(CheckpointedSaved { x, layer, chunks, starts }, states)
            }
            OpsKind::UnTracked(prep) => prep.finish(layer.forward(x, start, course)),
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

    fn layer_norm_sequence(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        lengths: Lengths,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
        match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::layer_norm_sequence(
                    x.clone(),
                    gamma.clone(),
                    beta,
                    epsilon,
                    lengths.clone(),
                );
                prep.finish(LayerNormSaved::<B> { x, gamma, epsilon, lengths }, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::layer_norm_sequence(x, gamma, beta, epsilon, lengths))
            }
        }
    }

    fn layer_norm_lstm_sequence(
        x: FloatTensor<Self>,
        w_h: FloatTensor<Self>,
        norm_h: FloatTensor<Self>,
        norm_c: FloatTensor<Self>,
        h0: FloatTensor<Self>,
        c0: FloatTensor<Self>,
        epsilon: f64,
        course: Course,
    ) -> FloatTensor<Self> {
        let nodes = [&x, &w_h, &norm_h, &norm_c, &h0, &c0].map(|t| t.node());
        let (x, h0, c0) = (x.into_primitive(), h0.into_primitive(), c0.into_primitive());
        let [w_h, norm_h, norm_c] = [w_h, norm_h, norm_c].map(|t| t.into_primitive());
        match LayerNormLstm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (states, activated, cells, normalised, scales) = B::layer_norm_lstm_forward(
                    x,
                    w_h.clone(),
                    norm_h.clone(),
                    norm_c.clone(),
                    h0,
                    c0,
                    epsilon,
                    course.clone(),
                );
                let saved = LayerNormLstmSaved::<B> {
                    w_h,
                    norm_h,
                    norm_c,
                    states: states.clone(),
                    activated,
                    cells,
                    normalised,
                    scales,
                    course,
                };
                prep.finish(saved, states)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::layer_norm_lstm_sequence(
                x, w_h, norm_h, norm_c, h0, c0, epsilon, course,
            )),
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

/// What a layer in chunks keeps: its input, its weights, and its state before every chunk.
#[derive(Clone, Debug)]
struct CheckpointedSaved<B: Backend> {
    x: FloatTensor<B>,
    layer: Layer<B>,
    chunks: Vec<Chunk>,
    starts: Vec<[FloatTensor<B>; 2]>,
}

/// All states and the final cell, and the state before every chunk.
fn run_chunks<B: Backend + SequenceOps>(
    layer: &Layer<B>,
    x: &FloatTensor<B>,
    start: [FloatTensor<B>; 2],
    chunks: &[Chunk],
) -> (FloatTensor<B>, Vec<[FloatTensor<B>; 2]>) {
    let mut starts = Vec::with_capacity(chunks.len() + 1);
    starts.push(start);
    let mut pieces = Vec::with_capacity(chunks.len() + 2);
    for (chunk, direction) in chunks.iter().map(|chunk| (chunk, chunk.course.direction)) {
        let steps = chunk.course.lengths.steps();
        let x = checkpointed::rows::<B>(x.clone(), chunk.from, steps);
        let before = starts[starts.len() - 1].clone();
        let states = layer.forward(x, before, chunk.course.clone());
        pieces.push(checkpointed::rows::<B>(states.clone(), direction.outputs_from(), steps));
        let last = checkpointed::state::<B>(&states, direction.last(steps));
        starts.push([last, checkpointed::state::<B>(&states, steps + 1)]);
    }
    let first = checkpointed::stacked::<B>(starts[0][0].clone());
    let [_, cell] = starts.pop().expect("a sequence has at least one chunk");
    match chunks[0].course.direction {
        Direction::Forward => pieces.insert(0, first),
        Direction::Backward => {
            pieces.reverse();
            pieces.push(first);
        }
    }
    pieces.push(checkpointed::stacked::<B>(cell));
    (B::float_cat(pieces, 0), starts)
}

#[derive(Debug)]
struct Checkpointed;

impl<B: Backend + SequenceOps> Backward<B, 8> for Checkpointed {
    type State = CheckpointedSaved<B>;

    fn backward(self, ops: Ops<Self::State, 8>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let CheckpointedSaved { x, layer, chunks, starts } = ops.state;
        let total: usize = chunks.iter().map(|chunk| chunk.course.lengths.steps()).sum();
        let direction = chunks[0].course.direction;
        let mut dx = Vec::with_capacity(chunks.len());
        let mut dh = checkpointed::state::<B>(&grad, direction.last(total));
        let mut dc = checkpointed::state::<B>(&grad, total + 1);
        let mut sum: Option<LayerGradients<B>> = None;
        for (chunk, start) in chunks.into_iter().zip(starts).rev() {
            let Chunk { from, course } = chunk;
            let steps = course.lengths.steps();
            // Inside, each state has its own gradient. The one after the chunk has what the chunk that
            // follows has found, the one before it gets its own when it is another chunk's last.
            let none = checkpointed::stacked::<B>(checkpointed::zeros_like::<B>(&dh));
            let last = checkpointed::stacked::<B>(dh);
            let (low, high) = match direction {
                Direction::Forward => (none, last),
                Direction::Backward => (last, none),
            };
            let cell = checkpointed::stacked::<B>(dc);
            let mut pieces = vec![low, high, cell];
            if steps > 1 {
                pieces.insert(1, checkpointed::rows::<B>(grad.clone(), from + 1, steps - 1));
            }
            let x = checkpointed::rows::<B>(x.clone(), from, steps);
            let found = layer.backward(x, start, B::float_cat(pieces, 0), course);
            dx.push(found.x.clone());
            let before = match direction {
                Direction::Forward => from,
                Direction::Backward => from + steps,
            };
            dh = B::float_add(found.hidden.clone(), checkpointed::state::<B>(&grad, before));
            dc = found.cell.clone();
            sum = Some(found.after(sum));
        }
        if direction == Direction::Forward {
            dx.reverse();
        }
        let sum = sum.expect("a sequence has at least one chunk");
        let LayerGradients { w_x, b, w_h, peephole, b_h, .. } = sum;
        let found = [B::float_cat(dx, 0), w_x, b, w_h, peephole, b_h, dh, dc];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
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
struct LayerNormSaved<B: Backend> {
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    epsilon: f64,
    lengths: Lengths,
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Backend + SequenceOps> Backward<B, 3> for LayerNorm {
    type State = LayerNormSaved<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let LayerNormSaved { x, gamma, epsilon, lengths } = ops.state;
        let (dx, d_gamma, d_beta) = B::layer_norm_backward(grad, x, gamma, epsilon, lengths);
        for (parent, gradient) in ops.parents.into_iter().zip([dx, d_gamma, d_beta]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct LayerNormLstmSaved<B: Backend> {
    w_h: FloatTensor<B>,
    norm_h: FloatTensor<B>,
    norm_c: FloatTensor<B>,
    states: FloatTensor<B>,
    activated: FloatTensor<B>,
    cells: FloatTensor<B>,
    normalised: FloatTensor<B>,
    scales: FloatTensor<B>,
    course: Course,
}

#[derive(Debug)]
struct LayerNormLstm;

impl<B: Backend + SequenceOps> Backward<B, 6> for LayerNormLstm {
    type State = LayerNormLstmSaved<B>;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let saved = ops.state;
        let (dx, dw_h, d_norm_h, d_norm_c, dh0, dc0) = B::layer_norm_lstm_backward(
            grad,
            saved.w_h,
            saved.norm_h,
            saved.norm_c,
            saved.states,
            saved.activated,
            saved.cells,
            saved.normalised,
            saved.scales,
            saved.course,
        );
        let gradients = [dx, dw_h, d_norm_h, d_norm_c, dh0, dc0];
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
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
