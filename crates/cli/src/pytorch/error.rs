//! What can be wrong with weights from the other side.

use burn::tensor::DType;
use recurrent_pytorch::PytorchError;
use thiserror::Error;

use crate::weights::listed;

/// Why weights cannot go from one side to the other.
#[derive(Debug, Error)]
pub enum ConvertError {
    /// The file is none, a key of it is missing, or a recurrent module is not as it should be.
    #[error(transparent)]
    Pytorch(Box<PytorchError>),
    /// A parameter has another shape than in the model.
    #[error("`{key}` is {file:?} in the file, but {model:?} in the model")]
    Shape {
        /// The key.
        key: String,
        /// Its shape in the file.
        file: Vec<usize>,
        /// The shape it should have.
        model: Vec<usize>,
    },
    /// A recurrent module has other sizes than in the model.
    #[error("`{key}` has {file} in the file, but {model} in the model")]
    Layers {
        /// Where the module is.
        key: String,
        /// What the file has.
        file: String,
        /// What the model has.
        model: String,
    },
    /// Keys that belong to nothing.
    #[error("the file has {}, the model has not", listed(keys))]
    Unknown {
        /// The keys.
        keys: Vec<String>,
    },
    /// Parameters of different types.
    #[error("`{key}` is {dtype:?} in the file, but others are {expected:?}")]
    Dtype {
        /// The key.
        key: String,
        /// Its type.
        dtype: DType,
        /// The type of the first parameter.
        expected: DType,
    },
    /// Two parameters that are one in the model.
    #[error("`{key}` and `{other}` differ in the file, but are one in the model")]
    Tied {
        /// The key.
        key: String,
        /// The key of what it should be equal to.
        other: String,
    },
    /// An embedding that is scaled as it is read.
    #[error(
        "the model has `embedding_scale = \"sqrt\"`: PyTorch's embeddings are not scaled as they are read"
    )]
    Scaled,
    /// A cell that PyTorch does not have.
    #[error(
        "PyTorch has no module for {cell}; `rnn`, `relu_rnn`, `lstm` and `gru` can be converted"
    )]
    Cell {
        /// What the cell is.
        cell: &'static str,
    },
}

impl From<PytorchError> for ConvertError {
    fn from(error: PytorchError) -> Self {
        Self::Pytorch(Box::new(error))
    }
}
