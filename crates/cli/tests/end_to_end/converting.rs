//! Weights from PyTorch and for it.

use std::{fs, path::PathBuf};

use burn::{
    module::{ModuleMapper, Param},
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent::{pytorch::Keyed, weights};
use recurrent_attention::AttentionConfig;
use recurrent_cells::{AnyCell, CellKind};
use recurrent_gnmt::{FirstLayer, GnmtConfig};
use recurrent_pytorch::StateDict;
use recurrent_seq2seq::{
    BridgeKind, Context, DecoderConfig, DecoderKind, EmbeddingScale, EncoderConfig, Feeding,
    LanguageModel, LanguageModelConfig, OutputWeights, Padded, PairBatch, Reading, Readout,
    Seq2Seq, Seq2SeqConfig, Tie,
};
use recurrent_testkit::assert_close;
use rstest::rstest;
use safetensors::SafeTensors;

use crate::workshop::{MODELS, Workshop};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// The weights of a fixture.
fn state_dict(name: &str) -> StateDict {
    let mut dict = StateDict::read(fixture(name)).unwrap();
    for key in ["io.source", "io.target", "io.logits"] {
        dict.remove(key);
    }
    dict
}

/// Ids of a fixture, row by row.
fn ids(file: &SafeTensors<'_>, key: &str) -> Padded {
    let view = file.tensor(key).unwrap();
    let numbers = view.data().chunks(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
    let numbers: Vec<u32> = numbers.map(|id| id as u32).collect();
    Padded::new(&numbers.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect::<Vec<_>>())
}

fn logits(file: &SafeTensors<'_>) -> TensorData {
    let view = file.tensor("io.logits").unwrap();
    let numbers = view.data().chunks(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
    TensorData::new(numbers.collect::<Vec<f64>>(), view.shape().to_vec())
}

fn language_model() -> LanguageModel<AnyCell> {
    let config =
        LanguageModelConfig { d_embedding: 3, d_hidden: 4, layers: 2, ..Default::default() };
    config.init(6, &Device::flex())
}

fn luong() -> Seq2Seq<AnyCell> {
    let attention = AttentionConfig::General;
    let kind = DecoderKind::Luong { attention, d_readout: 5, feeding: Feeding::None };
    let config = Seq2SeqConfig {
        d_embedding: 3,
        encoder: EncoderConfig { d_hidden: 4, ..Default::default() },
        decoder: DecoderConfig { d_hidden: 4, layers: 1, kind },
        ..Default::default()
    };
    config.init([7, 6], &Device::flex())
}

#[test]
fn a_language_model_gives_the_logits_of_pytorch() {
    let bytes = fs::read(fixture("language_model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let dict = state_dict("language_model.safetensors");
    let model = language_model().with_state_dict(&dict, "").unwrap();
    let (found, _) = model.forward(&ids(&file, "io.target"), None);
    assert_close(&found, logits(&file), 1e-10);
    let pickled = language_model().with_state_dict(&state_dict("language_model.pt"), "").unwrap();
    assert!(weights::to_bytes(&pickled).unwrap() == weights::to_bytes(&model).unwrap());
}

#[test]
fn a_model_with_attention_gives_the_logits_of_pytorch() {
    let bytes = fs::read(fixture("luong.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let model = luong().with_state_dict(&state_dict("luong.safetensors"), "").unwrap();
    let target = ids(&file, "io.target");
    let batch = PairBatch { source: ids(&file, "io.source"), begun: target.clone(), ended: target };
    assert_close(&model.forced(&batch).0, logits(&file), 1e-10);
}

/// What goes out comes in again, bit by bit, into a model that was drawn anew.
fn assert_round_trip<M: Keyed + Module>(model: M, drawn_anew: M) {
    let before = weights::to_bytes(&model).unwrap();
    assert!(before != weights::to_bytes(&drawn_anew).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    model.to_state_dict().unwrap().write(&path).unwrap();
    let back = drawn_anew.with_state_dict(&StateDict::read(&path).unwrap(), "").unwrap();
    assert!(weights::to_bytes(&back).unwrap() == before);
}

#[rstest]
#[case(CellKind::Rnn, OutputWeights::Own)]
#[case(CellKind::ReluRnn, OutputWeights::Own)]
#[case(CellKind::Lstm, OutputWeights::Embedding)]
#[case(CellKind::Gru, OutputWeights::Own)]
fn a_language_model_comes_back(#[case] cell: CellKind, #[case] output: OutputWeights) {
    let sizes = LanguageModelConfig { d_embedding: 6, d_hidden: 6, ..Default::default() };
    let config = LanguageModelConfig { layers: 3, cell, output, ..sizes };
    let draw = || config.init(9, &Device::flex());
    assert_round_trip(draw(), draw());
}

const EVERY_STEP: DecoderKind = DecoderKind::Thought { context: Context::EveryStep };

fn bahdanau(attention: AttentionConfig) -> DecoderKind {
    DecoderKind::Bahdanau { attention, d_readout: 4, readout: Readout::Current }
}

fn fed(attention: AttentionConfig) -> DecoderKind {
    DecoderKind::Luong { attention, d_readout: 4, feeding: Feeding::Input }
}

#[rstest]
#[case(CellKind::Lstm, Reading::Both, BridgeKind::Dense, EVERY_STEP, Tie::None)]
#[case(CellKind::Gru, Reading::Both, BridgeKind::Backward, bahdanau(AttentionConfig::Additive { d_attention: 3 }), Tie::Output)]
#[case(
    CellKind::Gru,
    Reading::Backward,
    BridgeKind::Pass,
    fed(AttentionConfig::Dot),
    Tie::Embeddings
)]
#[case(CellKind::Rnn, Reading::Both, BridgeKind::Zero, fed(AttentionConfig::General), Tie::All)]
#[case(CellKind::Lstm, Reading::Forward, BridgeKind::Dense, fed(AttentionConfig::Scaled), Tie::All)]
#[case(CellKind::ReluRnn, Reading::Both, BridgeKind::Dense, bahdanau(AttentionConfig::NormedAdditive { d_attention: 3 }), Tie::None)]
fn a_model_that_translates_comes_back(
    #[case] cell: CellKind,
    #[case] reading: Reading,
    #[case] bridge: BridgeKind,
    #[case] kind: DecoderKind,
    #[case] tie: Tie,
) {
    let config = Seq2SeqConfig {
        d_embedding: 4,
        tie,
        cell,
        bridge,
        encoder: EncoderConfig { layers: 2, d_hidden: 5, reading },
        decoder: DecoderConfig { layers: 2, d_hidden: 5, kind },
        ..Default::default()
    };
    let draw = || config.init([9, 9], &Device::flex());
    assert_round_trip(draw(), draw());
}

/// What is wrong with a state dict, after a change to it.
fn wrong(change: impl FnOnce(&mut StateDict)) -> String {
    let mut dict = state_dict("luong.safetensors");
    change(&mut dict);
    luong().with_state_dict(&dict, "").unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_named() {
    let zeros = |shape: &[usize]| TensorData::zeros::<f64, _>(shape.to_vec());
    let said = wrong(|dict| dict.insert("extra.weight", zeros(&[1])).unwrap());
    assert_eq!(said, "the file has `extra.weight`, the model has not");
    let said = wrong(|dict| dict.insert("encoder.rnn.weight", zeros(&[1])).unwrap());
    assert_eq!(said, "the file has `encoder.rnn.weight`, the model has not");
    let said = wrong(|dict| assert!(dict.remove("bridge.0.c.bias")));
    assert!(said.contains("has no key `bridge.0.c.bias`"), "{said}");
    let said = wrong(|dict| assert!(dict.remove("decoder.weight_hh_l0")));
    assert!(said.contains("has no key `decoder.weight_hh_l0`"), "{said}");
    let said = wrong(|dict| dict.insert("w_c.weight", zeros(&[12, 5])).unwrap());
    assert_eq!(said, "`w_c.weight` is [12, 5] in the file, but [5, 12] in the model");
    let said = wrong(|dict| {
        for name in ["weight_ih", "weight_hh"] {
            let columns = if name == "weight_ih" { 3 } else { 2 };
            dict.insert(&format!("decoder.{name}_l0"), zeros(&[8, columns])).unwrap();
        }
        dict.remove("decoder.bias_ih_l0");
        dict.remove("decoder.bias_hh_l0");
    });
    let expected = "`decoder` has 1 layer, 3 to 2 features in the file, but 1 layer, 3 to 4 \
                    features in the model";
    assert_eq!(said, expected);
    let single = TensorData::zeros::<f32, _>([6]);
    let said = wrong(|dict| dict.insert("output.bias", single).unwrap());
    assert_eq!(said, "`output.bias` is F32 in the file, but others are F64");
}

#[test]
fn what_is_one_in_the_model_is_one_in_the_file() {
    let config = LanguageModelConfig {
        d_embedding: 4,
        d_hidden: 4,
        output: OutputWeights::Embedding,
        ..Default::default()
    };
    let draw = || config.init(6, &Device::flex());
    let mut dict = draw().to_state_dict().unwrap();
    dict.insert("output.weight", TensorData::ones::<f32, _>([6, 4])).unwrap();
    let said = draw().with_state_dict(&dict, "").unwrap_err().to_string();
    let expected =
        "`output.weight` and `embedding.weight` differ in the file, but are one in the model";
    assert_eq!(said, expected);
    dict.remove("output.weight");
    draw().with_state_dict(&dict, "").unwrap();
}

/// Half precision becomes single, and a prefix leaves others' keys alone.
#[test]
fn a_part_of_a_file_in_half_precision_comes_in() {
    let config = LanguageModelConfig { d_embedding: 3, d_hidden: 4, ..Default::default() };
    let draw = || config.init(6, &Device::flex());
    let whole = draw().to_state_dict().unwrap();
    let mut dict = StateDict::new();
    let keys: Vec<String> = whole.keys().map(str::to_owned).collect();
    for key in keys {
        let half = whole.get(&key).unwrap().convert_dtype(burn::tensor::DType::F16);
        dict.insert(&format!("model.lm.{key}"), half).unwrap();
    }
    dict.insert("step", TensorData::ones::<f32, _>([1])).unwrap();
    let model = draw().with_state_dict(&dict, "model.lm").unwrap();
    assert_eq!(model.embedding.e.val().dtype(), burn::tensor::DType::F32);
    let (logits, _) = model.forward(&Padded::new(&[[2, 4, 5]]), None);
    assert_eq!(logits.dims(), [1, 3, 6]);
}

fn copy(model: &str, shop: &Workshop) {
    fs::create_dir(shop.path(model)).unwrap();
    for entry in fs::read_dir(MODELS.path(model)).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), shop.path(model).join(entry.file_name())).unwrap();
        }
    }
}

/// The program writes the same lines with weights that have been out and in again.
#[rstest]
#[case("gru")]
#[case("blind")]
#[case("language")]
fn a_folder_comes_back(#[case] model: &str) {
    let shop = Workshop::new();
    copy(model, &shop);
    let weights = || fs::read(shop.path(model).join("model.safetensors")).unwrap();
    let before = weights();
    let out = shop.run(&["convert", "to-pytorch", model, "out.safetensors"], "").done();
    assert!(out.contains("out.safetensors has the weights of"), "{out}");
    // Other weights of the same sizes in between.
    shop.train(&["--set", "training.epochs=1"]).done();
    if model == "gru" {
        shop.run(&["convert", "to-pytorch", "model", "other.safetensors"], "").done();
        shop.run(&["convert", "from-pytorch", "other.safetensors", model], "").done();
        assert!(weights() != before);
    }
    let out = shop.run(&["convert", "from-pytorch", "out.safetensors", model], "").done();
    assert!(out.contains("parameters of out.safetensors now"), "{out}");
    assert!(weights() == before);
    assert!(!shop.path(model).join("metrics.json").exists());
    shop.run(&["inspect", model], "").done();
}

#[test]
fn what_cannot_be_converted_is_refused_and_nothing_is_changed() {
    let shop = Workshop::new();
    copy("gru", &shop);
    copy("language", &shop);
    let weights = || fs::read(shop.path("gru/model.safetensors")).unwrap();
    let before = weights();
    let convert = |arguments: &[&str]| shop.run(&[&["convert"], arguments].concat(), "");
    convert(&["to-pytorch", "language", "out.safetensors"]).done();
    convert(&["from-pytorch", "out.safetensors", "gru"])
        .refused_for(&["out.safetensors", "has no key `target_embedding.weight`"]);
    convert(&["from-pytorch", "run.toml", "gru"])
        .refused_for(&["`run.toml` cannot be read as a state dict"]);
    convert(&["to-pytorch", "language", "language/model.safetensors"])
        .refused_for(&["language/model.safetensors would stand in a model folder"]);
    convert(&["from-pytorch", "none.pt", "gru"]).refused_for(&["`none.pt`: No such file"]);
    assert!(weights() == before);

    shop.change("cell = \"gru\"", "cell = \"peephole_lstm\"");
    shop.train(&["--set", "training.epochs=1"]).done();
    convert(&["to-pytorch", "model", "peephole.safetensors"]).refused_for(&[
        "PyTorch has no module for the LSTM with peepholes",
        "`rnn`, `relu_rnn`, `lstm` and `gru` can be converted",
    ]);
    assert!(!shop.path("peephole.safetensors").exists());
    std::fs::remove_dir_all(shop.path("model")).unwrap();
    shop.change("cell = \"peephole_lstm\"", "cell = \"original_gru\"");
    shop.train(&["--set", "training.epochs=1"]).done();
    convert(&["to-pytorch", "model", "original.safetensors"])
        .refused_for(&["the GRU whose reset gate acts before the product"]);
}

/// NVIDIA's GNMT in PyTorch: its keys come in, the logits are its logits, and so are the gradients of
/// all parameters.
#[test]
fn gnmt_gives_the_logits_and_gradients_of_pytorch() {
    let bytes = fs::read(fixture("gnmt.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut dict = state_dict("gnmt.safetensors");
    let keys: Vec<String> = dict.keys().map(str::to_owned).collect();
    for key in keys.iter().filter(|key| key.starts_with("grad.")) {
        dict.remove(key);
    }
    let config = GnmtConfig { layers: 4, d_hidden: 4, ..GnmtConfig::default() };
    let draw = || config.init([9, 9], &Device::flex().autodiff());
    let model = draw().with_state_dict(&dict, "").unwrap();
    let (source, target) = (real_ids(&file, "io.source"), real_ids(&file, "io.target"));
    let batch = PairBatch { source, begun: target.clone(), ended: target };
    let logits = model.forced(&batch).0;
    let expected = Tensor::<3>::from_data(self::logits(&file), (&model.device(), DType::F64));
    let mask = batch.ended.pad_mask(&model.device()).unwrap().unsqueeze_dim::<3>(2);
    let real =
        |logits: Tensor<3>| logits.clone().mask_fill(mask.clone().expand(logits.dims()), 0.0);
    assert_close(&real(logits.clone()), real(expected).into_data(), 1e-10);

    let gradients = (real(logits).powi_scalar(2).sum() / 2.0).backward();
    let gradients = model.clone().map(&mut Gradients(&gradients)).to_state_dict().unwrap();
    // The two biases of PyTorch's LSTM are one here, so each has its gradient.
    for key in gradients.keys().filter(|key| !key.contains("bias_hh")) {
        let view = file.tensor(&format!("grad.{key}")).unwrap();
        let numbers = view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        let found = gradients.get(key).unwrap();
        for (found, expected) in found.iter::<f64>().zip(numbers) {
            assert!((found - expected).abs() < 1e-10, "{key}: {found} for {expected}");
        }
    }
    let config = GnmtConfig { tie: Tie::All, ..config };
    let draw = || config.init([9, 9], &Device::flex());
    assert_round_trip(draw(), draw());
    let other = GnmtConfig { first_layer: FirstLayer::Context, tie: Tie::Embeddings, ..config };
    let said = other.init([9, 9], &Device::flex()).with_state_dict(&dict, "").unwrap_err();
    let expected = "`decoder.att_rnn.rnn` has 1 layer, 4 to 4 features in the file, but 1 layer, 8 to 4 \
                    features in the model";
    assert_eq!(said.to_string(), expected);
    // Its numbers would fit, and mean something else.
    let scaled = GnmtConfig { tie: Tie::All, embedding_scale: EmbeddingScale::Sqrt, ..config };
    let said = scaled.init([9, 9], &Device::flex()).to_state_dict().unwrap_err();
    assert!(said.to_string().contains("embedding_scale"), "{said}");
}

/// A module with the gradient of every parameter in its place.
struct Gradients<'a>(&'a burn::tensor::Gradients);

impl ModuleMapper for Gradients<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradient = param.val().grad(self.0).expect("every parameter gets a gradient");
        Param::from_tensor(gradient)
    }
}

/// Ids of a fixture, row by row, without the padding behind them.
fn real_ids(file: &SafeTensors<'_>, key: &str) -> Padded {
    let rows = ids(file, key).rows().collect::<Vec<_>>().into_iter();
    let real = rows.map(|row| row.into_iter().take_while(|id| *id != 0).collect::<Vec<u32>>());
    Padded::new(&real.collect::<Vec<_>>())
}
