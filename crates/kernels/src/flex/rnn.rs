//! Forward: `h' = φ(x_t + h · W_h)`. Backward: `da = dh' ⊙ φ'`, `dh = da · W_hᵀ`.

use burn::backend::{Flex, tensor::FloatTensor};

use super::{
    Elements, Real, Sizes, neighbours,
    product::{Matrix, Target, add_product},
    tensor,
};
use crate::{ops::Course, rnn::Activation};

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    activation: Activation,
    course: &Course,
) -> FloatTensor<Flex> {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (x, w_h, h0) = (Elements::<F>::of(x), Elements::<F>::of(w_h), Elements::<F>::of(h0));
    let w_h = Matrix::new(w_h.get(), hidden, hidden);
    let mut states = vec![F::zero(); (steps + 1) * sizes.state()];
    states[sizes.range(course.direction.first(steps), 1)].copy_from_slice(h0.get());

    for step in course.direction.steps(steps) {
        let (h, h_new) = neighbours(&mut states, sizes, step.before, step.after);
        h_new.copy_from_slice(&x.get()[sizes.range(step.t, 1)]);
        add_product(Target::new(h_new, hidden), Matrix::new(h, batch, hidden), w_h);
        for (row, length) in course.lengths.as_slice().iter().enumerate() {
            let row = row * hidden..(row + 1) * hidden;
            if step.t >= *length {
                h_new[row.clone()].copy_from_slice(&h[row]);
                continue;
            }
            match activation {
                Activation::Tanh => h_new[row].iter_mut().for_each(|a| *a = a.squashed()),
                // Not `max`, which would hide a NaN.
                Activation::Relu => h_new[row].iter_mut().for_each(|a| {
                    if *a < F::zero() {
                        *a = F::zero();
                    }
                }),
                Activation::Identity => {}
            }
        }
    }
    tensor(states, &[steps + 1, batch, hidden])
}

pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activation: Activation,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (grad, w_h) = (Elements::<F>::of(grad), Elements::<F>::of(w_h));
    let states = Elements::<F>::of(states);
    let w_h_t = Matrix::new(w_h.get(), hidden, hidden).transposed();
    let w_h_t = Matrix::new(&w_h_t, hidden, hidden);
    let mut da = vec![F::zero(); steps * sizes.state()];
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();

    for step in course.direction.steps(steps).rev() {
        let h = &states.get()[sizes.range(step.after, 1)];
        let da_t = &mut da[sizes.range(step.t, 1)];
        for (row, length) in course.lengths.as_slice().iter().enumerate() {
            if step.t >= *length {
                continue;
            }
            for k in row * hidden..(row + 1) * hidden {
                da_t[k] = match activation {
                    Activation::Tanh => dh[k] * h[k].through_tanh(),
                    Activation::Relu if h[k] <= F::zero() => F::zero(),
                    Activation::Relu | Activation::Identity => dh[k],
                };
                dh[k] = F::zero();
            }
        }
        // Padded rows keep their `dh`: their `da` is zero.
        let da_t = Matrix::new(da_t, batch, hidden);
        add_product(Target::new(&mut dh, hidden), da_t, w_h_t);
        for (dh, grad) in dh.iter_mut().zip(&grad.get()[sizes.range(step.before, 1)]) {
            *dh = *dh + *grad;
        }
    }

    let before = &states.get()[course.direction.inputs_from() * sizes.state()..];
    let before = Matrix::new(before, steps * batch, hidden);
    let mut dw = vec![F::zero(); hidden * hidden];
    let da_all = Matrix::new(&da, steps * batch, hidden);
    add_product(Target::new(&mut dw, hidden), before.transpose(), da_all);
    (
        tensor(da, &[steps, batch, hidden]),
        tensor(dw, &[hidden, hidden]),
        tensor(dh, &[batch, hidden]),
    )
}
