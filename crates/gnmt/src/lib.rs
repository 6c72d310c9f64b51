//! Google's Neural Machine Translation system: deep residual LSTMs with attention from the lowest
//! layer of the decoder to the highest of the encoder.
//!
//! ```text
//! encoder   x⁰_t = E_src[x_t]
//!           x¹_t = [LSTM_f(x⁰)_t ; LSTM_b(x⁰)_t]           2H: both ways
//!           x²_t = LSTM_2(x¹)_t                            no way around it
//!           xⁱ_t = LSTM_i(xⁱ⁻¹)_t + xⁱ⁻¹_t                 from the third layer on
//! decoder   y⁰_t = E_tgt[y_{t−1}]
//!           y¹_t = LSTM_1(y⁰)_t
//!           a_t  = attend(q_t, xⁿ)                         q_t = y¹_t, or y¹_{t−1}
//!           y²_t = LSTM_2([y¹ ; a])_t
//!           yⁱ_t = LSTM_i([yⁱ⁻¹ ; a])_t + yⁱ⁻¹_t           from the third layer on
//!           p_t  = softmax(clip(yⁿ_t · W_s + b_s, ±γ))
//! ```
//!
//! | | in |
//! |---|---|
//! | the encoder, the decoder | `encoder.rs`, `decoder.rs` |
//! | the whole model, its loss, its search | `gnmt.rs` |
//! | sizes, and the ways in which public versions differ | `config.rs` |
//! | the bounds that training moves from 8 to 1 | `clip.rs` |
//! | the same with weights of eight bits | `quantized.rs` |
//! | learning from whole outputs, by their GLEU | `refinement.rs` |
//!
//! Sources: Wu et al. (2016), Google's Neural Machine Translation System: Bridging the Gap between
//! Human and Machine Translation, sections 3 and 6; Johnson et al. (2017), Google's Multilingual
//! Neural Machine Translation System.

mod clip;
mod config;
mod decoder;
mod encoder;
mod gnmt;
mod quantized;
mod refinement;

pub use clip::Clip;
pub use config::{FirstLayer, GnmtCell, GnmtConfig, Initial, Parameters, Residual, Start};
pub use decoder::{GnmtDecoder, Query};
pub use encoder::{GnmtEncoded, GnmtEncoder};
pub use gnmt::{Gnmt, GnmtGenerator};
pub use quantized::{Part, QuantizeError, QuantizedGenerator, QuantizedGnmt, QuantizedState};
pub use refinement::Refinement;

#[cfg(test)]
mod tests;
