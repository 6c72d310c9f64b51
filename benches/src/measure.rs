//! Sides that take turns: A B, B A, A B …, so that a machine that gets slower gets slower for all.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use burn::tensor::Device;

use crate::{case::Work, peer::PeerError};

/// Who does a piece of work.
pub trait Side {
    /// What it is called in the results: `ours on flex`.
    fn name(&self) -> &str;

    /// Does the work so many times; gives the seconds of all together.
    ///
    /// # Errors
    ///
    /// If a peer does not answer.
    fn run(&mut self, times: usize) -> Result<f64, PeerError>;
}

/// A side inside this process.
pub struct Local {
    name: String,
    device: Device,
    work: Work,
}

impl Local {
    /// `work`, done on `device`.
    pub fn new(name: String, device: Device, work: Work) -> Self {
        Self { name, device, work }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Side for Local {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&mut self, times: usize) -> Result<f64, PeerError> {
        // A device that computes while the program goes on may not be done with what was before.
        let wait = || self.device.sync().expect("a device that has been opened computes");
        wait();
        let began = Instant::now();
        for _ in 0..times {
            (self.work)();
        }
        wait();
        Ok(began.elapsed().as_secs_f64())
    }
}

/// How much time is spent.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The least seconds of one turn: quick work is done several times.
    pub turn: f64,
    /// About how many seconds all turns may take.
    pub budget: f64,
    /// The fewest and the most turns.
    pub rounds: [usize; 2],
}

impl Effort {
    /// For numbers to be quoted.
    pub const FULL: Self = Self { turn: 0.05, budget: 8.0, rounds: [5, 41] };
    /// To see that it works.
    pub const QUICK: Self = Self { turn: 0.01, budget: 0.8, rounds: [2, 7] };
}

/// The turns of one side: seconds for doing the work once.
#[derive(Clone, Debug)]
pub struct Turns {
    /// Which side.
    pub side: String,
    /// In the order in which they were taken.
    pub seconds: Vec<f64>,
}

/// Between two turns, so that the threads of the side before are asleep.
const PAUSE: Duration = Duration::from_millis(10);

/// Lets all sides do their work, taking turns.
///
/// # Errors
///
/// If a peer does not answer.
pub fn alternate(sides: &mut [Box<dyn Side>], effort: Effort) -> Result<Vec<Turns>, PeerError> {
    let mut times = Vec::new();
    let mut round = 0.0;
    for side in sides.iter_mut() {
        thread::sleep(PAUSE);
        let first = side.run(1)?;
        // The first run pays for what later ones find ready.
        let once = if first > 1.0 { first } else { first.min(side.run(1)?) };
        let count = (effort.turn / once.max(1e-9)).ceil().clamp(1.0, 1e5);
        times.push(count as usize);
        round += count * once;
    }
    let [fewest, most] = effort.rounds;
    let rounds = ((effort.budget / round) as usize).clamp(fewest, most);
    let mut turns: Vec<Turns> = sides
        .iter()
        .map(|side| Turns { side: side.name().to_owned(), seconds: Vec::with_capacity(rounds) })
        .collect();
    for round in 0..rounds {
        for place in 0..sides.len() {
            let n = if round % 2 == 0 { place } else { sides.len() - 1 - place };
            thread::sleep(PAUSE);
            turns[n].seconds.push(sides[n].run(times[n])? / times[n] as f64);
        }
    }
    Ok(turns)
}

/// The value below which a share of `values` lies, between the two nearest.
///
/// # Panics
///
/// If there is no value.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The slope of the line through `points` that misses them least, both axes in the logarithm: `y`
/// grows as `x` to this power.
pub fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs = points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln()));
    let logs: Vec<(f64, f64)> = logs.collect();
    if logs.len() < 2 {
        return None;
    }
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(covariance / variance)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    struct Counted(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Side for Counted {
        fn name(&self) -> &str {
            self.0
        }

        fn run(&mut self, times: usize) -> Result<f64, PeerError> {
            self.1.borrow_mut().push(self.0);
            Ok(times as f64)
        }
    }

    #[test]
    fn sides_take_turns_there_and_back() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let side = |name| Box::new(Counted(name, log.clone())) as Box<dyn Side>;
        let effort = Effort { turn: 3.0, budget: 12.0, rounds: [1, 9] };
        let turns = alternate(&mut [side("a"), side("b")], effort).unwrap();
        assert_eq!(turns[0].seconds, [1.0, 1.0]);
        assert_eq!(log.borrow()[4..], ["a", "b", "b", "a"]);
    }

    #[test]
    fn quantiles_and_exponents() {
        assert_eq!(
            [0.0, 0.25, 0.5].map(|share| quantile(&[3.0, 1.0, 2.0], share)),
            [1.0, 1.5, 2.0]
        );
        let cubes: Vec<_> = (1..6).map(|n| (f64::from(n), 5.0 * f64::from(n).powi(3))).collect();
        assert!((exponent(&cubes).unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(exponent(&cubes[..1]), None);
    }
}
