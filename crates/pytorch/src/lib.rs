//! PyTorch's `nn.RNN`, `nn.LSTM` and `nn.GRU`: in from `.pt`, `.pth` and safetensors, out as
//! safetensors.
//!
//! A [`StateDict`] is a file of named tensors. [`load`] makes a [`Stack`](recurrent_cells::Stack)
//! of what it has under a prefix, [`save`] and [`add_to`] go the other way.
//!
//! ```
//! use burn::prelude::*;
//! use recurrent_cells::{Bidirectional, GruConfig, LstmCell, LstmConfig, Stack};
//! use recurrent_pytorch::{StateDict, add_to, load, save};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.safetensors");
//! let device = Device::flex();
//! # let cell = |d_input| LstmConfig::new(d_input, 3).init(&device);
//! # let layer = |d_input| Bidirectional::new(cell(d_input), cell(d_input));
//! # save(&Stack::new(vec![layer(4), layer(6)]), "encoder.rnn")?.write(&path)?;
//! // `model.encoder.rnn = nn.LSTM(4, 3, num_layers=2, bidirectional=True)`
//! let mut dict = StateDict::read(&path)?;
//! let encoder = load::<Bidirectional<LstmCell>>(&dict, "encoder.rnn", (), &device)?;
//! assert_eq!(encoder.layers.len(), 2);
//!
//! // Put `nn.GRU(6, 5)` beside it; `load_state_dict` reads what this writes.
//! let decoder = Stack::new(vec![GruConfig::new(6, 5).init(&device)]);
//! add_to(&decoder, &mut dict, "decoder.rnn")?;
//! dict.write(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Keys and shapes
//!
//! Layer `n` has these keys under its prefix, and the same with `_reverse` behind if it is
//! bidirectional. `G` gates (RNN 1, GRU 3, LSTM 4), `H` units, `P` outputs of a direction
//! (`proj_size`, else `H`), `D` directions; the input is `I` for `n = 0` and `D · P` above.
//!
//! | key             | PyTorch      | here               | there is                   |
//! |-----------------|--------------|--------------------|----------------------------|
//! | `weight_ih_l{n}`| `[G·H, I]`   | `w_x`, `[I, G·H]`  | always                     |
//! | `weight_hh_l{n}`| `[G·H, P]`   | `w_h`, `[P, G·H]`  | always                     |
//! | `bias_ih_l{n}`  | `[G·H]`      | `b` or `b_x`       | unless `bias=False`        |
//! | `bias_hh_l{n}`  | `[G·H]`      | `b` or `b_h`       | unless `bias=False`        |
//! | `weight_hr_l{n}`| `[P, H]`     | `w_p`, `[H, P]`    | with `proj_size`           |
//!
//! The gates are packed in the same order, `i f g o` and `r z n`. An LSTM and an RNN have one bias
//! here: `b = bias_ih + bias_hh` on the way in, `bias_ih = b` and `bias_hh = 0` on the way out. A
//! module without biases comes in with zeros. Numbers keep the dtype they have in the file.
//!
//! A state dict does not say everything: dropout and an RNN's nonlinearity are not in it. It does
//! say the number of layers, the directions and the sizes, and [`load`] refuses a file that says
//! something else than the type asks for: no key under the prefix is left unread.
//!
//! Source: the "Variables" sections of
//! [`nn.LSTM`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html),
//! [`nn.GRU`](https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html) and
//! [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html).
//!
//! *Invariant:* no equation; a foreign name or layout stops here.

// Both formats are little-endian, and bytes go from file to tensor as they are.
#[cfg(target_endian = "big")]
compile_error!("recurrent-pytorch reads and writes little-endian files on little-endian machines");

mod cells;
mod error;
mod layers;
mod layout;
mod parameters;
mod state_dict;

pub use cells::PytorchCell;
pub use error::PytorchError;
pub use layers::{PytorchLayer, add_to, load, save};
pub use parameters::{ParameterReader, ParameterWriter};
pub use state_dict::StateDict;

#[cfg(test)]
mod tests;
