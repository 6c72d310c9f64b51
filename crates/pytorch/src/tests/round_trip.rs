//! What comes in goes out the same.

use std::path::{Path, PathBuf};

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_cells::{
    Bidirectional, GruCell, GruConfig, Layer, Lengths, LstmCell, LstmConfig, Stack, Update,
};
use recurrent_testkit::{Fixture, assert_close, assert_same_bits, in_f64, random};
use rstest::rstest;

use super::{Check, Chosen, check, fixture, packed, unpacked};
use crate::{PytorchLayer, StateDict, add_to, load, save};

#[rstest]
fn x_4_a_file_that_was_written_computes_the_same_to_the_bit(
    #[files("fixtures/*.safetensors")] path: PathBuf,
) {
    check::<SameFunction>(&path);
}

#[rstest]
fn what_goes_out_is_what_came_in(#[files("fixtures/*.safetensors")] path: PathBuf) {
    check::<SameKeys>(&path);
}

struct SameFunction;

impl Check for SameFunction {
    fn run<L: PytorchLayer<Cell: Chosen>>(path: &Path, fixture: &Fixture) {
        let (device, prefix) = (Device::flex(), fixture.text("prefix"));
        let read = |path: &Path| {
            let dict = StateDict::read(path).unwrap();
            load::<L>(&dict, prefix, L::Cell::choice(fixture), &device).unwrap()
        };
        let before = read(path);
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("written");
        save(&before, prefix).unwrap().write(&written).unwrap();
        let after = read(&written);

        let outputs = |stack: &Stack<L>| {
            let x = fixture.tensor::<3>("io.x", &device);
            let lengths = Lengths::new(fixture.integers("io.lengths"), x.dims()[1]);
            let h0 = fixture.tensor("io.h0", &device);
            let c0 = fixture.get("io.c0").map(|_| fixture.tensor("io.c0", &device));
            let (y, last) = stack.forward(x, unpacked(stack, &h0, c0.as_ref()), &lengths);
            let (h_n, c_n) = packed(last);
            [Some(y), Some(h_n), c_n]
        };
        for (before, after) in outputs(&before).into_iter().zip(outputs(&after)).take(3) {
            if let (Some(before), Some(after)) = (before, after) {
                assert_same_bits(&after, &before);
            }
        }
    }
}

struct SameKeys;

impl Check for SameKeys {
    fn run<L: PytorchLayer<Cell: Chosen>>(path: &Path, fixture: &Fixture) {
        let prefix = fixture.text("prefix");
        let dict = StateDict::read(path).unwrap();
        let choice = L::Cell::choice(fixture);
        let stack = load::<L>(&dict, prefix, choice, &Device::flex()).unwrap();
        let out = save(&stack, prefix).unwrap();

        let biases = fixture.text("bias") == "true";
        let ours = |key: &&str| key.strip_prefix(prefix).is_some_and(|name| !name.contains('.'));
        let expected: Vec<_> = dict.keys().filter(ours).collect();
        let found: Vec<_> = out.keys().filter(|key| biases || !key.contains("bias")).collect();
        assert_eq!(found, expected);

        for key in out.keys() {
            let summed = fixture.text("kind") != "GRU" && key.contains("bias");
            let got = out.get(key).unwrap();
            let expected = if !biases && key.contains("bias") {
                zeros(got.num_elements())
            } else if summed && key.contains("bias_hh") {
                zeros(fixture.data(key).num_elements())
            } else if summed {
                sum(&fixture.data(key), &fixture.data(&key.replace("bias_ih", "bias_hh")))
            } else {
                fixture.data(key)
            };
            got.assert_eq(&expected, true);
        }
    }
}

fn zeros(count: usize) -> TensorData {
    TensorData::new(vec![0.0; count], [count])
}

fn sum(a: &TensorData, b: &TensorData) -> TensorData {
    let sums: Vec<f64> = a.iter::<f64>().zip(b.iter::<f64>()).map(|(a, b)| a + b).collect();
    TensorData::new(sums, a.shape().clone())
}

/// A cell is of the dtype of its file, whatever the device would choose.
#[rstest]
#[case(DType::F64)]
#[case(DType::F32)]
#[case(DType::F16)]
#[case(DType::BF16)]
fn a_dtype_survives(#[case] dtype: DType) {
    let original = StateDict::read(fixture("lstm.safetensors")).unwrap();
    let mut dict = StateDict::new();
    for name in ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"] {
        dict.insert(name, original.get(name).unwrap().convert_dtype(dtype)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    dict.write(folder.path().join("lstm")).unwrap();
    let dict = StateDict::read(folder.path().join("lstm")).unwrap();

    let stack = load::<LstmCell>(&dict, "", (), &Device::flex()).unwrap();
    let cell = &stack.layers[0];
    assert_eq!([cell.w_x.val().dtype(), cell.w_h.val().dtype()], [dtype; 2]);
    assert_eq!(cell.b.val().dtype(), dtype);
    let out = save(&stack, "").unwrap();
    for name in ["weight_ih_l0", "weight_hh_l0"] {
        out.get(name).unwrap().assert_eq(&dict.get(name).unwrap(), true);
    }
}

/// GR-3: negating the parameters of `z` takes one convention of the update gate to the other.
#[test]
fn gr_3_a_gru_whose_gate_writes_goes_out_as_one_whose_gate_keeps() {
    let device = Device::flex().autodiff();
    let writes = |d_input, seed| {
        let mut cell = GruConfig::new(d_input, 3).with_update(Update::Writes).init(&device);
        cell.b_x = Param::from_tensor(random([9], seed, DType::F64, &device));
        cell.b_h = Param::from_tensor(random([9], seed + 1, DType::F64, &device));
        in_f64(cell)
    };
    let stack = Stack::new(vec![
        Bidirectional::new(writes(4, 1), writes(4, 3)),
        Bidirectional::new(writes(6, 5), writes(6, 7)),
    ]);
    let out = save(&stack, "").unwrap();
    let keeps = load::<Bidirectional<GruCell>>(&out, "", (), &device).unwrap();
    assert_eq!(keeps.layers[1].backward.update, Update::Keeps);

    let (x, lengths) = (random([2, 5, 4], 9, DType::F64, &device), Lengths::new([5, 3], 5));
    let (expected, _) = stack.forward(x.clone(), None, &lengths);
    let (actual, _) = keeps.forward(x, None, &lengths);
    assert_close(&actual, expected.to_data(), 1e-14);
}

/// Weights that are trained and not only run are leaves of the graph, summed biases too.
#[test]
fn what_comes_in_can_be_trained() {
    let dict = StateDict::read(fixture("lstm.safetensors")).unwrap();
    let stack = load::<LstmCell>(&dict, "", (), &Device::flex().autodiff()).unwrap();
    let cell = &stack.layers[0];
    assert!(cell.w_x.is_require_grad() && cell.w_h.is_require_grad() && cell.b.is_require_grad());
}

/// What a module with more layers left behind would make the file unreadable.
#[test]
fn a_module_takes_the_place_of_another_and_touches_nothing_else() {
    let device = Device::flex();
    let mut dict = StateDict::read(fixture("nested.safetensors")).unwrap();
    let others: Vec<_> = dict.keys().filter(|key| !key.starts_with("encoder.rnn.")).collect();
    let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
    let before: Vec<_> = others.iter().map(|key| dict.shape(key).unwrap().to_vec()).collect();

    let stack = Stack::new(vec![LstmConfig::new(4, 3).init(&device)]);
    add_to(&stack, &mut dict, "encoder.rnn").unwrap();

    let back = load::<LstmCell>(&dict, "encoder.rnn.", (), &device).unwrap();
    assert_same_bits(&back.layers[0].w_h.val(), &stack.layers[0].w_h.val());
    let after: Vec<_> = others.iter().map(|key| dict.shape(key).unwrap().to_vec()).collect();
    assert_eq!(after, before);
}
