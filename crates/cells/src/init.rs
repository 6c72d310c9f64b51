//! Initial weights of packed gates: each gate's block is drawn as the matrix it is.

use burn::{module::Param, nn::Initializer, prelude::*};

/// Xavier-uniform, for weights that read the input (Glorot & Bengio 2010).
pub(crate) fn xavier() -> Initializer {
    Initializer::XavierUniform { gain: 1.0 }
}

/// Orthogonal, for weights that read the state (Saxe et al. 2013).
pub(crate) fn orthogonal() -> Initializer {
    Initializer::Orthogonal { gain: 1.0 }
}

/// `blocks` matrices `[rows, columns]`, each drawn by `initializer`, side by side.
pub(crate) fn packed(
    initializer: &Initializer,
    [rows, columns]: [usize; 2],
    blocks: usize,
    device: &Device,
) -> Param<Tensor<2>> {
    let block = |_| {
        let block = initializer.init_with([rows, columns], Some(rows), Some(columns), device);
        block.into_value()
    };
    // Only a leaf can be tracked, and `cat` does not give one.
    Param::from_tensor(Tensor::cat((0..blocks).map(block).collect(), 1).detach())
}

/// A bias with one value a block of `hidden`.
pub(crate) fn packed_bias(values: &[f64], hidden: usize, device: &Device) -> Param<Tensor<1>> {
    let blocks = values.iter().map(|value| Tensor::full([hidden], *value, device));
    Param::from_tensor(Tensor::cat(blocks.collect(), 0).detach())
}

/// `[B, n]` zeros of the device and dtype of a weight.
pub(crate) fn zeros_like_weight(weight: &Param<Tensor<2>>, batch: usize, n: usize) -> Tensor<2> {
    let weight = weight.val();
    Tensor::zeros([batch, n], (&weight.device(), weight.dtype()))
}

/// The `N` blocks of `[B, N · H]`, each `[B, H]`.
pub(crate) fn blocks<const N: usize>(packed: Tensor<2>) -> [Tensor<2>; N] {
    let width = packed.dims()[1] / N;
    std::array::from_fn(|n| packed.clone().narrow(1, n * width, width))
}
