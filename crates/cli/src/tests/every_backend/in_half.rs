//! A training whose products are in half precision.

use recurrent_attention::AttentionConfig;
use recurrent_seq2seq::{
    DecoderConfig, DecoderKind, EncoderConfig, Feeding, PairBatch, Reading, Seq2SeqConfig,
};

use super::*;
use crate::{
    args::{OnDevice, Precision},
    device::DeviceName,
};

/// Losses are those of the processor to what half precision can tell apart, and not the same; weights are
/// stored in single precision.
#[test]
fn a_model_learns_in_half() {
    let number = Some(0);
    for kind in [Kind::Wgpu, Kind::Vulkan].into_iter().filter(|kind| kind.is_built_in()) {
        // Not the device of the other tests, which compute in single precision.
        let on = OnDevice { name: DeviceName { kind, number }, precision: Precision::Half };
        let device = match on.open() {
            Ok(device) => device,
            Err(error) => {
                let device = kind.present().swap_remove(0);
                assert!(!device.supports_dtype(burn::tensor::DType::F16), "{error}");
                continue;
            }
        };
        let luong = DecoderKind::Luong {
            attention: AttentionConfig::General,
            d_readout: 16,
            feeding: Feeding::None,
        };
        let config = Seq2SeqConfig {
            d_embedding: 16,
            encoder: EncoderConfig { layers: 1, d_hidden: 16, reading: Reading::Forward },
            decoder: DecoderConfig { layers: 1, d_hidden: 16, kind: luong },
            ..Seq2SeqConfig::default()
        };
        let sources: Vec<Vec<u32>> = (0..16).map(|n| vec![4 + n, 5 + n]).collect();
        let targets: Vec<Vec<u32>> = (0..16).map(|n| vec![5 + n, 4 + n]).collect();
        let batch = PairBatch::new(&sources, &targets);
        let start = to_bytes(&redrawn(config.init([24, 24], &Device::flex()), 3000)).unwrap();
        let losses = |device: Device| {
            let model = from_bytes(config.init([24, 24], &device.autodiff()), &start).unwrap();
            let (model, losses) = trained(model, &batch);
            assert_eq!(to_bytes(&model).unwrap().len(), start.len());
            losses
        };
        let (half, full) = (losses(device), losses(Device::flex()));
        assert!(full[STEPS] < full[0], "{full:?}");
        let apart = half.iter().zip(&full).map(|(half, full)| (half - full).abs() / full);
        let furthest = apart.fold(0.0, f64::max);
        assert!((1e-6..1e-2).contains(&furthest), "{half:?} for {full:?}");
    }
}
