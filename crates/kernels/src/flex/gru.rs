//! The equations are those of [`gru_sequence`](crate::gru_sequence).

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};

use super::{
    Elements, Real, Sizes, neighbours,
    product::{Matrix, Target, add_product},
    rows, tensor,
};
use crate::{
    gru::{Reset, Update},
    ops::Course,
};

/// How much of the old state the update gate keeps.
fn kept<F: Real>(update: Update, z: F) -> F {
    match update {
        Update::Keeps => z,
        Update::Writes => F::one() - z,
    }
}

/// Fills every row of `[B, width]` with the same biases.
fn fill_rows<F: Real>(rows: &mut [F], bias: &[F]) {
    rows.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
}

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    b_h: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let [hidden, width] = [w_h.shape()[0], w_h.shape()[1]];
    let parts = rows::parts(course.lengths.batch(), hidden, width);
    if parts.len() == 1 {
        return forward_rows::<F>(x, w_h, b_h, h0, reset, update, course);
    }
    let run = |part: &Range<usize>| {
        let (x, h0) = (rows::of(x, 1, part), rows::of(h0, 0, part));
        forward_rows::<F>(&x, w_h, b_h, &h0, reset, update, &rows::course(course, part))
    };
    let (states, activated) = rows::each(&parts, run).into_iter().unzip();
    (rows::joined(states, 1), rows::joined(activated, 1))
}

fn forward_rows<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    b_h: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (x, w_h) = (Elements::<F>::of(x), Elements::<F>::of(w_h));
    let (b_h, h0) = (Elements::<F>::of(b_h), Elements::<F>::of(h0));
    let w_h = Matrix::new(w_h.get(), hidden, 3 * hidden);

    let mut activated = vec![F::zero(); 4 * steps * sizes.state()];
    let mut states = vec![F::zero(); (steps + 1) * sizes.state()];
    states[sizes.range(course.direction.first(steps), 1)].copy_from_slice(h0.get());
    let mut from_h = vec![F::zero(); 3 * sizes.state()];
    let mut reset_h = vec![F::zero(); sizes.state()];

    for step in course.direction.steps(steps) {
        let saved = &mut activated[sizes.range(step.t, 4)];
        let x_t = &x.get()[sizes.range(step.t, 3)];
        let (h, h_new) = neighbours(&mut states, sizes, step.before, step.after);
        let h_matrix = Matrix::new(h, batch, hidden);
        let running = |row: usize| step.t < course.lengths.as_slice()[row];

        // The product for r and z, and for n where the reset gate acts on it.
        fill_rows(&mut from_h, b_h.get());
        let target = Target::new(&mut from_h, 3 * hidden);
        match reset {
            Reset::AfterProduct => add_product(target, h_matrix, w_h),
            Reset::BeforeProduct => add_product(target, h_matrix, w_h.columns(0, 2 * hidden)),
        }
        for row in (0..batch).filter(|row| running(*row)) {
            let (x_t, from_h) = (&x_t[3 * row * hidden..], &from_h[3 * row * hidden..]);
            let saved = &mut saved[4 * row * hidden..4 * (row + 1) * hidden];
            let sums = x_t[..2 * hidden].iter().zip(from_h);
            for (gate, (x, h)) in saved.iter_mut().zip(sums) {
                *gate = (*x + *h).sigmoid();
            }
            let own = row * hidden..(row + 1) * hidden;
            let acted_on = saved.iter().zip(&h[own.clone()]);
            for (reset, (r, h)) in reset_h[own].iter_mut().zip(acted_on) {
                *reset = *r * *h;
            }
        }
        if reset == Reset::BeforeProduct {
            let reset_h = Matrix::new(&reset_h, batch, hidden);
            let target = Target::new(&mut from_h, 3 * hidden).at_column(2 * hidden);
            add_product(target, reset_h, w_h.columns(2 * hidden, hidden));
        }
        for row in 0..batch {
            let own = row * hidden..(row + 1) * hidden;
            if !running(row) {
                h_new[own.clone()].copy_from_slice(&h[own]);
                continue;
            }
            let (x_t, from_h) = (&x_t[3 * row * hidden..], &from_h[3 * row * hidden..]);
            let saved = &mut saved[4 * row * hidden..4 * (row + 1) * hidden];
            let (rz, n_acted) = saved.split_at_mut(2 * hidden);
            let (n, acted) = n_acted.split_at_mut(hidden);
            let (r, z) = rz.split_at(hidden);
            let (x_n, h_n) = (&x_t[2 * hidden..3 * hidden], &from_h[2 * hidden..3 * hidden]);
            match reset {
                Reset::AfterProduct => {
                    acted.copy_from_slice(h_n);
                    for (n, ((x, h), r)) in n.iter_mut().zip(x_n.iter().zip(h_n).zip(r)) {
                        *n = (*x + *r * *h).squashed();
                    }
                }
                Reset::BeforeProduct => {
                    acted.copy_from_slice(&reset_h[own.clone()]);
                    for (n, (x, h)) in n.iter_mut().zip(x_n.iter().zip(h_n)) {
                        *n = (*x + *h).squashed();
                    }
                }
            }
            let (h, h_new) = (&h[own.clone()], &mut h_new[own]);
            for (h_new, ((n, z), h)) in h_new.iter_mut().zip(n.iter().zip(z).zip(h)) {
                let keep = kept(update, *z);
                *h_new = (F::one() - keep) * *n + keep * *h;
            }
        }
    }
    (tensor(states, &[steps + 1, batch, hidden]), tensor(activated, &[steps, batch, 4 * hidden]))
}

/// The gradients of one step of one sequence, before the products with the weights.
struct Gradients<'a, F> {
    /// `[3H]`, of `r`, `z`, `n` before their activations.
    x: &'a mut [F],
    /// `[H]`, of what the product for `n` gives.
    product_n: &'a mut [F],
}

/// `z` and `n` need only the gradient of the new state.
fn backward_z_n<F: Real>(
    saved: &[F],
    h: &[F],
    dh: &mut [F],
    update: Update,
    gradients: &mut Gradients<'_, F>,
) {
    let hidden = h.len();
    for k in 0..hidden {
        let (z, n) = (saved[hidden + k], saved[2 * hidden + k]);
        let keep = kept(update, z);
        let d_keep = dh[k] * (h[k] - n);
        let dz = match update {
            Update::Keeps => d_keep,
            Update::Writes => -d_keep,
        };
        gradients.x[hidden + k] = dz * z.through_sigmoid();
        gradients.x[2 * hidden + k] = dh[k] * (F::one() - keep) * n.through_tanh();
        dh[k] = dh[k] * keep;
    }
}

pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activated: &FloatTensor<Flex>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let [hidden, width] = [w_h.shape()[0], w_h.shape()[1]];
    let parts = rows::parts(course.lengths.batch(), hidden, width);
    if parts.len() == 1 {
        return backward_rows::<F>(grad, w_h, states, activated, reset, update, course);
    }
    let run = |part: &Range<usize>| {
        let [grad, states, activated] =
            [grad, states, activated].map(|tensor| rows::of(tensor, 1, part));
        let course = rows::course(course, part);
        backward_rows::<F>(&grad, w_h, &states, &activated, reset, update, &course)
    };
    let [mut dx, mut dw, mut db, mut dh] = [const { Vec::new() }; 4];
    for part in rows::each(&parts, run) {
        dx.push(part.0);
        dw.push(part.1);
        db.push(part.2);
        dh.push(part.3);
    }
    (rows::joined(dx, 1), rows::summed(dw), rows::summed(db), rows::joined(dh, 0))
}

fn backward_rows<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activated: &FloatTensor<Flex>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (grad, w_h) = (Elements::<F>::of(grad), Elements::<F>::of(w_h));
    let (states, activated) = (Elements::<F>::of(states), Elements::<F>::of(activated));
    let (states, activated) = (states.get(), activated.get());
    let w_h = Matrix::new(w_h.get(), hidden, 3 * hidden);
    let w_rz_t = w_h.columns(0, 2 * hidden).transposed();
    let w_rz_t = Matrix::new(&w_rz_t, 2 * hidden, hidden);
    let w_n_t = w_h.columns(2 * hidden, hidden).transposed();
    let w_n_t = Matrix::new(&w_n_t, hidden, hidden);

    let mut dx = vec![F::zero(); 3 * steps * sizes.state()];
    let mut d_product_n = vec![F::zero(); steps * sizes.state()];
    let mut acted_on = vec![F::zero(); steps * sizes.state()];
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let mut d_reset_h = vec![F::zero(); sizes.state()];

    for step in course.direction.steps(steps).rev() {
        let h = &states[sizes.range(step.before, 1)];
        let saved = &activated[sizes.range(step.t, 4)];
        let dx_t = &mut dx[sizes.range(step.t, 3)];
        let dn_t = &mut d_product_n[sizes.range(step.t, 1)];
        let running = |row: usize| step.t < course.lengths.as_slice()[row];

        for row in (0..batch).filter(|row| running(*row)) {
            let own = row * hidden..(row + 1) * hidden;
            let saved = &saved[4 * row * hidden..4 * (row + 1) * hidden];
            let mut gradients = Gradients {
                x: &mut dx_t[3 * row * hidden..3 * (row + 1) * hidden],
                product_n: &mut dn_t[own.clone()],
            };
            backward_z_n(saved, &h[own.clone()], &mut dh[own], update, &mut gradients);
            for k in 0..hidden {
                let (r, dn) = (saved[k], gradients.x[2 * hidden + k]);
                match reset {
                    Reset::AfterProduct => {
                        gradients.product_n[k] = dn * r;
                        gradients.x[k] = dn * saved[3 * hidden + k] * r.through_sigmoid();
                    }
                    Reset::BeforeProduct => gradients.product_n[k] = dn,
                }
            }
        }
        let dn_matrix = Matrix::new(dn_t, batch, hidden);
        match reset {
            Reset::AfterProduct => {
                add_product(Target::new(&mut dh, hidden), dn_matrix, w_n_t);
            }
            Reset::BeforeProduct => {
                d_reset_h.fill(F::zero());
                add_product(Target::new(&mut d_reset_h, hidden), dn_matrix, w_n_t);
                for row in (0..batch).filter(|row| running(*row)) {
                    for k in 0..hidden {
                        let (n, saved) = (row * hidden + k, &saved[4 * row * hidden..]);
                        let r = saved[k];
                        dx_t[3 * row * hidden + k] = d_reset_h[n] * h[n] * r.through_sigmoid();
                        dh[n] = dh[n] + d_reset_h[n] * r;
                        acted_on[sizes.range(step.t, 1)][n] = saved[3 * hidden + k];
                    }
                }
            }
        }
        let drz = Matrix::new(dx_t, batch, 3 * hidden).columns(0, 2 * hidden);
        add_product(Target::new(&mut dh, hidden), drz, w_rz_t);
        for (dh, grad) in dh.iter_mut().zip(&grad.get()[sizes.range(step.before, 1)]) {
            *dh = *dh + *grad;
        }
    }

    let before = &states[course.direction.inputs_from() * sizes.state()..];
    let acted_on = match reset {
        Reset::AfterProduct => before,
        Reset::BeforeProduct => &acted_on,
    };
    let (dw, db) = weight_gradients(sizes, before, acted_on, &dx, &d_product_n);
    (
        tensor(dx, &[steps, batch, 3 * hidden]),
        tensor(dw, &[hidden, 3 * hidden]),
        tensor(db, &[3 * hidden]),
        tensor(dh, &[batch, hidden]),
    )
}

/// `dW_h` and `db_h` over all steps: `r` and `z` read the states, `n` reads what its product was
/// made of.
fn weight_gradients<F: Real>(
    sizes: Sizes,
    states: &[F],
    acted_on: &[F],
    dx: &[F],
    d_product_n: &[F],
) -> (Vec<F>, Vec<F>) {
    let Sizes { steps, batch, hidden } = sizes;
    let rows = steps * batch;
    let transposed = |values| Matrix::new(values, rows, hidden).transpose();
    let drz = Matrix::new(dx, rows, 3 * hidden).columns(0, 2 * hidden);
    let dn = Matrix::new(d_product_n, rows, hidden);
    let mut dw = vec![F::zero(); 3 * hidden * hidden];
    add_product(Target::new(&mut dw, 3 * hidden), transposed(states), drz);
    let columns_of_n = Target::new(&mut dw, 3 * hidden).at_column(2 * hidden);
    add_product(columns_of_n, transposed(acted_on), dn);
    let mut db = vec![F::zero(); 3 * hidden];
    for (dx, dn) in dx.chunks_exact(3 * hidden).zip(d_product_n.chunks_exact(hidden)) {
        let row = dx[..2 * hidden].iter().chain(dn);
        db.iter_mut().zip(row).for_each(|(db, d)| *db = *db + *d);
    }
    (dw, db)
}
