mod damage;
mod parity;
mod refusals;
mod round_trip;
mod state_dict;

use std::path::{Path, PathBuf};

use burn::prelude::*;
use recurrent_cells::{
    Activation, Bidirectional, GruCell, LstmCell, Part, ProjectedLstmCell, RnnCell, Stack, State,
};
use recurrent_testkit::Fixture;

use crate::{PytorchCell, PytorchLayer};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A cell whose choice the metadata of a fixture says.
trait Chosen: PytorchCell {
    fn choice(fixture: &Fixture) -> Self::Choice;
}

impl Chosen for RnnCell {
    fn choice(fixture: &Fixture) -> Activation {
        match fixture.text("nonlinearity") {
            "tanh" => Activation::Tanh,
            "relu" => Activation::Relu,
            other => panic!("a nonlinearity `{other}`"),
        }
    }
}

impl Chosen for LstmCell {
    fn choice(_: &Fixture) {}
}

impl Chosen for ProjectedLstmCell {
    fn choice(_: &Fixture) {}
}

impl Chosen for GruCell {
    fn choice(_: &Fixture) {}
}

/// A check of a fixture, for every type of layer.
trait Check {
    fn run<L: PytorchLayer<Cell: Chosen>>(path: &Path, fixture: &Fixture);
}

/// Runs a check with the type of layer that the fixture is of.
fn check<C: Check>(path: &Path) {
    let fixture = Fixture::read(path);
    let two_ways = fixture.text("bidirectional") == "true";
    match (fixture.text("kind"), fixture.text("proj_size"), two_ways) {
        ("RNN", "0", false) => C::run::<RnnCell>(path, &fixture),
        ("RNN", "0", true) => C::run::<Bidirectional<RnnCell>>(path, &fixture),
        ("GRU", "0", false) => C::run::<GruCell>(path, &fixture),
        ("GRU", "0", true) => C::run::<Bidirectional<GruCell>>(path, &fixture),
        ("LSTM", "0", false) => C::run::<LstmCell>(path, &fixture),
        ("LSTM", "0", true) => C::run::<Bidirectional<LstmCell>>(path, &fixture),
        ("LSTM", _, false) => C::run::<ProjectedLstmCell>(path, &fixture),
        ("LSTM", _, true) => C::run::<Bidirectional<ProjectedLstmCell>>(path, &fixture),
        other => panic!("a fixture of {other:?}"),
    }
}

/// `[L · D, B, ·]` hidden states, and an LSTM's cells, as the states of a stack.
fn unpacked<L: PytorchLayer>(
    stack: &Stack<L>,
    hidden: &Tensor<3>,
    cells: Option<&Tensor<3>>,
) -> Vec<L::State> {
    let row = |packed: &Tensor<3>, n: &mut usize| {
        *n += 1;
        packed.clone().narrow(0, *n - 1, 1).squeeze_dim(0)
    };
    let (mut hiddens, mut others) = (0, 0);
    let states: Vec<_> = stack.layers.iter().map(|layer| layer.start(hidden.dims()[1])).collect();
    let states = states.map(&mut |part, _| match part {
        Part::Hidden => row(hidden, &mut hiddens),
        Part::Cell => row(cells.expect("cells for a cell that has some"), &mut others),
        Part::Past => panic!("no module of PyTorch keeps the past"),
    });
    assert_eq!(hiddens, hidden.dims()[0], "every hidden state has been taken");
    assert_eq!(others, cells.map_or(0, |cells| cells.dims()[0]), "every cell has been taken");
    states
}

/// The other way.
fn packed<S: State>(states: Vec<S>) -> (Tensor<3>, Option<Tensor<3>>) {
    let (mut hidden, mut cells) = (Vec::new(), Vec::new());
    let _ = states.map(&mut |part, state| {
        if part == Part::Hidden { &mut hidden } else { &mut cells }.push(state.clone());
        state
    });
    let cells = (!cells.is_empty()).then(|| Tensor::stack(cells, 0));
    (Tensor::stack(hidden, 0), cells)
}
