//! Who is speaking? Echo state networks tell nine men apart by the Japanese vowels /ae/ that they say: 7 to 29 steps
//! of 12 numbers, 270 utterances to learn from and 370 to be told.
//!
//! Expect 2 to 9 errors, 5 in the median, by a network of 50 units of which only the readout of three of its states is
//! learned, and 0 to 2, 1 in the median, by the sum of the scores of 20 such networks and 20 of 10 units whose readout
//! sees the inputs as well (seeds 1 to 5).
//!
//! The recipe is near that of Jaeger et al. (2007), Optimization and Applications of Echo State Networks with
//! Leaky-Integrator Neurons; the data are those of Kudo, Toyama & Shimbo (1999), see `data/README.md`. Run with
//! `cargo run --release --example japanese_vowels`; it takes seconds.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, path::Path, process::ExitCode};

use recurrent_examples::{
    start,
    vowels::{self, FEATURES, SPEAKERS},
};
use recurrent_reservoir::{
    Classifier, ClassifierConfig, FeaturesConfig, OneOrEach, ReservoirConfig, Series,
    classifier::best, ensemble_scores, metrics::variance,
};

const SEEDS: u64 = 5;
/// Networks of each kind.
const TOGETHER: u64 = 20;
/// What is said, and by whom.
type Utterance = (Series, usize);

fn main() -> ExitCode {
    start(|| {
        let folder = Path::new("data/japanese-vowels");
        let train = read(&folder.join("JapaneseVowels_TRAIN.ts.gz"))?;
        let test = read(&folder.join("JapaneseVowels_TEST.ts.gz"))?;
        let [train, test] = standardised(train, test);
        println!("seed  errors of {} by 50 units  by 40 networks together", test.len());
        for seed in 1..=SEEDS {
            let mut networks = Vec::new();
            for n in 0..TOGETHER {
                networks.push(learn(50, FeaturesConfig::States, seed + SEEDS * n, &train)?);
                networks.push(learn(10, FeaturesConfig::Inputs, seed + SEEDS * n, &train)?);
            }
            let (one, all) = (wrong(&networks[..1], &test)?, wrong(&networks, &test)?);
            println!("{seed:>4}  {one:>25}  {all:>22}");
        }
        Ok(())
    })
}

fn learn(
    units: usize,
    features: FeaturesConfig,
    seed: u64,
    train: &[Utterance],
) -> Result<Classifier, Box<dyn Error>> {
    let reservoir = ReservoirConfig {
        units,
        density: if units < 20 { 1.0 } else { 0.1 },
        leak: OneOrEach::One(0.2),
        spectral_radius: 0.9,
        input_scaling: OneOrEach::One(0.5),
        bias_scaling: 0.2,
        ..ReservoirConfig::default()
    };
    let reservoirs = vec![reservoir];
    let config = ClassifierConfig { reservoirs, features, seed, ..Default::default() };
    let mut network = config.init(FEATURES, SPEAKERS)?;
    network.fit(train)?;
    Ok(network)
}

/// Utterances that another speaker has the largest score for.
fn wrong(networks: &[Classifier], test: &[Utterance]) -> Result<usize, Box<dyn Error>> {
    let mut wrong = 0;
    for (u, speaker) in test {
        wrong += usize::from(best(&ensemble_scores(networks, u)?) != *speaker);
    }
    Ok(wrong)
}

fn read(path: &Path) -> Result<Vec<Utterance>, Box<dyn Error>> {
    let spoken = vowels::read(path)?.into_iter();
    Ok(spoken.map(|(steps, speaker)| (Series::new(steps, FEATURES), speaker)).collect())
}

/// Brings every column of what is learned from to mean 0 and variance 1, and the test likewise.
fn standardised(train: Vec<Utterance>, test: Vec<Utterance>) -> [Vec<Utterance>; 2] {
    let scale = |column: usize| {
        let all: Vec<f64> = train.iter().flat_map(|(u, _)| u.column(column)).collect();
        (all.iter().sum::<f64>() / all.len() as f64, variance(&all).sqrt())
    };
    let scales: Vec<(f64, f64)> = (0..FEATURES).map(scale).collect();
    let one = |(u, speaker): Utterance| {
        let values =
            u.values().iter().zip(scales.iter().cycle()).map(|(u, (mean, s))| (u - mean) / s);
        (Series::new(values.collect(), FEATURES), speaker)
    };
    [train, test].map(|utterances| utterances.into_iter().map(one).collect())
}
