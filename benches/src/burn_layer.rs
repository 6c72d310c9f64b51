//! Burn's own LSTM and GRU, with the weights of ours.

use burn::{
    module::Param,
    nn::{GateController, Gru, GruConfig, Linear, Lstm, LstmConfig},
    prelude::*,
};
use recurrent_cells::{GruCell, Lengths, LstmCell};

use crate::{case::Numbers, layer::Recurrence, module::numbers_of};

/// Burn's LSTM of the weights of `cell`; its second bias is 0.
pub(crate) fn burn_lstm(cell: &LstmCell, device: &Device) -> Lstm {
    let [d, h] = [cell.w_x.dims()[0], cell.w_h.dims()[0]];
    let mut lstm = LstmConfig::new(d, h, true).init(device);
    let zeros = Tensor::zeros([h], device);
    let gate = |n| {
        let [w_x, w_h] = [cell.w_x.val(), cell.w_h.val()].map(|w| w.narrow(1, n * h, h));
        controller([w_x, w_h], [cell.b.val().narrow(0, n * h, h), zeros.clone()])
    };
    lstm.input_gate = gate(0);
    lstm.forget_gate = Some(gate(1));
    lstm.cell_gate = gate(2);
    lstm.output_gate = gate(3);
    lstm
}

/// Burn's GRU of the weights of `cell`, which resets after the product.
pub(crate) fn burn_gru(cell: &GruCell, device: &Device) -> Gru {
    let [d, h] = [cell.w_x.dims()[0], cell.w_h.dims()[0]];
    let mut gru = GruConfig::new(d, h, true).init(device);
    let gate = |n| {
        let w = [cell.w_x.val(), cell.w_h.val()].map(|w| w.narrow(1, n * h, h));
        controller(w, [cell.b_x.val(), cell.b_h.val()].map(|b| b.narrow(0, n * h, h)))
    };
    gru.reset_gate = gate(0);
    gru.update_gate = gate(1);
    gru.new_gate = gate(2);
    gru
}

fn controller([w_x, w_h]: [Tensor<2>; 2], [b_x, b_h]: [Tensor<1>; 2]) -> GateController {
    // What is cut out of a tensor is made a whole of its own, as Burn's layers have their weights.
    let linear = |w: Tensor<2>, b: Tensor<1>| {
        let (w_device, b_device) = (w.device(), b.device());
        let weight = Param::from_tensor(Tensor::from_data(w.into_data(), &w_device));
        let bias = Some(Param::from_tensor(Tensor::from_data(b.into_data(), &b_device)));
        Linear { weight, bias }
    };
    GateController { input_transform: linear(w_x, b_x), hidden_transform: linear(w_h, b_h) }
}

impl Recurrence for Lstm {
    fn outputs(&self, x: Tensor<3>, _: &Lengths) -> Tensor<3> {
        self.forward(x, None).0
    }

    fn weights(&self) -> Numbers {
        numbers_of(self)
    }
}

impl Recurrence for Gru {
    fn outputs(&self, x: Tensor<3>, _: &Lengths) -> Tensor<3> {
        self.forward(x, None)
    }

    fn weights(&self) -> Numbers {
        numbers_of(self)
    }
}
