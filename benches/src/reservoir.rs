//! Echo state networks beside ReservoirPy: states, ridge regression, many series at once, a search, and how time
//! and memory grow.
//!
//! Both sides have the same matrices, in double precision, as ReservoirPy draws them when nothing is said: a tenth
//! of `W` and of `W_in`.

use burn::{prelude::*, tensor::TensorData};
use rayon::prelude::*;
use recurrent_kernels::sparse::{LeakyUnits, Rows, Weights};
use recurrent_reservoir::{
    EsnConfig, InputTopology, Normal, OneOrEach, Reservoir, ReservoirConfig, Series,
    metrics::nrmse, signals,
};
use serde_json::{Value, json};

use crate::{
    case::{Case, LinePoint, Numbers, OnProcessor, Work},
    peer::PeerName,
};

/// `λ` of every regression but those of the search.
const RIDGE: f64 = 1e-6;

/// Settings that a search tries.
const SETTINGS: usize = 200;

/// Steps of a search's series that are learned from, of [`SEARCHED`]; the first [`WASHOUT`] are not.
const LEARNED: usize = 1500;

/// Steps of a search's series.
const SEARCHED: usize = 2000;

/// Steps that a search forgets.
const WASHOUT: usize = 100;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// The states of one series.
    Harvest,
    /// Ridge regression from states that are there.
    Fit,
    /// The states of so many series.
    Batch(usize),
    /// A network learns one series, from its inputs on; only ours, for the memory it takes.
    Learn,
    /// So many settings of a network: drawn, learned, measured on what comes next.
    Search(usize),
}

/// What grows along a line of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Units,
    Steps,
    Density,
}

/// One piece of work.
#[derive(Clone, Copy, Debug)]
pub struct ReservoirCase {
    job: Job,
    units: usize,
    steps: usize,
    /// The share of weights of `W`, in thousandths.
    density: usize,
    axis: Option<Axis>,
}

/// All of them.
pub fn all() -> impl Iterator<Item = ReservoirCase> {
    let case = |job, units, steps| ReservoirCase { job, units, steps, density: 100, axis: None };
    let sizes = [100, 1000, 2000];
    let mut cases = Vec::new();
    cases.extend(sizes.map(|units| case(Job::Harvest, units, 5000)));
    cases.extend(sizes.map(|units| case(Job::Fit, units, 5000)));
    cases.extend([100, 500].map(|units| case(Job::Batch(64), units, 500)));
    cases.push(case(Job::Search(SETTINGS), 100, SEARCHED));
    let on = |axis, case: ReservoirCase| ReservoirCase { axis: Some(axis), ..case };
    for job in [Job::Harvest, Job::Fit] {
        let sizes = (0..5).map(|n| case(job, 125 << n, 4000));
        cases.extend(sizes.map(|case| on(Axis::Units, case)));
        let lengths = (0..5).map(|n| case(job, 250, 1000 << (2 * n)));
        cases.extend(lengths.map(|case| on(Axis::Steps, case)));
    }
    let densities = [10, 20, 50, 100, 200, 400];
    cases.extend(densities.map(|density| {
        on(Axis::Density, ReservoirCase { density, ..case(Job::Harvest, 1000, 2000) })
    }));
    let lengths = [10_000, 100_000, 1_000_000, 10_000_000];
    cases.extend(lengths.map(|steps| on(Axis::Steps, case(Job::Learn, 100, steps))));
    cases.into_iter()
}

/// Small ones of which both sides must give the same.
pub fn small() -> impl Iterator<Item = ReservoirCase> {
    [Job::Harvest, Job::Fit, Job::Batch(3)].into_iter().map(|job| ReservoirCase {
        job,
        units: 40,
        steps: 60,
        density: 100,
        axis: None,
    })
}

impl ReservoirCase {
    fn reservoir(&self) -> Reservoir {
        let config = ReservoirConfig {
            units: self.units,
            density: self.density as f64 / 1000.0,
            input_topology: InputTopology::Bernoulli,
            input_density: 0.1,
            ..ReservoirConfig::default()
        };
        config.init(1, 1, 1).expect("a matrix that can be scaled")
    }

    /// How many series there are.
    fn series(&self) -> usize {
        match self.job {
            Job::Batch(series) => series,
            _ => 1,
        }
    }

    /// The inputs `[series, T]`.
    fn inputs(&self) -> Vec<f64> {
        uniform(self.series() * self.steps, 2)
    }

    /// What a regression is to give.
    fn targets(&self) -> Vec<f64> {
        uniform(self.steps, 3)
    }

    /// The features of a regression: the constant, and numbers in the place of states.
    fn features(&self) -> Vec<f64> {
        let states = uniform(self.steps * self.units, 4);
        states.chunks(self.units).flat_map(|x| [&[1.0], x].concat()).collect()
    }

    /// The states of all series.
    fn harvest(&self, units: &LeakyUnits<f64>, u: &[f64], elements: &mut [f64]) {
        let (n, steps) = (self.units, self.steps);
        if let Job::Batch(series) = self.job {
            let u: Vec<&[f64]> = u.chunks(steps).collect();
            let mut states = vec![vec![0.0; n]; series];
            let mut rows: Vec<_> = elements
                .chunks_mut(steps * n)
                .map(|elements| Rows { elements, stride: n, offset: 0 })
                .collect();
            units.batch(&u, &mut states, &mut rows);
        } else {
            let rows = Rows { elements, stride: n, offset: 0 };
            units.sequence(u, None, &mut vec![0.0; n], rows);
        }
    }

    fn fit(&self, p: &[f64], y: &[f64]) -> Vec<f64> {
        let mut sums = Normal::new(self.units + 1, 1);
        sums.add(p, y);
        sums.solve(RIDGE).expect("enough of λ").weights
    }

    fn network(&self) -> EsnConfig {
        let reservoir = ReservoirConfig { units: self.units, ..ReservoirConfig::default() };
        EsnConfig { reservoirs: vec![reservoir], ..EsnConfig::default() }
    }
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::Harvest => "harvest",
            Self::Fit => "fit",
            Self::Batch(_) => "batch",
            Self::Learn => "learn",
            Self::Search(_) => "search",
        }
    }
}

impl Case for ReservoirCase {
    fn name(&self) -> String {
        let job = self.job.name();
        let Self { units, steps, density, .. } = self;
        match (self.axis, self.job) {
            (Some(Axis::Units), _) => format!("reservoir/growth/{job}/N/{units}"),
            (Some(Axis::Steps), _) => format!("reservoir/growth/{job}/T/{steps}"),
            (Some(Axis::Density), _) => format!("reservoir/growth/{job}/density/{density}"),
            (None, Job::Batch(series)) => format!("reservoir/{job}/{series}x{steps}x{units}"),
            (None, Job::Search(settings)) => format!("reservoir/{job}/{settings}"),
            (None, _) => format!("reservoir/{job}/{units}"),
        }
    }

    fn described(&self) -> Value {
        let job = self.job.name();
        json!({
            "family": "reservoir", "job": job, "units": self.units, "ridge": RIDGE,
            "learned": LEARNED, "washout": WASHOUT,
        })
    }

    fn peer(&self) -> PeerName {
        PeerName::ReservoirPy
    }

    fn line(&self) -> Option<LinePoint> {
        let line = |of: [&'static str; 3]| match self.job {
            Job::Fit => of[1],
            Job::Learn => of[2],
            _ => of[0],
        };
        let (line, at) = match self.axis? {
            Axis::Units => (line(["harvest N", "fit N", "learn N"]), self.units),
            Axis::Steps => (line(["harvest T", "fit T", "learn T"]), self.steps),
            Axis::Density => (line(["harvest ‰", "fit ‰", "learn ‰"]), self.density),
        };
        Some(LinePoint { line, at })
    }

    fn is_pictured(&self) -> bool {
        self.axis.is_none()
    }

    fn numbers(&self) -> Numbers {
        let column = |values: Vec<f64>, columns: usize| {
            let rows = values.len() / columns;
            TensorData::new(values, [rows, columns])
        };
        match self.job {
            Job::Harvest | Job::Batch(_) => {
                let Reservoir { units, .. } = self.reservoir();
                let (w, w_in) = (dense(&units.w), dense(&units.w_in));
                Numbers::from([
                    ("w".to_owned(), column(w, self.units)),
                    ("w_in".to_owned(), column(w_in, 1)),
                    ("u".to_owned(), column(self.inputs(), self.steps)),
                ])
            }
            Job::Fit => {
                let states = uniform(self.steps * self.units, 4);
                Numbers::from([
                    ("x".to_owned(), column(states, self.units)),
                    ("y".to_owned(), column(self.targets(), 1)),
                ])
            }
            Job::Learn => Numbers::new(),
            Job::Search(settings) => {
                let series = signals::mackey_glass(17, SEARCHED + 1, 1);
                let settings = searched(settings).concat();
                Numbers::from([
                    ("settings".to_owned(), column(settings, 4)),
                    ("series".to_owned(), column(series, 1)),
                ])
            }
        }
    }

    fn on_processor(&self) -> OnProcessor {
        OnProcessor::All
    }

    fn ours(&self, _: &Device) -> Work {
        let case = *self;
        match case.job {
            Job::Harvest | Job::Batch(_) => {
                let (reservoir, u) = (case.reservoir(), case.inputs());
                // ReservoirPy makes its memory anew at every call, too.
                Box::new(move || {
                    let mut elements = vec![0.0; u.len() * case.units];
                    case.harvest(&reservoir.units, &u, &mut elements);
                })
            }
            Job::Fit => {
                let (p, y) = (case.features(), case.targets());
                Box::new(move || drop(case.fit(&p, &y)))
            }
            Job::Learn => {
                let mut network = case.network().init(1, 1).expect("a usual reservoir");
                let u = uniform(case.steps + 1, 2);
                let (u, d) = (u[..case.steps].to_vec(), u[1..].to_vec());
                let pair = [(Series::of(u), Series::of(d))];
                Box::new(move || {
                    network.fit(&pair).expect("a series that changes");
                })
            }
            Job::Search(settings) => {
                let settings = searched(settings);
                let [u, d] = Series::of(signals::mackey_glass(17, SEARCHED + 1, 1)).ahead(1);
                Box::new(move || {
                    let losses: Vec<f64> =
                        settings.par_iter().map(|setting| try_out(*setting, &u, &d)).collect();
                    drop(losses);
                })
            }
        }
    }

    fn single_precision(&self, _: &Device) -> Option<Work> {
        if self.job != Job::Harvest || self.axis.is_some() {
            return None;
        }
        let (n, Reservoir { units, .. }) = (self.units, self.reservoir());
        let single = |numbers: &[f64]| numbers.iter().map(|a| *a as f32).collect::<Vec<_>>();
        let units = LeakyUnits {
            w: units.w.map(|a| a as f32),
            w_in: units.w_in.map(|a| a as f32),
            b: single(&units.b),
            keep: single(&units.keep),
            gain: single(&units.gain),
            squash: units.squash,
        };
        let u = single(&self.inputs());
        Some(Box::new(move || {
            let mut elements = vec![0.0; u.len() * n];
            let rows = Rows { elements: &mut elements, stride: n, offset: 0 };
            units.sequence(&u, None, &mut vec![0.0; n], rows);
        }))
    }

    fn results(&self, _: &Device) -> Vec<f64> {
        match self.job {
            Job::Harvest | Job::Batch(_) => {
                let u = self.inputs();
                let mut elements = vec![0.0; u.len() * self.units];
                self.harvest(&self.reservoir().units, &u, &mut elements);
                elements
            }
            Job::Fit => self.fit(&self.features(), &self.targets()),
            Job::Learn => Vec::new(),
            Job::Search(settings) => {
                let [u, d] = Series::of(signals::mackey_glass(17, SEARCHED + 1, 1)).ahead(1);
                searched(settings).into_iter().map(|setting| try_out(setting, &u, &d)).collect()
            }
        }
    }
}

/// Numbers in ±1, the same for the same seed.
fn uniform(count: usize, seed: u64) -> Vec<f64> {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn dense(w: &Weights<f64>) -> Vec<f64> {
    let mut all = vec![0.0; w.rows() * w.columns()];
    for (row, column, value) in w.entries() {
        all[row * w.columns() + column] = value;
    }
    all
}

/// Settings of a search: `ρ`, the leak, `s_in` and `λ`, the last three even in the logarithm.
fn searched(settings: usize) -> Vec<[f64; 4]> {
    let log = |share: f64, from: f64, to: f64| from * (to / from).powf(share);
    let drawn = uniform(4 * settings, 5).into_iter().map(|a| (a + 1.0) / 2.0).collect::<Vec<_>>();
    drawn
        .chunks_exact(4)
        .map(|a| {
            let radius = 0.1 + 1.4 * a[0];
            [radius, log(a[1], 0.1, 1.0), log(a[2], 0.1, 2.0), log(a[3], 1e-9, 1e-2)]
        })
        .collect()
}

/// The error of one setting on what comes after the steps that were learned.
fn try_out([radius, leak, scaling, ridge]: [f64; 4], u: &Series, d: &Series) -> f64 {
    let reservoir = ReservoirConfig {
        units: 100,
        spectral_radius: radius,
        leak: OneOrEach::One(leak),
        input_scaling: OneOrEach::One(scaling),
        ..ReservoirConfig::default()
    };
    let config = EsnConfig {
        reservoirs: vec![reservoir],
        regularization: ridge,
        washout: WASHOUT,
        ..EsnConfig::default()
    };
    let mut network = config.init(1, 1).expect("a matrix that can be scaled");
    let learned = (u.slice(0..LEARNED), d.slice(0..LEARNED));
    if network.fit(&[learned]).is_err() {
        return f64::INFINITY;
    }
    let heard = u.slice(LEARNED - WASHOUT..u.steps());
    let said = network.run(&heard, &mut network.start()).expect("a fitted network");
    nrmse(&said.values()[WASHOUT..], d.slice(LEARNED..d.steps()).values())
}
