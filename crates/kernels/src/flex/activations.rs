//! Activations on the CPU, in one pass and in place where nobody else has the operand.

use burn::backend::{Flex, tensor::FloatTensor};

use super::wide::{Wide, map, map_with, wide};

pub(super) fn tanh<F: Wide>(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    map(x, squash::<F>)
}

pub(super) fn tanh_backward<F: Wide>(
    grad: FloatTensor<Flex>,
    y: &FloatTensor<Flex>,
) -> FloatTensor<Flex> {
    map_with(grad, y, through_squash::<F>)
}

pub(super) fn sigmoid<F: Wide>(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    map(x, gate::<F>)
}

pub(super) fn sigmoid_backward<F: Wide>(
    grad: FloatTensor<Flex>,
    y: &FloatTensor<Flex>,
) -> FloatTensor<Flex> {
    map_with(grad, y, through_gate::<F>)
}

wide! {
    fn squash(x: &mut [F]) {
        for a in x {
            *a = a.squashed();
        }
    }

    fn through_squash(grad: &mut [F], y: &[F]) {
        for (g, y) in grad.iter_mut().zip(y) {
            *g = *g * y.through_squash();
        }
    }

    fn gate(x: &mut [F]) {
        for a in x {
            *a = a.gate();
        }
    }

    fn through_gate(grad: &mut [F], y: &[F]) {
        for (g, y) in grad.iter_mut().zip(y) {
            *g = *g * y.through_gate();
        }
    }
}
