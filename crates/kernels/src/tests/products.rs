//! Products in half precision: rounded as they say, and nothing else is.

use burn::tensor::Device;

use crate::{NoHalf, Products, set_products};

/// A processor has none, and says so.
#[test]
fn a_processor_refuses_half() {
    let device = Device::flex();
    assert_eq!(set_products(&device, Products::Half), Err(NoHalf::Processor));
    assert_eq!(set_products(&device.autodiff(), Products::Half), Err(NoHalf::Processor));
    assert_eq!(set_products(&Device::flex(), Products::Full), Ok(()));
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
mod on_a_gpu {
    use burn::tensor::{DType, DeviceType, Tensor, f16};
    use recurrent_testkit::{assert_close, random};

    use super::*;
    use crate::{
        Direction, Gates, Lengths, LstmOperands,
        cube::{Route, routed},
        linear, lstm_sequence,
    };

    /// The device of the other tests by another name, for which half precision is chosen; none if it has no
    /// `f16`.
    fn half() -> Option<Device> {
        let device = Device::enumerate(DeviceType::Wgpu).into_vec().swap_remove(0);
        match device.supports_dtype(DType::F16) {
            true => assert_eq!(set_products(&device, Products::Half), Ok(())),
            false => assert_eq!(set_products(&device, Products::Half), Err(NoHalf::Adapter)),
        }
        device.supports_dtype(DType::F16).then_some(device)
    }

    fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
        tensor.to_data().iter::<f64>().collect()
    }

    /// Of the numbers divided by the largest, rounded to `f16`.
    fn rounded(numbers: &[f64]) -> (Vec<f64>, f64) {
        let largest = numbers.iter().fold(0.0f64, |largest, a| largest.max(a.abs()));
        (numbers.iter().map(|a| f16::from_f64(a / largest).to_f64()).collect(), largest)
    }

    /// Operands and result are rounded to 11 bits, and nothing between them.
    #[test]
    fn operands_are_rounded_to_half() {
        let Some(device) = half() else { return };
        let [m, k, n] = [17, 300, 33];
        let x = random::<2>([m, k], 1, DType::F32, &device) * 3.0;
        let w = random::<2>([k, n], 2, DType::F32, &device) * 0.1;
        let ((a, s_a), (b, s_b)) = (rounded(&numbers(&x)), rounded(&numbers(&w)));
        let y = linear(x, w, None);
        assert_eq!(y.dtype(), DType::F32);
        for (n_of, y) in numbers(&y).into_iter().enumerate() {
            let (row, column) = (n_of / n, n_of % n);
            let terms = (0..k).map(|i| a[row * k + i] * b[i * n + column]);
            let expected = terms.sum::<f64>() * s_a * s_b;
            let within = expected.abs() / 2048.0 + 1e-5 * s_a * s_b;
            assert!((y - expected).abs() <= within, "{row} {column}: {y}, not {expected}");
        }
    }

    /// Sums are in single precision, where `f16` ends at 2,048 times 1; and they do not leave it.
    #[test]
    fn sums_are_in_single_precision() {
        let Some(device) = half() else { return };
        for terms in [5_000, 40_000] {
            let ones = |shape| Tensor::<2>::ones(shape, &device);
            let y = linear(ones([16, terms]), ones([terms, 16]), None);
            assert_close(&y, Tensor::<2>::full([16, 16], terms as f64, &device).to_data(), 0.0);
        }
    }

    /// What is far from 1 is as precise as what is near: gradients of 1e-12 are not zero.
    #[test]
    fn sizes_do_not_matter() {
        let Some(device) = half() else { return };
        let x = random::<2>([16, 40], 3, DType::F32, &device);
        let w = random::<2>([40, 16], 4, DType::F32, &device);
        let y = linear(x.clone(), w.clone(), None);
        for size in [1e-12, 1e12] {
            let scaled = linear(x.clone() * size, w.clone(), None) / size;
            assert_close(&scaled, y.to_data(), 2e-2);
        }
        let zero = linear(x.zeros_like(), w, None);
        assert_close(&zero.abs().max(), [0.0], 0.0);
    }

    /// Few rows are multiplied as they are.
    #[test]
    fn small_products_are_not_rounded() {
        let Some(device) = half() else { return };
        let x = random::<2>([15, 40], 3, DType::F32, &device);
        let w = random::<2>([40, 16], 4, DType::F32, &device);
        let places = |tensor: Tensor<2>| tensor.to_device(&Device::flex());
        let y = linear(places(x.clone()), places(w.clone()), None);
        assert_close(&linear(x, w, None), y.to_data(), 1e-5);
    }

    /// Through a recurrence of products and back: what is stored stays in single precision, and gradients are those
    /// of the processor to what half precision can tell apart.
    #[test]
    fn a_recurrence_learns_in_half() {
        let Some(device) = half() else { return };
        let (batch, steps, hidden) = (16, 5, 20);
        let run = |device: Device| {
            let device = device.autodiff();
            let of = |tensor: Tensor<2>| tensor.require_grad();
            let x = random::<3>([batch, steps, 4 * hidden], 5, DType::F32, &device);
            let w_h = of(random([hidden, 4 * hidden], 6, DType::F32, &device) * 0.3);
            let zeros = Tensor::<2>::zeros([batch, hidden], &device);
            let operands = LstmOperands {
                w_h: w_h.clone(),
                peephole: None,
                hidden: zeros.clone(),
                cell: zeros,
            };
            let lengths = Lengths::full(batch, steps);
            let made =
                lstm_sequence(x, operands, Gates::Forget, &lengths, Direction::Forward).outputs;
            assert_eq!(made.dtype(), DType::F32);
            let gradient = made.clone().sum().backward();
            (made.inner(), w_h.grad(&gradient).unwrap())
        };
        let (outputs, gradient) = routed(Route::Product, || run(device));
        let (expected, expected_gradient) = run(Device::flex());
        assert_close(&outputs, expected.to_data(), 2e-3);
        let largest = numbers(&expected_gradient.clone().abs().max())[0];
        assert_close(&gradient, expected_gradient.to_data(), 3e-3 * largest);
        let off =
            numbers(&(gradient.to_device(&Device::flex()) - expected_gradient).abs().max())[0];
        assert!(off > 1e-6 * largest, "nothing was rounded");
    }
}
