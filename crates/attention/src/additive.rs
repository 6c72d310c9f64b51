//! Additive attention.
//!
//! ```text
//! score(q, h_j) = v · tanh(q · W_q + h_j · W_m)
//! ```
//!
//! `W_q` is `[Q, A]`, `W_m` is `[M, A]`, `v` is `[A]`; `h_j · W_m` is prepared once a source. Luong's
//! `concat` score, `v · tanh([q; h_j] · W)`, is the same function with `W` cut in two: see
//! [`AdditiveAttention::from_concat`].
//!
//! Source: Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly Learning to Align
//! and Translate, section 3 and appendix A.1.2; Luong, Pham & Manning (2015), section 3.1.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{additive_score, linear};

use crate::{Memory, Score};

/// Sizes and initial values of an [`AdditiveAttention`].
#[derive(Config, Debug)]
pub struct AdditiveAttentionConfig {
    /// Features of a query, `Q`.
    pub d_query: usize,
    /// Features of a row of the memory, `M`.
    pub d_memory: usize,
    /// Features in which the two are compared, `A`.
    pub d_attention: usize,
    /// How `W_q`, `W_m` and `v` are drawn.
    #[config(default = "Initializer::XavierUniform { gain: 1.0 }")]
    pub initializer: Initializer,
}

/// Additive attention, as a [`Score`].
#[derive(Module, Debug)]
pub struct AdditiveAttention {
    /// `W_q`, `[Q, A]`.
    pub w_q: Param<Tensor<2>>,
    /// `W_m`, `[M, A]`.
    pub w_m: Param<Tensor<2>>,
    /// `v`, `[A]`. At 0 every row is as relevant as any other.
    pub v: Param<Tensor<1>>,
}

impl AdditiveAttentionConfig {
    /// Draws the weights.
    pub fn init(&self, device: &Device) -> AdditiveAttention {
        let (q, m, a) = (self.d_query, self.d_memory, self.d_attention);
        let draw = |shape: [usize; 2]| {
            let [rows, columns] = shape;
            let drawn = self.initializer.init_with(shape, Some(rows), Some(columns), device);
            drawn.into_value().detach()
        };
        AdditiveAttention {
            w_q: Param::from_tensor(draw([q, a])),
            w_m: Param::from_tensor(draw([m, a])),
            v: Param::from_tensor(draw([a, 1]).reshape([a]).detach()),
        }
    }
}

impl AdditiveAttention {
    /// Luong's `concat` score `v · tanh([q; h_j] · W)`, with `w` of `[Q + M, A]` and `v` of `[A]`.
    ///
    /// # Panics
    ///
    /// If `w` has not more than `d_query` rows, or not as many columns as `v` has elements.
    pub fn from_concat(w: Tensor<2>, v: Tensor<1>, d_query: usize) -> Self {
        let [rows, columns] = w.dims();
        assert!(d_query < rows, "`w` has the rows of the query and of the memory");
        assert_shape!(v, [columns]);
        Self {
            w_q: Param::from_tensor(w.clone().narrow(0, 0, d_query).detach()),
            w_m: Param::from_tensor(w.narrow(0, d_query, rows - d_query).detach()),
            v: Param::from_tensor(v.detach()),
        }
    }
}

impl Score for AdditiveAttention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        Memory::new(values, pad_mask, |values| linear(values, self.w_m.val(), None))
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        let queries = linear(queries, self.w_q.val(), None);
        additive_score(queries, memory.keys.clone(), self.v.val())
    }
}
