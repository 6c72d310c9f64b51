//! The steps of a sequence, one by one, where no step can be taken before the one in front of it is
//! done.

use burn::prelude::*;

/// `x_1 … x_T` of `x`, `[B, T, d]`, each `[B, d]`.
///
/// The gradient of a slice is as large as what it was taken from, zero everywhere else. So the sequence
/// is halved again and again: `T · log T` steps of gradients instead of `T²`.
pub fn steps(x: Tensor<3>) -> Vec<Tensor<2>> {
    let [_, count, _] = x.dims();
    if count == 1 {
        return vec![x.squeeze_dim(1)];
    }
    let half = count / 2;
    let mut first = steps(x.clone().narrow(1, 0, half));
    first.extend(steps(x.narrow(1, half, count - half)));
    first
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, check_input_gradient, random};

    use super::*;

    #[test]
    fn steps_are_in_order_and_pass_their_gradients_on() {
        for count in [1, 2, 3, 7, 8] {
            let x = random([2, count, 3], 1, DType::F64, &Device::flex().autodiff());
            assert_close(&Tensor::stack::<3>(steps(x.clone()), 1), x.to_data(), 0.0);
            check_input_gradient(x, 1e-8, |x| {
                let weighted = steps(x).into_iter().enumerate();
                let weighted = weighted.map(|(t, x_t)| x_t.sin() * (t + 1) as f64);
                weighted.reduce(|a, b| a + b).expect("steps").sum()
            });
        }
    }
}
