//! What does not fit is refused, in words that say what and where.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_cells::{
    Activation, Bidirectional, GruCell, GruConfig, LstmCell, LstmConfig, Merge, ProjectedLstmCell,
    ProjectedLstmConfig, Reset, RnnCell, RnnConfig, Stack,
};
use recurrent_testkit::in_f64;
use rstest::rstest;

use super::fixture;
use crate::{PytorchCell, PytorchError, PytorchLayer, StateDict, add_to, load, save};

/// What loading a fixture as an `L` says, with `FILE` for the file.
fn refusal<L: PytorchLayer<Cell: PytorchCell<Choice = ()>>>(name: &str, prefix: &str) -> String {
    let path = fixture(name);
    let dict = StateDict::read(&path).unwrap();
    let error = load::<L>(&dict, prefix, (), &Device::flex()).unwrap_err();
    error.to_string().replace(&format!("`{}`", path.display()), "FILE")
}

#[test]
fn a_bidirectional_file_is_no_unidirectional_stack() {
    assert_eq!(
        refusal::<LstmCell>("lstm_bidirectional.safetensors", ""),
        "FILE has the key `bias_hh_l0_reverse`, \
         which a unidirectional `nn.LSTM` without projection does not have"
    );
}

#[test]
fn a_unidirectional_file_is_no_bidirectional_stack() {
    assert_eq!(
        refusal::<Bidirectional<LstmCell>>("lstm.pt", ""),
        "FILE has no key `weight_ih_l0_reverse`; \
         it has `bias_hh_l0`, `bias_ih_l0`, `weight_hh_l0`, `weight_ih_l0`"
    );
}

#[test]
fn a_projected_file_is_no_plain_lstm() {
    assert_eq!(
        refusal::<LstmCell>("lstm_projection.safetensors", ""),
        "FILE has the key `weight_hr_l0`, \
         which a unidirectional `nn.LSTM` without projection does not have"
    );
}

#[test]
fn a_plain_file_is_no_projected_lstm() {
    assert_eq!(
        refusal::<ProjectedLstmCell>("lstm.pt", ""),
        "FILE has no key `weight_hr_l0`; \
         it has `bias_hh_l0`, `bias_ih_l0`, `weight_hh_l0`, `weight_ih_l0`"
    );
}

#[test]
fn an_lstm_file_is_no_gru() {
    assert_eq!(
        refusal::<GruCell>("lstm.pt", ""),
        "`weight_ih_l0` in FILE is [12, 4], but a unidirectional `nn.GRU` needs [9, 4] \
         (3 gates · 3 units, 4 inputs)"
    );
}

#[test]
fn a_gru_file_is_no_lstm() {
    assert_eq!(
        refusal::<LstmCell>("gru_no_bias.safetensors", ""),
        "`weight_ih_l0` in FILE is [9, 4], but a unidirectional `nn.LSTM` without projection \
         needs [12, 4] (4 gates · 3 units, 4 inputs)"
    );
}

#[test]
fn an_rnn_file_is_no_lstm_and_an_lstm_file_no_rnn() {
    assert_eq!(
        refusal::<LstmCell>("rnn_tanh.pt", ""),
        "`weight_ih_l0` in FILE is [3, 4], but a unidirectional `nn.LSTM` without projection \
         needs [12, 4] (4 gates · 3 units, 4 inputs)"
    );
    let dict = StateDict::read(fixture("lstm.pt")).unwrap();
    let error = load::<RnnCell>(&dict, "", Activation::Tanh, &Device::flex()).unwrap_err();
    let expected = "is [12, 4], but a unidirectional `nn.RNN` needs [3, 4] (3 units, 4 inputs)";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn a_prefix_with_nothing_under_it_says_what_there_is() {
    assert_eq!(
        refusal::<LstmCell>("nested.pt", "decoder.rnn"),
        "FILE has no key `decoder.rnn.weight_ih_l0`; \
         it has `encoder.rnn.bias_hh_l0`, `encoder.rnn.bias_hh_l0_reverse`, \
         `encoder.rnn.bias_hh_l1`, `encoder.rnn.bias_hh_l1_reverse`, `encoder.rnn.bias_ih_l0`, \
         `encoder.rnn.bias_ih_l0_reverse`, `encoder.rnn.bias_ih_l1`, \
         `encoder.rnn.bias_ih_l1_reverse` and 10 more"
    );
    let empty = load::<LstmCell>(&StateDict::new(), "", (), &Device::flex()).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "the state dict has no key `weight_ih_l0`; it has no keys at all"
    );
}

/// Two layers of an LSTM, I = 4 and H = 3, in single precision.
fn two_layers() -> StateDict {
    let device = Device::flex();
    let cell = |d_input| LstmConfig::new(d_input, 3).init(&device);
    save(&Stack::new(vec![cell(4), cell(3)]), "rnn").unwrap()
}

fn zeros(shape: &[usize]) -> TensorData {
    TensorData::zeros::<f32, _>(shape.to_vec())
}

#[rstest]
#[case::columns_above("weight_ih_l1", &[12, 4], "[12, 3] (4 gates · 3 units, 3 outputs of the layer below)")]
#[case::another_size_above("weight_hh_l1", &[16, 4], "[12, 3] (4 gates · 3 units, 3 outputs)")]
#[case::a_bias("bias_hh_l0", &[13], "[12] (4 gates · 3 units)")]
#[case::a_matrix_for_a_bias("bias_ih_l1", &[12, 1], "[12] (4 gates · 3 units)")]
#[case::a_bias_for_a_matrix("weight_ih_l0", &[48], "two sizes above 0")]
#[case::no_units("weight_hh_l0", &[0, 0], "two sizes above 0")]
fn a_shape_that_does_not_fit_says_why(
    #[case] name: &str,
    #[case] shape: &[usize],
    #[case] expected: &str,
) {
    let mut dict = two_layers();
    dict.insert(&format!("rnn.{name}"), zeros(shape)).unwrap();
    let error = load::<LstmCell>(&dict, "rnn", (), &Device::flex()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`rnn.{name}` in the state dict is {shape:?}, \
             but a unidirectional `nn.LSTM` without projection needs {expected}"
        )
    );
}

#[rstest]
#[case::a_weight(&["weight_hh_l1"], "weight_hh_l1")]
#[case::one_of_the_biases(&["bias_ih_l1"], "bias_ih_l1")]
#[case::a_layer(
    &["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"],
    "weight_ih_l0"
)]
fn a_key_that_is_missing_is_named(#[case] removed: &[&str], #[case] name: &str) {
    let mut dict = two_layers();
    for name in removed {
        assert!(dict.remove(&format!("rnn.{name}")));
    }
    let error = load::<LstmCell>(&dict, "rnn", (), &Device::flex()).unwrap_err();
    let start = format!("the state dict has no key `rnn.{name}`; it has `rnn.");
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[rstest]
#[case("weight_ih_l00")]
#[case("weight_ih_l+1")]
#[case("weight_ih_l")]
#[case("weight_ih_l0_backward")]
#[case("weight_hh_l0_g")]
#[case("weight_xx_l0")]
#[case("weight_hr_l0")]
#[case("head")]
fn a_key_that_is_not_known_is_named(#[case] name: &str) {
    let mut dict = two_layers();
    dict.insert(&format!("rnn.{name}"), zeros(&[12, 3])).unwrap();
    let error = load::<LstmCell>(&dict, "rnn", (), &Device::flex()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the state dict has the key `rnn.{name}`, \
             which a unidirectional `nn.LSTM` without projection does not have"
        )
    );
}

#[test]
fn a_layer_of_any_number_is_looked_for_and_no_further() {
    let mut dict = two_layers();
    dict.insert(&format!("rnn.weight_ih_l{}", usize::MAX), zeros(&[12, 3])).unwrap();
    let error = load::<LstmCell>(&dict, "rnn", (), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("no key `rnn.weight_ih_l2`"), "{error}");
}

#[test]
fn one_module_is_of_one_dtype() {
    let mut dict = two_layers();
    let double = dict.get("rnn.bias_hh_l1").unwrap().convert_dtype(DType::F64);
    dict.insert("rnn.bias_hh_l1", double).unwrap();
    let error = load::<LstmCell>(&dict, "rnn", (), &Device::flex()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`rnn.bias_hh_l1` in the state dict is F64, but `rnn.weight_ih_l0` is F32"
    );
}

#[test]
fn a_linear_rnn_is_not_in_pytorch() {
    let message = "`nn.RNN` has no nonlinearity for `Activation::Identity`, only `tanh` and `relu`";
    let device = Device::flex();
    let config = RnnConfig::new(4, 3).with_activation(Activation::Identity);
    let error = save(&Stack::new(vec![config.init(&device)]), "").unwrap_err();
    assert_eq!(error.to_string(), message);
    let dict = StateDict::read(fixture("rnn_tanh.pt")).unwrap();
    let error = load::<RnnCell>(&dict, "", Activation::Identity, &device).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_gru_that_resets_before_the_product_is_not_in_pytorch() {
    let config = GruConfig::new(4, 3).with_reset(Reset::BeforeProduct);
    let error = save(&Stack::new(vec![config.init(&Device::flex())]), "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`nn.GRU` has no `Reset::BeforeProduct`, only `Reset::AfterProduct`"
    );
}

#[rstest]
fn a_merge_other_than_side_by_side_is_not_in_pytorch(
    #[values(Merge::Sum, Merge::Mean, Merge::Product)] merge: Merge,
) {
    let cell = || GruConfig::new(4, 3).init(&Device::flex());
    let layer = Bidirectional::new(cell(), cell()).with_merge(merge);
    let error = save(&Stack::new(vec![layer]), "").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`nn.GRU` has no `Merge::{merge:?}`, only `Merge::Concat`")
    );
}

/// A stack of ours may have layers of different sizes; a module has one `hidden_size`.
#[test]
fn layers_of_different_sizes_are_not_in_pytorch() {
    let device = Device::flex();
    let layers = vec![LstmConfig::new(4, 3).init(&device), LstmConfig::new(3, 5).init(&device)];
    let mut dict = StateDict::new();
    let error = add_to(&Stack::new(layers), &mut dict, "rnn").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`rnn.weight_ih_l1` in the state dict is [20, 3], but a unidirectional `nn.LSTM` without \
         projection needs [12, 3] (4 gates · 3 units, 3 outputs of the layer below)"
    );
    assert_eq!(dict.keys().count(), 0);

    // The same output, but of another number of units.
    let cell = |d_input, d_cell| ProjectedLstmConfig::new(d_input, d_cell, 2).init(&device);
    let error = save(&Stack::new(vec![cell(4, 3), cell(2, 5)]), "").unwrap_err();
    assert!(matches!(error, PytorchError::WrongShape { .. }), "{error:?}");
}

#[test]
fn layers_of_different_dtypes_are_not_in_pytorch() {
    let cell = |d_input| LstmConfig::new(d_input, 3).init(&Device::flex().autodiff());
    let error = save(&Stack::new(vec![cell(4), in_f64(cell(3))]), "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`weight_ih_l1` in the state dict is F64, but `weight_ih_l0` is F32"
    );
}
