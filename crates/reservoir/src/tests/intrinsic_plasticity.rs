//! Intrinsic plasticity.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{assert_near, number, numbers, one, small, states};
use crate::*;

/// The loss of one output whose divergence from the target is minimised, from the definition: `−ln p(x~)` of a
/// transformed `v`, and `−ln` of the normal density, constants aside.
fn loss(target: &IntrinsicPlasticity, v: f64, g: f64, c: f64) -> f64 {
    let y = (g * v + c).tanh();
    let slope = g * (1.0 - y * y);
    -slope.ln() + (y - target.mean).powi(2) / (2.0 * target.deviation.powi(2))
}

#[test]
fn the_rule_is_the_gradient_of_the_divergence() {
    let target =
        IntrinsicPlasticity { mean: 0.1, deviation: 0.3, ..IntrinsicPlasticity::default() };
    for (v, g, c) in [(0.4, 1.2, -0.1), (-1.5, 0.7, 0.3), (0.0, 1.0, 0.0)] {
        let found = target.gradient(v, g, f64::tanh(g * v + c));
        let h = 1e-6;
        let by_gain = (loss(&target, v, g + h, c) - loss(&target, v, g - h, c)) / (2.0 * h);
        let by_bias = (loss(&target, v, g, c + h) - loss(&target, v, g, c - h)) / (2.0 * h);
        assert_near(&found, &[-by_gain, -by_bias], 1e-7);
    }
}

/// Folded weights do what gains and biases do.
#[test]
fn folding_changes_nothing_but_the_excitability() {
    for density in [0.2, 1.0] {
        let leak = OneOrEach::One(0.7);
        let reservoir = ReservoirConfig { density, leak, ..small() }.init(1, 1, 4).unwrap();
        let n = reservoir.size();
        let learned = Excitability {
            gain: (0..n).map(|i| 1.0 + 0.5 * number(i)).collect(),
            bias: (0..n).map(|i| 0.3 * number(i + 50)).collect(),
        };
        let folded = learned.fold_into(&reservoir);
        assert_eq!((folded.size(), folded.inputs(), folded.noise), (n, 1, reservoir.noise));
        let u = numbers(20, 3);
        let found = states(&folded, &u, &vec![0.0; n]);
        let units = &reservoir.units;
        let (mut x, mut v, mut recurrent) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for (t, u) in u.iter().enumerate() {
            units.w_in.product(&[*u], &mut v);
            units.w.product(&x, &mut recurrent);
            for i in 0..n {
                let sum = v[i] + recurrent[i] + units.b[i];
                x[i] = 0.3 * x[i] + 0.7 * (learned.gain[i] * sum + learned.bias[i]).tanh();
            }
            assert_near(&found[t * n..(t + 1) * n], &x, 1e-12);
        }
    }
}

/// `KL(outputs ‖ N(μ, σ²))` by a histogram of 40 bins over ±1.
fn divergence(outputs: &[f64], target: &IntrinsicPlasticity) -> f64 {
    let mut bins = [0.0; 40];
    for y in outputs {
        bins[((y + 1.0) * 20.0).clamp(0.0, 39.0) as usize] += 1.0 / outputs.len() as f64;
    }
    let density = |n: usize| {
        let z = ((n as f64 + 0.5) / 20.0 - 1.0 - target.mean) / target.deviation;
        (-0.5 * z * z).exp()
    };
    let all: f64 = (0..40).map(density).sum();
    let part = |(n, p): (usize, &f64)| if *p > 0.0 { p * (p * all / density(n)).ln() } else { 0.0 };
    bins.iter().enumerate().map(part).sum()
}

#[test]
fn outputs_come_nearer_to_the_distribution_that_is_aimed_at() {
    let reservoir = ReservoirConfig { units: 40, ..small() }.init(1, 1, 4).unwrap();
    let n = reservoir.size();
    let mut rng = StdRng::seed_from_u64(7);
    let u: Vec<f64> = (0..2000).map(|_| rng.random_range(-1.0..1.0)).collect();
    for (mean, deviation) in [(0.0, 0.2), (0.15, 0.3)] {
        let target = IntrinsicPlasticity { mean, deviation, learning_rate: 1e-3, epochs: 10 };
        let learned = target.learn(&reservoir, &[Series::of(u.clone())]).unwrap();
        let outputs =
            |reservoir: &Reservoir| states(reservoir, &u, &vec![0.0; n]).split_off(100 * n);
        let (before, after) = (outputs(&reservoir), outputs(&learned.fold_into(&reservoir)));
        let found = after.iter().sum::<f64>() / after.len() as f64;
        let spread = metrics::variance(&after).sqrt();
        assert!((found - mean).abs() < 0.03, "mean {found}, expected {mean}");
        assert!((spread - deviation).abs() < 0.05, "deviation {spread}, expected {deviation}");
        let [before, after] = [&before, &after].map(|outputs| divergence(outputs, &target));
        assert!(after < 0.5 * before, "{before} nats before, {after} after");
    }
}

/// Stacked reservoirs adapt to the one before them as it has become; the readout of before is gone.
#[test]
fn a_network_adapts_all_its_reservoirs() {
    let feedback = ReservoirConfig { feedback_scaling: 0.3, ..small() };
    let config = EsnConfig { reservoirs: vec![small(), feedback], ..one(small()) };
    let mut network = config.init(1, 1).unwrap();
    let [u, d] = Series::of(signals::mackey_glass(17, 600, 1)).ahead(1);
    network.fit(&[(u.clone(), d.clone())]).unwrap();
    let target = IntrinsicPlasticity::default();
    let adapted = network.clone().adapt(&target, &[(u.clone(), d.clone())]).unwrap();
    assert!(adapted.readout().is_none());
    let [first, second] = adapted.reservoirs() else { panic!("two reservoirs") };
    let old = network.reservoirs();
    let expected = target.learn(&old[0], std::slice::from_ref(&u)).unwrap().fold_into(&old[0]);
    assert_eq!(first, &expected);
    let below = states(first, u.values(), &[0.0; 30]);
    let before = std::iter::once(0.0).chain(d.values().iter().copied());
    let heard = below.chunks(30).zip(before).flat_map(|(x, d)| [x, &[d]].concat()).collect();
    let heard = Series::new(heard, 31);
    assert_eq!(second, &target.learn(&old[1], &[heard]).unwrap().fold_into(&old[1]));
    // It learns and runs like any other.
    let mut adapted = adapted;
    adapted.fit(&[(u.clone(), d.clone())]).unwrap();
    let mut state = adapted.start();
    adapted.warm_up(&u, &d, &mut state).unwrap();
    assert!(adapted.generate(d.row(598), 20, &mut state).unwrap().values()[19].is_finite());
}

/// The error is of the first step at which a gain is out of its range: all is well up to there, and it is the same
/// whatever comes behind.
#[test]
fn a_gain_that_runs_away_is_named_with_its_step() {
    let reservoir = small().init(1, 1, 4).unwrap();
    // Soft, and loud from some step on.
    let loud = |t: usize| if t < 300 { 0.2 } else { 6.0 };
    let series = [
        Series::of(numbers(100, 0).iter().map(|u| 0.2 * u).collect()),
        Series::of((0..500).map(|t| loud(t) * number(t + 50)).collect()),
    ];
    let target =
        IntrinsicPlasticity { learning_rate: 0.02, epochs: 3, ..IntrinsicPlasticity::default() };
    let error = target.learn(&reservoir, &series).unwrap_err();
    let ReservoirError::GainRanAway { unit, gain, epoch: 0, series: 1, step, .. } = error else {
        panic!("{error}")
    };
    assert!(step >= 300 && !(gain > 0.0 && gain.is_finite()), "{error}");
    assert!(
        error.to_string().contains(&format!(" after step {step} of series 1 in epoch 0, expected")),
        "{error}"
    );
    let once = IntrinsicPlasticity { epochs: 1, ..target };
    let until = |steps: usize| [series[0].clone(), series[1].slice(0..steps)];
    let before = once.learn(&reservoir, &until(step)).unwrap();
    assert!(before.gain[unit] > 0.0);
    assert_eq!(once.learn(&reservoir, &until(step + 1)).unwrap_err(), error);
    // A blow that takes two fifths of a gain away at most: the first time it is not too much.
    let blow = [Series::of([vec![0.0; 9], vec![200.0]].concat())];
    let slow = IntrinsicPlasticity { learning_rate: 1e-3, epochs: 20, ..target };
    let error = slow.learn(&reservoir, &blow).unwrap_err();
    let ReservoirError::GainRanAway { epoch, series: 0, step: 9, .. } = error else {
        panic!("{error}")
    };
    assert!(epoch > 0, "{error}");
    IntrinsicPlasticity { epochs: epoch, ..slow }.learn(&reservoir, &blow).unwrap();
}

#[test]
fn what_cannot_adapt_is_said() {
    let series = [Series::of(numbers(500, 0))];
    let reservoir = small().init(1, 1, 4).unwrap();
    let usual = IntrinsicPlasticity::default;
    let wrong =
        |target: IntrinsicPlasticity| target.learn(&reservoir, &series).unwrap_err().to_string();
    assert_eq!(
        wrong(IntrinsicPlasticity { mean: 1.0, ..usual() }),
        "`mean` is 1, expected in (−1, 1)"
    );
    assert_eq!(
        wrong(IntrinsicPlasticity { deviation: 0.0, ..usual() }),
        "`deviation` is 0, expected in (0, 1]"
    );
    assert_eq!(
        wrong(IntrinsicPlasticity { learning_rate: 0.0, ..usual() }),
        "`learning_rate` is 0, expected above 0"
    );
    assert_eq!(
        wrong(IntrinsicPlasticity { epochs: 0, ..usual() }),
        "`epochs` is 0, expected at least 1"
    );
    let activation = ReservoirActivation::Identity;
    let linear = ReservoirConfig { activation, ..small() }.init(1, 1, 4).unwrap();
    assert_eq!(
        usual().learn(&linear, &series).unwrap_err().to_string(),
        "`activation` is identity, expected tanh"
    );
    let gap = [Series::of(vec![f64::NAN; 5])];
    assert!(matches!(
        usual().learn(&reservoir, &gap).unwrap_err(),
        ReservoirError::NotFinite { series: 0, step: 0, .. }
    ));
}
