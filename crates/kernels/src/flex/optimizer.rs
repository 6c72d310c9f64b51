//! Steps of optimizers on the CPU: one pass over a parameter, its averages and its gradient, in
//! place where nobody else has them. `f16` and `bf16` take the composed path.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::DType,
};
use rayon::prelude::*;

use super::{
    Elements, tensor,
    wide::{BLOCK, LANES, LONG, Wide, map, map_with, own, scale, wide},
};
use crate::{
    composed,
    optimizer::{AdamFactors, AdamStep},
    optimizer_ops::OptimizerOps,
};

impl OptimizerOps for Flex {
    fn adam_step(
        w: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let factors = step.factors();
        match w.dtype() {
            DType::F32 => adam_step::<f32>(w, m, v, &gradient, factors),
            DType::F64 => adam_step::<f64>(w, m, v, &gradient, factors),
            _ => composed::optimizer::adam_step::<Self>(w, m, v, gradient, factors),
        }
    }

    fn momentum_step(
        w: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        momentum: f64,
        rate: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match w.dtype() {
            DType::F32 => momentum_step::<f32>(w, v, &gradient, momentum, rate),
            DType::F64 => momentum_step::<f64>(w, v, &gradient, momentum, rate),
            _ => composed::optimizer::momentum_step::<Self>(w, v, gradient, momentum, rate),
        }
    }

    fn descent_step(
        w: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        rate: f64,
    ) -> FloatTensor<Self> {
        match w.dtype() {
            DType::F32 => map_with(w, &gradient, |w, g| descend(w, g, rate as f32)),
            DType::F64 => map_with(w, &gradient, |w, g| descend(w, g, rate)),
            _ => composed::optimizer::descent_step::<Self>(w, gradient, rate),
        }
    }

    fn scaled(gradient: FloatTensor<Self>, c: f64) -> FloatTensor<Self> {
        match gradient.dtype() {
            DType::F32 => map(gradient, |block| scale(block, c as f32)),
            DType::F64 => map(gradient, |block| scale(block, c)),
            _ => composed::optimizer::scaled::<Self>(gradient, c),
        }
    }

    fn squares(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        match gradient.dtype() {
            DType::F32 => squares::<f32>(&gradient),
            DType::F64 => squares::<f64>(&gradient),
            _ => composed::optimizer::squares::<Self>(gradient),
        }
    }
}

fn adam_step<F: Wide>(
    w: FloatTensor<Flex>,
    m: FloatTensor<Flex>,
    v: FloatTensor<Flex>,
    gradient: &FloatTensor<Flex>,
    factors: AdamFactors,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let [mut w, mut m, mut v] = [w, m, v].map(own::<F>);
    let gradient = Elements::<F>::of(gradient);
    let (g, factors) = (gradient.get(), Factors::new(factors));
    let (w_all, m_all, v_all) = (w.storage_mut(), m.storage_mut(), v.storage_mut());
    if g.len() < LONG {
        adam(w_all, m_all, v_all, g, factors);
    } else {
        let parameters = w_all.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK));
        let moments = m_all.par_chunks_mut(BLOCK).zip(v_all.par_chunks_mut(BLOCK));
        parameters.zip(moments).for_each(|((w, g), (m, v))| adam(w, m, v, g, factors));
    }
    (w, m, v)
}

fn momentum_step<F: Wide>(
    w: FloatTensor<Flex>,
    v: FloatTensor<Flex>,
    gradient: &FloatTensor<Flex>,
    momentum: f64,
    rate: f64,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let [mut w, mut v] = [w, v].map(own::<F>);
    let gradient = Elements::<F>::of(gradient);
    let (momentum, rate) = (F::of_double(momentum), F::of_double(rate));
    let (g, w_all, v_all) = (gradient.get(), w.storage_mut(), v.storage_mut());
    if g.len() < LONG {
        roll(w_all, v_all, g, momentum, rate);
    } else {
        let blocks = w_all.par_chunks_mut(BLOCK).zip(v_all.par_chunks_mut(BLOCK));
        let blocks = blocks.zip(g.par_chunks(BLOCK));
        blocks.for_each(|((w, v), g)| roll(w, v, g, momentum, rate));
    }
    (w, v)
}

fn squares<F: Wide>(gradient: &FloatTensor<Flex>) -> FloatTensor<Flex> {
    let gradient = Elements::<F>::of(gradient);
    let g = gradient.get();
    let sum = if g.len() < LONG {
        g.chunks(BLOCK).map(block_squares).sum::<f64>()
    } else {
        let blocks: Vec<f64> = g.par_chunks(BLOCK).map(block_squares).collect();
        blocks.into_iter().sum()
    };
    tensor(vec![F::of_double(sum)], &[1])
}

/// [`AdamFactors`] in the precision of the parameter.
#[derive(Clone, Copy)]
struct Factors<F> {
    rate: F,
    beta_1: F,
    rest_1: F,
    beta_2: F,
    rest_2: F,
    keep: F,
    correction: F,
    epsilon: F,
}

impl<F: Wide> Factors<F> {
    fn new(factors: AdamFactors) -> Self {
        Self {
            rate: F::of_double(factors.rate),
            beta_1: F::of_double(factors.beta_1),
            rest_1: F::of_double(1.0 - factors.beta_1),
            beta_2: F::of_double(factors.beta_2),
            rest_2: F::of_double(1.0 - factors.beta_2),
            keep: F::of_double(factors.keep),
            correction: F::of_double(factors.correction),
            epsilon: F::of_double(factors.epsilon),
        }
    }
}

wide! {
    /// A block of Adam.
    fn adam(w: &mut [F], m: &mut [F], v: &mut [F], g: &[F], by: Factors<F>) {
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = *m * by.beta_1 + *g * by.rest_1;
            *v = *v * by.beta_2 + *g * *g * by.rest_2;
            let change = *m * by.correction / (v.sqrt() + by.epsilon);
            *w = *w * by.keep - change * by.rate;
        }
    }

    /// A block of gradient descent with momentum.
    fn roll(w: &mut [F], v: &mut [F], g: &[F], momentum: F, rate: F) {
        for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
            *v = *v * momentum + *g;
            *w = *w - *v * rate;
        }
    }

    /// A block of gradient descent.
    fn descend(w: &mut [F], g: &[F], rate: F) {
        for (w, g) in w.iter_mut().zip(g) {
            *w = *w - *g * rate;
        }
    }

    /// The sum of squares of a block.
    fn block_squares(block: &[F]) -> f64 {
        let mut sums = [F::zero(); LANES];
        let (lanes, rest) = block.as_chunks::<LANES>();
        for lane in lanes {
            for (sum, a) in sums.iter_mut().zip(lane) {
                *sum = *sum + *a * *a;
            }
        }
        for (sum, a) in sums.iter_mut().zip(rest) {
            *sum = *sum + *a * *a;
        }
        sums.iter().map(|sum| sum.double()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody else has the operands: they are changed where they are.
    #[test]
    fn a_step_works_in_place() {
        let full = |value: f32| tensor(vec![value; 100], &[10, 10]);
        let place = |tensor: &FloatTensor<Flex>| tensor.bytes().as_ptr();
        let (w, m, v) = (full(1.0), full(0.0), full(0.0));
        let before = [&w, &m, &v].map(place);
        let step = AdamStep {
            rate: 0.1,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            time: 1,
        };
        let (w, m, v) = Flex::adam_step(w, m, v, full(2.0), step);
        assert_eq!([&w, &m, &v].map(place), before);
        let (w, v) = Flex::momentum_step(w, v, full(2.0), 0.9, 0.1);
        let w = Flex::descent_step(w, full(2.0), 0.1);
        assert_eq!([&w, &v].map(place), [before[0], before[2]]);
        assert_eq!(place(&Flex::scaled(w, 0.5)), before[0]);
    }
}
