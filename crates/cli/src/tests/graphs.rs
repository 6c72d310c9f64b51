//! A graph that nobody goes back through is freed with the loss at its end: some versions of Burn have kept
//! such graphs for ever (burn#4970).

use burn::prelude::*;
use peak_alloc::PeakAlloc;
use recurrent_attention::AttentionConfig;
use recurrent_seq2seq::{
    DecoderConfig, DecoderKind, EncoderConfig, Feeding, PairBatch, Reading, Seq2SeqConfig,
};
use recurrent_training::{Learn, Moment};

use super::backends;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// Bytes that are in use now: on the device, where it counts them, or on the host.
fn in_use(device: &Device) -> i64 {
    device.sync().unwrap();
    let host = || COUNTED.current_usage() as u64;
    let bytes = device.memory_pool_usage().map_or_else(host, |usage| usage.bytes_in_use);
    bytes as i64
}

/// Fused recurrences, attention and the loss of readouts among them. Other tests of this process take some
/// memory meanwhile, but less than two graphs.
#[test]
fn a_graph_that_never_sees_backward_is_freed() {
    let attention = AttentionConfig::Additive { d_attention: 32 };
    let config = Seq2SeqConfig {
        d_embedding: 32,
        encoder: EncoderConfig { layers: 1, d_hidden: 64, reading: Reading::Both },
        decoder: DecoderConfig {
            layers: 1,
            d_hidden: 64,
            kind: DecoderKind::Luong { attention, d_readout: 64, feeding: Feeding::None },
        },
        ..Seq2SeqConfig::default()
    };
    let row: Vec<u32> = (0..24).map(|n| 4 + n % 30).collect();
    let batch = PairBatch::new(&vec![row.clone(); 64], &vec![row; 64]);
    let at = Moment { seed: 1, epoch: 1, step: 0 };
    for (kind, device) in backends() {
        let model = config.init([40, 40], &device.clone().autodiff());
        let loss = || {
            let (loss, ()) = model.learn(&batch, None, &at);
            device.sync().unwrap();
            loss
        };
        drop(loss());
        let before = in_use(&device);
        let held = loss();
        let graph = in_use(&device) - before;
        drop(held);
        assert!(graph > 8 << 20, "{}: a graph has {graph} bytes", kind.name());
        for _ in 0..6 {
            drop(loss());
        }
        let left = in_use(&device) - before;
        assert!(left < 2 * graph, "{}: {left} bytes left, a graph has {graph}", kind.name());
    }
}
