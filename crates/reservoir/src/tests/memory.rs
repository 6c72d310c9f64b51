//! What is held while states are harvested and a readout is learned: never the states of all steps.
//!
//! Bytes are counted, in a process of its own in which no other test allocates.

use std::{env, process::Command};

use peak_alloc::PeakAlloc;

use super::{numbers, one, small};
use crate::*;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

const CHILD: &str = "tests::memory::a_process_that_counts";

/// Steps of a short series and of a long one.
const SHORT: usize = 20_000;
const LONG: usize = 220_000;

/// What threads and the library that multiplies matrices may allocate when they like.
const SLACK: usize = 4 << 20;

/// The most bytes that `work` has allocated at once, beyond what was there.
fn most(work: impl FnOnce()) -> usize {
    let before = COUNTED.current_usage();
    COUNTED.reset_peak_usage();
    work();
    COUNTED.peak_usage().saturating_sub(before)
}

/// Some series of so many steps together.
fn series(steps: usize, count: usize) -> Vec<(Series, Series)> {
    let of = |n: usize| {
        let each = steps / count;
        (Series::of(numbers(each, n * each)), Series::of(numbers(each, n * each + 7)))
    };
    (0..count).map(of).collect()
}

/// Of a fit to so many steps in so many series.
fn fitted(config: &EsnConfig, steps: usize, count: usize) -> usize {
    let series = series(steps, count);
    let mut network = config.init(1, 1).unwrap();
    most(|| {
        network.fit(&series).unwrap();
    })
}

/// Of a fit in parts, which are all that there is of the series.
fn fitted_in_parts(config: &EsnConfig, steps: usize) -> usize {
    let network = config.init(1, 1).unwrap();
    most(|| {
        let mut fit = network.partial_fit();
        for first in (0..steps).step_by(1000) {
            let part = |from| Series::of(numbers(1000, from));
            fit.add(&part(first), &part(first + 7)).unwrap();
        }
        fit.solve(1e-3).unwrap();
    })
}

/// Of hearing so many steps.
fn heard(config: &EsnConfig, steps: usize) -> usize {
    let network = config.init(1, 1).unwrap();
    let [(u, d)] = &series(steps, 1)[..] else { panic!("one series") };
    most(|| network.warm_up(u, d, &mut network.start()).unwrap())
}

/// Of running over so many steps, without the outputs, which are what is asked for.
fn run(config: &EsnConfig, steps: usize) -> usize {
    let mut network = config.init(1, 1).unwrap();
    network.fit(&series(1000, 1)).unwrap();
    let u = Series::of(numbers(steps, 0));
    let all = most(|| drop(network.run(&u, &mut network.start()).unwrap()));
    all - steps * size_of::<f64>()
}

#[test]
#[ignore = "the other test runs it, as a process of its own"]
fn a_process_that_counts() {
    let plain = EsnConfig { regularization: 1e-3, ..one(small()) };
    let with =
        |reservoir: ReservoirConfig| EsnConfig { reservoirs: vec![reservoir], ..plain.clone() };
    let feedback = with(ReservoirConfig { feedback_scaling: 0.3, noise: 1e-3, ..small() });
    let stacked = EsnConfig { reservoirs: vec![small(), small()], ..plain.clone() };
    let selection = Selection::HoldOut(vec![1e-3, 1.0]);
    let held_out = EsnConfig { selection, ..plain.clone() };
    // What keeps all steps is seen to do so.
    let states = |steps: usize| steps * small().units * size_of::<f64>();
    let svd = EsnConfig { solver: Solver::Svd, ..plain.clone() };
    let kept = fitted(&svd, SHORT, 1);
    assert!(kept > states(SHORT), "{kept} bytes with all steps");

    let ways: [(&str, &dyn Fn(usize) -> usize); 8] = [
        ("one series", &|steps| fitted(&plain, steps, 1)),
        ("40 series beside each other", &|steps| fitted(&plain, steps, 40)),
        ("feedback and noise", &|steps| fitted(&feedback, steps, 1)),
        ("two reservoirs", &|steps| fitted(&stacked, steps, 1)),
        ("steps held out", &|steps| fitted(&held_out, steps, 1)),
        ("in parts", &|steps| fitted_in_parts(&plain, steps)),
        ("hearing", &|steps| heard(&plain, steps)),
        ("running", &|steps| run(&plain, steps)),
    ];
    for (name, way) in ways {
        // The first time pays for what later ones find ready.
        let [_, short, long] = [SHORT, SHORT, LONG].map(way);
        println!("{name}: {short} and {long} bytes");
        assert!(
            long <= short + SLACK,
            "{name}: {short} bytes for {SHORT} steps, {long} for {LONG}"
        );
        assert!(SLACK < states(LONG - SHORT) / 10);
    }
}

/// Ten times as many steps are learned from, heard and run over in the same memory.
#[test]
fn memory_does_not_grow_with_the_steps_that_are_learned_from() {
    let mut command = Command::new(env::current_exe().unwrap());
    let child = command.args(["--ignored", "--exact", "--nocapture", CHILD]).output().unwrap();
    let said = [child.stdout, child.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
