//! [`lstm_sequence`](crate::lstm_sequence) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::{Padding, States, Value, weight_gradient};
use crate::{lstm::Gates, ops::Course};

/// The activated gates of one step, each `[B, H]`, and the cell they lead to.
struct Activated<B: Backend> {
    /// In the packed order of [`Gates`].
    blocks: Vec<Value<B>>,
    o: Value<B>,
    cell: Value<B>,
}

fn activate<B: Backend>(
    gates: Gates,
    a: &Value<B>,
    peephole: &Value<B>,
    c: &Value<B>,
) -> Activated<B> {
    match gates {
        Gates::Original => {
            let [i, g, o] = a.blocks();
            let (i, g, o) = (i.sigmoid(), g.tanh(), o.sigmoid());
            let cell = c.clone() + i.clone() * g.clone();
            Activated { blocks: vec![i, g, o.clone()], o, cell }
        }
        Gates::Forget | Gates::Gnmt { .. } => {
            let [i, f, g, o] = a.blocks();
            let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
            let cell = f.clone() * c.clone() + i.clone() * g.clone();
            let cell = match gates.clip() {
                Some(bound) => cell.clip(bound),
                None => cell,
            };
            Activated { blocks: vec![i, f, g, o.clone()], o, cell }
        }
        Gates::Peephole => {
            let [i, f, g, o] = a.blocks();
            let [p_i, p_f, p_o] = peephole_rows(peephole);
            let i = (i + p_i * c.clone()).sigmoid();
            let f = (f + p_f * c.clone()).sigmoid();
            let g = g.tanh();
            let cell = f.clone() * c.clone() + i.clone() * g.clone();
            let o = (o + p_o * cell.clone()).sigmoid();
            Activated { blocks: vec![i, f, g, o.clone()], o, cell }
        }
        Gates::Coupled => {
            let [f, g, o] = a.blocks();
            let (f, g, o) = (f.sigmoid(), g.tanh(), o.sigmoid());
            let cell = f.clone() * c.clone() + f.clone().complement() * g.clone();
            Activated { blocks: vec![f, g, o.clone()], o, cell }
        }
    }
}

/// What the output gate stands before: `φ(c')`, and with GNMT's gates `c'` itself.
fn before_output<B: Backend>(gates: Gates, cell: Value<B>) -> Value<B> {
    match gates {
        Gates::Original | Gates::Forget | Gates::Peephole | Gates::Coupled => cell.tanh(),
        Gates::Gnmt { .. } => cell,
    }
}

/// `p_i`, `p_f`, `p_o`, each `[1, H]`.
fn peephole_rows<B: Backend>(peephole: &Value<B>) -> [Value<B>; 3] {
    let [_, hidden] = peephole.dims();
    let flat = peephole.clone().reshape([1, 3 * hidden]);
    flat.blocks()
}

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    w_h: FloatTensor<B>,
    peephole: FloatTensor<B>,
    h0: FloatTensor<B>,
    c0: FloatTensor<B>,
    gates: Gates,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (x, w_h, peephole) = (Value::<B>(x), Value::<B>(w_h), Value::<B>(peephole));
    let (direction, steps) = (course.direction, course.lengths.steps());
    let mut hidden = States::new(steps + 1);
    let mut cells = States::new(steps + 1);
    let mut activated = States::new(steps);
    hidden.set(direction.first(steps), Value(h0));
    cells.set(direction.first(steps), Value(c0));
    for step in direction.steps(steps) {
        let pad = Padding::at(step.t, &course.lengths, &x);
        let (h, c) = (hidden.get(step.before), cells.get(step.before));
        let a = x.row(step.t) + h.clone().matmul(w_h.clone());
        let new = activate(gates, &a, &peephole, &c);
        let h_new = new.o * before_output(gates, new.cell.clone());
        activated.set(step.t, Value::join(new.blocks).zero_at(&pad));
        hidden.set(step.after, h_new.unless(&pad, h));
        cells.set(step.after, new.cell.unless(&pad, c));
    }
    let last_cell = cells.get(direction.last(steps));
    let mut packed = hidden.into_rows();
    packed.push(last_cell);
    (Value::stack(packed).0, activated.stack().0, cells.stack().0)
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    w_h: FloatTensor<B>,
    peephole: FloatTensor<B>,
    states: FloatTensor<B>,
    activated: FloatTensor<B>,
    cells: FloatTensor<B>,
    gates: Gates,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (grad, states) = (Value::<B>(grad), Value::<B>(states));
    let (activated, cells) = (Value::<B>(activated), Value::<B>(cells));
    let peephole = Value::<B>(peephole);
    let w_h_t = Value::<B>(w_h).transpose();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let mut da = States::new(steps);
    let mut dh = grad.row(direction.last(steps));
    let mut dc = grad.row(steps + 1);
    for step in direction.steps(steps).rev() {
        let pad = Padding::at(step.t, &course.lengths, &grad);
        let (c, c_new) = (cells.row(step.before), cells.row(step.after));
        let (blocks, dc_new) = backward_step(
            gates,
            &activated.row(step.t),
            &peephole,
            &Cells { before: c, after: c_new },
            &Flow { dh: dh.clone(), dc: dc.clone() },
        );
        let da_t = Value::join(blocks).zero_at(&pad);
        dh = da_t.clone().matmul(w_h_t.clone()).unless(&pad, dh) + grad.row(step.before);
        dc = dc_new.unless(&pad, dc);
        da.set(step.t, da_t);
    }
    let da = da.stack();
    let (dw, dp) = weight_gradients::<B>(&da.0, &states.0, &cells.0, peephole.0, gates, course);
    (da.0, dw, dp, dh.0, dc.0)
}

/// The gradients of `(w_h, peephole)`, from those of the gates at all steps.
pub(crate) fn weight_gradients<B: Backend>(
    da: &FloatTensor<B>,
    states: &FloatTensor<B>,
    cells: &FloatTensor<B>,
    peephole: FloatTensor<B>,
    gates: Gates,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [da, states, cells] = [da, states, cells].map(|tensor| Value::<B>(tensor.clone()));
    let (direction, steps) = (course.direction, course.lengths.steps());
    let dw = weight_gradient(&states.rows(direction.inputs_from(), steps), &da);
    let dp = match gates {
        Gates::Peephole => {
            let before = cells.rows(direction.inputs_from(), steps);
            let after = cells.rows(direction.outputs_from(), steps);
            peephole_gradient(&da, &before, &after)
        }
        Gates::Original | Gates::Forget | Gates::Coupled | Gates::Gnmt { .. } => {
            Value::<B>(peephole).zeros_like()
        }
    };
    (dw.0, dp.0)
}

struct Cells<B: Backend> {
    before: Value<B>,
    after: Value<B>,
}

/// The gradients that arrive at the hidden state and the cell after a step.
struct Flow<B: Backend> {
    dh: Value<B>,
    dc: Value<B>,
}

/// The gradients of the gates before their activations, and of the cell before the step.
fn backward_step<B: Backend>(
    gates: Gates,
    activated: &Value<B>,
    peephole: &Value<B>,
    cells: &Cells<B>,
    flow: &Flow<B>,
) -> (Vec<Value<B>>, Value<B>) {
    let (dh, c) = (flow.dh.clone(), cells.before.clone());
    let through_sigmoid = |s: Value<B>| s.clone() * s.complement();
    let through_tanh = |t: Value<B>| (t.clone() * t).complement();
    let shown = before_output(gates, cells.after.clone());
    let d_o = |o: &Value<B>| dh.clone() * shown.clone() * through_sigmoid(o.clone());
    let dc = |o: &Value<B>| match gates {
        Gates::Original | Gates::Forget | Gates::Peephole | Gates::Coupled => {
            flow.dc.clone() + dh.clone() * o.clone() * through_tanh(shown.clone())
        }
        Gates::Gnmt { clip } => {
            let dc = flow.dc.clone() + dh.clone() * o.clone();
            match clip {
                Some(bound) => cells.after.clone().where_inside(bound, dc),
                None => dc,
            }
        }
    };
    match gates {
        Gates::Original => {
            let [i, g, o] = activated.blocks();
            let (d_o, dc) = (d_o(&o), dc(&o));
            let d_i = dc.clone() * g.clone() * through_sigmoid(i.clone());
            let d_g = dc.clone() * i * through_tanh(g);
            (vec![d_i, d_g, d_o], dc)
        }
        Gates::Forget | Gates::Gnmt { .. } => {
            let [i, f, g, o] = activated.blocks();
            let (d_o, dc) = (d_o(&o), dc(&o));
            let d_i = dc.clone() * g.clone() * through_sigmoid(i.clone());
            let d_f = dc.clone() * c * through_sigmoid(f.clone());
            let d_g = dc.clone() * i * through_tanh(g);
            (vec![d_i, d_f, d_g, d_o], dc * f)
        }
        Gates::Peephole => {
            let [i, f, g, o] = activated.blocks();
            let [p_i, p_f, p_o] = peephole_rows(peephole);
            let d_o = d_o(&o);
            let dc = dc(&o) + d_o.clone() * p_o;
            let d_i = dc.clone() * g.clone() * through_sigmoid(i.clone());
            let d_f = dc.clone() * c * through_sigmoid(f.clone());
            let d_g = dc.clone() * i * through_tanh(g);
            let dc = dc * f + d_i.clone() * p_i + d_f.clone() * p_f;
            (vec![d_i, d_f, d_g, d_o], dc)
        }
        Gates::Coupled => {
            let [f, g, o] = activated.blocks();
            let (d_o, dc) = (d_o(&o), dc(&o));
            let d_f = dc.clone() * (c - g.clone()) * through_sigmoid(f.clone());
            let d_g = dc.clone() * f.clone().complement() * through_tanh(g);
            (vec![d_f, d_g, d_o], dc * f)
        }
    }
}

/// `[3, H]`: `Σ d_i ⊙ c`, `Σ d_f ⊙ c`, `Σ d_o ⊙ c'` over all steps and sequences.
fn peephole_gradient<B: Backend>(da: &Value<B>, before: &Value<B>, after: &Value<B>) -> Value<B> {
    let [steps, batch, hidden] = before.dims();
    let flat = |cells: &Value<B>| cells.clone().reshape([steps * batch, hidden]);
    let [d_i, d_f, _, d_o] = da.clone().reshape([steps * batch, 4 * hidden]).blocks();
    let rows = [d_i * flat(before), d_f * flat(before), d_o * flat(after)];
    let rows = rows.map(|row| row.sum_rows().reshape([1, hidden]));
    Value::join(rows.into()).reshape([3, hidden])
}
