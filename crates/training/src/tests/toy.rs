//! A linear regression with dropout, and how the tests train it.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use burn::{
    module::{Module, Param},
    nn::{Dropout, DropoutConfig, Linear, LinearConfig},
    prelude::*,
    tensor::DType,
};
use recurrent_testkit::fill;

use crate::{
    InOrder, Learn, Loss, Moment, Scores, Shuffled, Start, TrainConfig, TrainError, Trained,
    Training, validation_loss,
};

/// Burn's generator is one for the whole process: whoever draws from it, draws alone.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `y = dropout(x) · W + b`, learnt by least squares.
#[derive(Module, Debug)]
pub(super) struct Toy {
    pub(super) linear: Linear,
    dropout: Dropout,
}

/// Examples `[B, 3]` and what is to be made of them, `[B, 2]`.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    pub(super) x: Vec<[f32; 3]>,
    pub(super) y: Vec<[f32; 2]>,
}

impl Toy {
    pub(super) fn new(dropout: f64) -> Self {
        let device = Device::flex().autodiff();
        let mut linear = LinearConfig::new(3, 2).init(&device);
        linear.weight = Param::from_tensor(fill([3, 2], 1, DType::F32, &device));
        linear.bias = Some(Param::from_tensor(fill([2], 2, DType::F32, &device)));
        Self { linear, dropout: DropoutConfig::new(dropout).init() }
    }

    /// The bits of all parameters.
    pub(super) fn bits(&self) -> Vec<u32> {
        let weight = self.linear.weight.val().into_data();
        let bias = self.linear.bias.as_ref().unwrap().val().into_data();
        weight.iter::<f32>().chain(bias.iter::<f32>()).map(f32::to_bits).collect()
    }
}

impl Learn for Toy {
    type Batch = Pairs;
    type Carried = ();

    fn learn(&self, batch: &Pairs, _: Option<()>, _: &Moment) -> (Loss, ()) {
        let weight = self.linear.weight.val();
        let device = (&weight.device(), weight.dtype());
        let rows = batch.x.len();
        let x = TensorData::new(batch.x.concat(), [rows, 3]);
        let y = TensorData::new(batch.y.concat(), [rows, 2]);
        let x = self.dropout.forward(Tensor::<2>::from_data(x, device));
        let error = self.linear.forward(x) - Tensor::from_data(y, device);
        let sum = error.square().sum();
        let loss = Loss { sum: sum.clone(), weight: rows as f64, nll: sum, items: rows };
        (loss, ())
    }
}

/// `count` batches of 4 examples, all different.
pub(super) fn data(count: usize) -> Vec<Pairs> {
    let number = |index: usize| ((7 * index + 3) % 11) as f32 / 10.0 - 0.5;
    let batch = |batch: usize| {
        let rows = 4 * batch..4 * batch + 4;
        let x: Vec<[f32; 3]> =
            rows.map(|row| [number(row), number(row + 5), number(3 * row)]).collect();
        let y = x.iter().map(|[a, b, c]| [a - b, 0.5 * c + 0.25]).collect();
        Pairs { x, y }
    };
    (0..count).map(batch).collect()
}

/// The toy without a bias, which is another model.
pub(super) fn unbiased() -> Toy {
    let mut toy = Toy::new(0.2);
    toy.linear.bias = None;
    toy
}

/// Validates to `scores[epoch - 1]` under the name "accuracy".
pub(super) fn scripted(
    folder: &Path,
    config: TrainConfig,
    scores: &'static [f64],
) -> Training<Toy, Shuffled<Pairs>> {
    let validate =
        move |_: &Toy, at: &Moment| Ok(Scores::new().with("accuracy", scores[at.epoch - 1]));
    Training { validate: Box::new(validate), ..training(folder, config) }
}

/// The names of everything in `folder`, in order.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Six steps an epoch, with dropout, momentum-like state and a rate that moves.
pub(super) fn config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, learning_rate: 0.05, clip_norm: Some(1.0), ..TrainConfig::default() }
}

/// A training of the toy in `folder`, validated by its loss on two batches.
pub(super) fn training(folder: &Path, config: TrainConfig) -> Training<Toy, Shuffled<Pairs>> {
    let held_out = InOrder(data(8).split_off(6));
    let validate = move |model: &Toy, at: &Moment| -> Result<Scores, _> {
        Ok(validation_loss(model, &held_out, at).scores())
    };
    let batches = Shuffled(data(6));
    Training::new(Toy::new(0.2), batches, validate, config, folder.to_path_buf())
}

pub(super) fn train(
    folder: &Path,
    config: TrainConfig,
    start: Start,
) -> Result<Trained<Toy>, TrainError> {
    Training { start, ..training(folder, config) }.run()
}
