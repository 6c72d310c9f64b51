//! What the tests of this workspace share: closeness, finite differences, fixtures, and random
//! tensors that do not touch Burn's global generator. A development dependency only.

mod close;
mod fixture;
mod gradients;
mod random;

pub use close::{assert_close, assert_same_bits, largest_difference};
pub use fixture::Fixture;
pub use gradients::{all_gradients, check_gradients, check_input_gradient};
pub use random::{drawn, fill, random, redrawn};

use burn::{
    module::{Module, ModuleMapper, Param},
    prelude::*,
    tensor::{DType, TensorData},
};

/// The module with the same numbers on `device` and in `dtype`.
pub fn moved<M: Module>(module: M, dtype: DType, device: &Device) -> M {
    struct Move<'a>(DType, &'a Device);
    impl ModuleMapper for Move<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, value, mapper) = param.consume();
            let tracked = value.is_require_grad();
            let data = value.into_data();
            let numbers: Vec<f64> = data.iter().collect();
            let data = TensorData::new(numbers, data.shape().clone());
            let value = Tensor::from_data(data, (self.1, self.0));
            Param::from_mapped_value(id, value.set_require_grad(tracked), mapper)
        }
    }
    module.map(&mut Move(dtype, device))
}

/// The module with every parameter in double precision, so that gradients can be checked.
pub fn in_f64<M: Module>(module: M) -> M {
    struct Cast;
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, value, mapper) = param.consume();
            let tracked = value.is_require_grad();
            let value = value.detach().cast(DType::F64).detach().set_require_grad(tracked);
            Param::from_mapped_value(id, value, mapper)
        }
    }
    module.map(&mut Cast)
}
