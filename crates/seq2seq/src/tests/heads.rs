//! What the tests of the sequence heads share.

use burn::{
    module::{ModuleVisitor, Param},
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::Gradients,
};
use recurrent_testkit::assert_close;
use recurrent_training::Learn;

use super::moment;

/// Adam over `steps` batches, none of which carries on, and the loss of the last.
pub(crate) fn trained<M: Learn>(
    mut model: M,
    steps: usize,
    rate: f64,
    mut batch: impl FnMut() -> M::Batch,
) -> (M, f64) {
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut last = f64::INFINITY;
    for _ in 0..steps {
        let (loss, _) = model.learn(&batch(), None, &moment());
        let items = loss.items as f64;
        last = loss.nll.into_scalar::<f32>() as f64 / items;
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(rate, model, gradients);
    }
    (model, last)
}

/// The gradients of all parameters, one after the other, zero where there is none.
pub(crate) fn gradients<M: Module>(model: &M, loss: &Tensor<1>) -> Tensor<1> {
    struct Flat<'a>(&'a Gradients, Vec<f64>);
    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match param.val().grad(self.0) {
                Some(gradient) => self.1.extend(gradient.into_data().iter::<f64>()),
                None => self.1.extend(vec![0.0; param.shape().num_elements()]),
            }
        }
    }
    let gradients = loss.backward();
    let mut flat = Flat(&gradients, Vec::new());
    model.visit(&mut flat);
    Tensor::from_data(flat.1.as_slice(), (&Device::flex(), burn::tensor::DType::F64))
}

/// Whether a batch has the loss and the gradients of others, taken together.
#[track_caller]
pub(crate) fn assert_batch_is<M: Learn>(model: &M, batch: &M::Batch, others: &[M::Batch]) {
    let loss = |batch: &M::Batch| model.learn(batch, None, &moment()).0;
    let whole = loss(batch);
    let others = others.iter().map(loss).reduce(|a, b| recurrent_training::Loss {
        sum: a.sum + b.sum,
        weight: a.weight + b.weight,
        nll: a.nll + b.nll,
        items: a.items + b.items,
    });
    let others = others.expect("there are others");
    assert_close(&whole.sum, others.sum.to_data(), 1e-12);
    assert_close(&whole.nll, others.nll.to_data(), 1e-12);
    assert_eq!((whole.weight, whole.items), (others.weight, others.items));
    let expected = gradients(model, &others.sum);
    assert_close(&gradients(model, &whole.sum), expected.to_data(), 1e-11);
}

/// Whether `blank`, a model of other numbers, has the parameters of `model` after they were saved
/// and loaded, bit by bit.
#[track_caller]
pub(crate) fn assert_saves<M: Module>(model: &M, blank: M) {
    let bytes = |model: &M| -> Vec<Vec<u8>> {
        struct Bytes(Vec<Vec<u8>>);
        impl ModuleVisitor for Bytes {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(param.val().into_data().as_bytes().to_vec());
            }
        }
        let mut bytes = Bytes(Vec::new());
        model.visit(&mut bytes);
        bytes.0
    };
    assert_ne!(bytes(&blank), bytes(model));
    let saved = model.clone().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(saved).unwrap();
    assert_eq!(bytes(&blank.load_record(record)), bytes(model));
}
