//! What becomes of a graph that nobody goes back through. Burn frees the steps of a graph when somebody goes back
//! through a graph of the same parameters, not when its loss is dropped (burn#4970): a program that only asks for
//! losses has to ask a model without autodiff, or its memory grows.
//!
//! Bytes are counted, in a process of its own in which no other test allocates.

use std::{env, process::Command};

use burn::prelude::*;
use peak_alloc::PeakAlloc;
use recurrent_attention::AttentionConfig;
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    DecoderConfig, DecoderKind, EncoderConfig, Feeding, PairBatch, Reading, Seq2Seq, Seq2SeqConfig,
};
use recurrent_training::{Learn, Moment};

use super::backends;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

const CHILD: &str = "tests::graphs::a_process_that_counts";

/// Bytes that are in use now: on the device, where it counts them, or on the host.
fn in_use(device: &Device) -> i64 {
    device.sync().unwrap();
    let host = || COUNTED.current_usage() as u64;
    let bytes = device.memory_pool_usage().map_or_else(host, |usage| usage.bytes_in_use);
    bytes as i64
}

/// Fused recurrences, attention and the loss of readouts among them.
fn config() -> Seq2SeqConfig {
    let attention = AttentionConfig::Additive { d_attention: 32 };
    Seq2SeqConfig {
        d_embedding: 32,
        encoder: EncoderConfig { layers: 1, d_hidden: 64, reading: Reading::Both },
        decoder: DecoderConfig {
            layers: 1,
            d_hidden: 64,
            kind: DecoderKind::Luong { attention, d_readout: 64, feeding: Feeding::None },
        },
        ..Seq2SeqConfig::default()
    }
}

#[test]
#[ignore = "the other test runs it, as a process of its own"]
fn a_process_that_counts() {
    let row: Vec<u32> = (0..24).map(|n| 4 + n % 30).collect();
    let batch = PairBatch::new(&vec![row.clone(); 64], &vec![row; 64]);
    let at = Moment { seed: 1, epoch: 1, step: 0 };
    for (kind, device) in backends() {
        let name = kind.name();
        let model = config().init([40, 40], &device.clone().autodiff());
        let measured = model.valid();
        let loss = |model: &Seq2Seq<AnyCell>| model.learn(&batch, None, &at).0.sum;
        let step = || drop(loss(&model).backward());
        let grown = |before: i64| in_use(&device) - before;
        step();
        let before = in_use(&device);
        let held = loss(&model);
        let graph = grown(before);
        drop(held.backward());
        assert!(graph > 8 << 20, "{name}: a graph has {graph} bytes");

        let before = in_use(&device);
        for _ in 0..4 {
            drop(loss(&measured));
        }
        let left = grown(before);
        assert!(left < graph, "{name}: {left} bytes left without autodiff, a graph has {graph}");
        for _ in 0..4 {
            drop(loss(&model));
        }
        step();
        let left = grown(before);
        assert!(left < graph, "{name}: {left} bytes left behind a step, a graph has {graph}");
    }
}

/// Neither a model without autodiff nor one that goes back now and then keeps anything.
#[test]
fn graphs_that_never_see_backward_do_not_pile_up() {
    let mut command = Command::new(env::current_exe().unwrap());
    let child = command.args(["--ignored", "--exact", "--nocapture", CHILD]).output().unwrap();
    let said = [child.stdout, child.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
