//! A piece of work, done a number of times and nothing else: `instructions CASE TIMES`. For counting
//! instructions there are three small ones, see `count.sh` beside it; any case of `benches --list`
//! will do for a profile.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use burn::prelude::Device;
use recurrent_benches::{
    case::{Case, Work, all},
    decode::{DecodeCase, Weights},
    layer::{CellName, Fill, LayerCase, Mode},
    model::Model,
};

fn main() -> ExitCode {
    recurrent_kernels::heap::settle();
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().as_deref().and_then(work);
    let times = arguments.next().and_then(|times| times.parse::<usize>().ok());
    let (Some(mut work), Some(times)) = (work, times) else {
        let _ = writeln!(io::stderr(), "usage: instructions lstm|gru|greedy|CASE TIMES");
        return ExitCode::from(2);
    };
    for _ in 0..times {
        work();
    }
    ExitCode::SUCCESS
}

fn work(name: &str) -> Option<Work> {
    let device = Device::flex();
    let training =
        |cell| LayerCase { cell, shape: [8, 4, 64], mode: Mode::Training, fill: Fill::Full };
    match name {
        "lstm" => Some(training(CellName::Lstm).ours(&device)),
        "gru" => Some(training(CellName::Gru).ours(&device)),
        "greedy" => {
            let (model, weights) = (Model::GNMT.small(), Weights::Float);
            Some(DecodeCase { model, weights, width: 1 }.ours(&device))
        }
        _ => all().iter().find(|case| case.name() == name).map(|case| case.ours(&device)),
    }
}
