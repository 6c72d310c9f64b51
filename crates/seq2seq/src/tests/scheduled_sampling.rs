//! When which token is read.

use burn::module::Param;
use recurrent_testkit::{assert_close, drawn};
use recurrent_training::{Learn, Moment};

use super::*;

/// Scheduled sampling with the truth alone is teacher forcing, and without it the decoder reads what
/// it finds likeliest itself.
#[test]
fn scheduled_sampling_reads_what_it_says() {
    let device = Device::flex().autodiff();
    let (_, config) = every_config().swap_remove(4);
    let model = |teacher| {
        let config = Seq2SeqConfig { teacher, ..config.clone() };
        drawn(config.init(VOCABULARY, &device), DType::F64)
    };
    let loss = |teacher, step| {
        let at = Moment { seed: 1, epoch: 1, step };
        model(teacher).learn(&batch(), None, &at).0.sum
    };
    let forced = loss(Teacher::Forcing, 0);
    let linear = Teacher::Linear { steps: 10.0, floor: 0.0 };
    assert_close(&loss(linear, 0), forced.to_data(), 1e-12);

    let own = model(Teacher::Forcing);
    let (logits, _) = own.forced(&batch());
    let written = |id: &usize| ![recurrent_text::PAD, recurrent_text::BOS].contains(&(*id as u32));
    let likeliest = |row: usize| {
        let logits = logits.clone().slice(s![row, 0, ..]).into_data();
        let logits: Vec<f64> = logits.iter().collect();
        let ids = (0..logits.len()).filter(written);
        ids.max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32
    };
    let read: Vec<u32> = (0..sources().len()).map(likeliest).collect();
    let fed: Vec<Vec<u32>> = read.iter().map(|id| vec![*id]).collect();
    let two_steps = |ids: &[Vec<u32>]| {
        let batch = PairBatch::new(&sources(), ids);
        own.forced(&batch).0.narrow(1, 1, 1)
    };
    let at = Moment { seed: 1, epoch: 1, step: 10 };
    let sampled = own.sampled(&batch(), 0.0, &at).narrow(1, 1, 1);
    assert_close(&sampled, two_steps(&fed).to_data(), 1e-12);
}

/// `<pad>` and `<s>` are never read back, however likely they are: no search writes them.
#[test]
fn what_is_never_written_is_never_read() {
    let (_, config) = every_config().swap_remove(4);
    let mut model = drawn(config.init(VOCABULARY, &Device::flex().autodiff()), DType::F64);
    let at = Moment { seed: 1, epoch: 1, step: 0 };
    let others = |model: &Seq2Seq<_>| model.sampled(&batch(), 0.0, &at).narrow(2, 3, 4);
    let expected = others(&model);
    let mut bias: Vec<f64> = model.output.b_o.val().into_data().iter().collect();
    for id in [recurrent_text::PAD, recurrent_text::BOS] {
        bias[id as usize] += 100.0;
    }
    let like = (&model.device(), DType::F64);
    model.output.b_o = Param::from_tensor(Tensor::from_data(bias.as_slice(), like));
    assert_close(&others(&model), expected.to_data(), 1e-12);
}
