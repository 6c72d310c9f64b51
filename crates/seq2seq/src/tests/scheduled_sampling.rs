//! When which token is read.

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
    let second = logits.clone().narrow(1, 0, 1).argmax(2).to_data();
    let read: Vec<u32> = second.iter::<i64>().map(|id| id as u32).collect();
    let fed: Vec<Vec<u32>> = read.iter().map(|id| vec![*id]).collect();
    let two_steps = |ids: &[Vec<u32>]| {
        let batch = PairBatch::new(&sources(), ids);
        own.forced(&batch).0.narrow(1, 1, 1)
    };
    let at = Moment { seed: 1, epoch: 1, step: 10 };
    let sampled = own.sampled(&batch(), 0.0, &at).narrow(1, 1, 1);
    assert_close(&sampled, two_steps(&fed).to_data(), 1e-12);
}
