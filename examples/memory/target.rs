//! What a model should put out, and how wrong it is.

use burn::{prelude::*, tensor::activation::log_softmax};

/// What a model should put out.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// One number after the last step, `[B, 1]`.
    Number(Tensor<2>),
    /// A class at every step, `[B, T]`; accuracy counts the last `graded` steps.
    Classes {
        /// `[B, T]`.
        classes: Tensor<2, Int>,
        /// How many steps are graded.
        graded: usize,
    },
}

impl Target {
    /// Mean squared error, or cross-entropy per step in nats, of `y`, `[B, T, O]`.
    pub(crate) fn loss(&self, y: Tensor<3>) -> Tensor<1> {
        let steps = y.dims()[1];
        match self {
            Self::Number(number) => {
                (y.narrow(1, steps - 1, 1).squeeze_dim(1) - number.clone()).square().mean()
            }
            Self::Classes { classes, .. } => {
                log_softmax(y, 2).gather(2, classes.clone().unsqueeze_dim(2)).mean().neg()
            }
        }
    }

    /// The share of graded steps at which the largest of `y`, `[B, T, O]`, is right.
    pub(crate) fn accuracy(&self, y: Tensor<3>) -> Option<f64> {
        let steps = y.dims()[1];
        match self {
            Self::Number(_) => None,
            Self::Classes { classes, graded } => {
                let from = steps - graded;
                let answers = y.narrow(1, from, *graded).argmax(2).squeeze_dim::<2>(2);
                let right = answers.equal(classes.clone().narrow(1, from, *graded));
                Some(right.float().mean().into_scalar::<f32>().into())
            }
        }
    }
}
