//! Classes of whole sequences.

use std::{fs::File, io::Read};

use flate2::read::GzDecoder;
use recurrent_kernels::sparse::Rows;
use rstest::rstest;

use super::{assert_near, number, numbers, small};
use crate::{classifier::best, metrics::variance, ridge::Design, *};

fn config(states: ClassStates) -> ClassifierConfig {
    ClassifierConfig { reservoirs: vec![small()], states, ..ClassifierConfig::default() }
}

/// Sequences of two columns; those of class 1 fall where the others rise.
fn sequences(count: usize) -> Vec<(Series, usize)> {
    let one = |n: usize| {
        let (class, steps) = (n % 2, 5 + n % 7);
        let slope = if class == 0 { 0.1 } else { -0.1 };
        let value = |t: usize| [slope * t as f64 + 0.02 * number(100 * n + t), number(n)];
        (Series::new((0..steps).flat_map(value).collect(), 2), class)
    };
    (0..count).map(one).collect()
}

/// The readout is the regression upon what the equation says a sequence's features are.
#[rstest]
#[case(ClassStates::Fractions { parts: 3 })]
#[case(ClassStates::Fractions { parts: 1 })]
#[case(ClassStates::Mean)]
fn features_are_states_at_fractions_or_their_mean(#[case] states: ClassStates) {
    let learned = sequences(40);
    let mut classifier = config(states).init(2, 2).unwrap();
    classifier.fit(&learned).unwrap();
    let n = 30;
    let features = |u: &Series| {
        let reservoir = &classifier.network().reservoirs()[0];
        let mut x = vec![0.0; u.steps() * n];
        let rows = Rows { elements: &mut x, stride: n, offset: 0 };
        reservoir.harvest(u.values(), None, &mut vec![0.0; n], rows);
        let length = u.steps() as f64;
        let at = |share: f64| ((share * length).ceil() as usize - 1) * n;
        let mut z = vec![1.0];
        match states {
            ClassStates::Fractions { parts: 1 } => z.extend_from_slice(&x[at(1.0)..]),
            ClassStates::Fractions { .. } => [1.0, 2.0, 3.0].iter().for_each(|part| {
                z.extend_from_slice(
                    &x[(part * length / 3.0 - 1e-9).ceil() as usize * n - n..][..n],
                );
            }),
            ClassStates::Mean => {
                z.extend((0..n).map(|i| x.iter().skip(i).step_by(n).sum::<f64>() / length));
            }
        }
        z
    };
    assert_eq!(classifier.features(), features(&learned[0].0).len());
    let mut rows = Design::new(classifier.features(), 2);
    for (u, class) in &learned {
        let y = if *class == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
        rows.add(&features(u), &y);
    }
    let expected = rows.solve(1.0).unwrap();
    assert_near(&classifier.readout().unwrap().weights, &expected.weights, 1e-9);
    let unseen = sequences(60);
    let right = unseen[40..].iter().filter(|(u, of)| classifier.classify(u).unwrap() == *of);
    assert_eq!(right.count(), 20);
}

/// Scores of several are their sums, a single one is itself, and the largest wins.
#[test]
fn scores_are_summed() {
    let learned = sequences(40);
    let classifiers: Vec<Classifier> = (1..4)
        .map(|seed| {
            let mut one =
                ClassifierConfig { seed, ..config(ClassStates::Mean) }.init(2, 2).unwrap();
            one.fit(&learned).unwrap();
            one
        })
        .collect();
    let u = &learned[3].0;
    let each: Vec<Vec<f64>> = classifiers.iter().map(|one| one.scores(u).unwrap()).collect();
    assert_ne!(each[0], each[1]);
    let sums = [0, 1].map(|class| each.iter().map(|scores| scores[class]).sum::<f64>());
    assert_near(&ensemble_scores(&classifiers, u).unwrap(), &sums, 1e-12);
    assert_eq!(ensemble_scores(&classifiers[..1], u).unwrap(), each[0]);
    assert_eq!(ensemble_scores(&[], u).unwrap_err(), ReservoirError::NotFitted);
    assert_eq!([best(&[0.1, 0.9, 0.9]), best(&[-1.0, -2.0])], [1, 0]);
}

/// ESN-1 and ESN-9.
#[test]
fn fitting_a_classifier_changes_its_readout_alone() {
    let learned = sequences(40);
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut classifier = config(ClassStates::Mean).init(2, 2).unwrap();
            let before = classifier.network().clone();
            classifier.fit(&learned).unwrap();
            assert_eq!(classifier.network(), &before);
            classifier
        })
    };
    let classifier = fit(1);
    assert_eq!(fit(3), classifier);
    // As it comes back from where it was saved.
    let again = classifier.config().init(2, 2).unwrap();
    let again = again.with(classifier.network().clone(), classifier.readout().unwrap().clone());
    assert_eq!(again, classifier);
}

#[test]
fn what_cannot_be_classified_is_said() {
    let wrong = |config: ClassifierConfig| config.init(2, 2).unwrap_err().to_string();
    let fed_back = ReservoirConfig { feedback_scaling: 0.5, ..small() };
    let with_feedback =
        ClassifierConfig { reservoirs: vec![small(), fed_back], ..config(ClassStates::Mean) };
    assert_eq!(
        wrong(with_feedback),
        "`feedback_scaling` is 0.5 with a readout that gives classes, expected 0"
    );
    assert_eq!(
        wrong(config(ClassStates::Fractions { parts: 0 })),
        "`states.fractions.parts` is 0, expected at least 1"
    );
    let one = config(ClassStates::Mean).init(2, 1).unwrap_err().to_string();
    assert_eq!(one, "`classes` is 1, expected at least 2");
    let fit = |sequences: &[(Series, usize)]| {
        let mut classifier = config(ClassStates::default()).init(2, 2).unwrap();
        classifier.fit(sequences).unwrap_err().to_string()
    };
    let mut some = sequences(6);
    assert_eq!(fit(&[]), "no series to learn from");
    assert_eq!(fit(&some[..1]), "class 1 of 0 to 1 has no sequence to learn from");
    some[4].0 = Series::new(numbers(4, 0), 2);
    assert_eq!(fit(&some), "sequence 4 has 2 steps, expected at least 3");
    some[4].0 = Series::new(vec![0.0, 0.0, f64::INFINITY, 0.0], 2);
    assert_eq!(fit(&some), "series 4, step 1, column 0 is inf, expected a finite number");
    some[4] = (Series::of(numbers(4, 0)), 0);
    assert_eq!(fit(&some), "the input has 1 columns, expected 2");
    some[2].1 = 2;
    assert_eq!(fit(&some), "sequence 2 is of class 2, expected one of 0 to 1");
    let unfitted = config(ClassStates::Mean).init(2, 2).unwrap();
    assert_eq!(unfitted.classify(&some[0].0).unwrap_err(), ReservoirError::NotFitted);
}

/// The utterances of a file of the Japanese vowels and their speakers, from 0.
fn vowels(part: &str) -> Vec<(Series, usize)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/japanese-vowels");
    let file = File::open(format!("{folder}/JapaneseVowels_{part}.ts.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let lines = text.lines().skip_while(|line| *line != "@data").skip(1);
    let one = |line: &str| {
        let (columns, speaker) = line.rsplit_once(':').unwrap();
        let number = |text: &str| text.parse::<f64>().unwrap();
        let columns: Vec<Vec<f64>> =
            columns.split(':').map(|column| column.split(',').map(number).collect()).collect();
        let rows = (0..columns[0].len()).flat_map(|t| columns.iter().map(move |c| c[t]));
        (Series::new(rows.collect(), 12), speaker.trim().parse::<usize>().unwrap() - 1)
    };
    lines.map(one).collect()
}

/// Both sets by the mean and deviation of what is learned from.
fn standardised() -> [Vec<(Series, usize)>; 2] {
    let [train, test] = ["TRAIN", "TEST"].map(vowels);
    let scales: Vec<(f64, f64)> = (0..12)
        .map(|column| {
            let all: Vec<f64> = train.iter().flat_map(|(u, _)| u.column(column)).collect();
            (all.iter().sum::<f64>() / all.len() as f64, variance(&all).sqrt())
        })
        .collect();
    [train, test].map(|sequences| {
        let scaled = |(u, of): (Series, usize)| {
            let scale = u.values().iter().zip(scales.iter().cycle());
            (Series::new(scale.map(|(u, (mean, s))| (u - mean) / s).collect(), 12), of)
        };
        sequences.into_iter().map(scaled).collect()
    })
}

/// ESN-8: at most 10 errors of 370 by 50 units, whatever the seed; and the states at fractions are better than their
/// mean.
#[test]
fn nine_speakers_are_told_apart_by_their_vowels() {
    let [train, test] = standardised();
    assert_eq!([train.len(), test.len()], [270, 370]);
    let reservoir = ReservoirConfig {
        units: 50,
        leak: OneOrEach::One(0.2),
        spectral_radius: 0.9,
        input_scaling: OneOrEach::One(0.5),
        bias_scaling: 0.2,
        ..ReservoirConfig::default()
    };
    let errors = |states: ClassStates, seed: u64| {
        let config = ClassifierConfig {
            reservoirs: vec![reservoir.clone()],
            states,
            seed,
            ..ClassifierConfig::default()
        };
        let mut classifier = config.init(12, 9).unwrap();
        classifier.fit(&train).unwrap();
        test.iter().filter(|(u, of)| classifier.classify(u).unwrap() != *of).count()
    };
    let of = |states| -> Vec<usize> { (1..=5).map(|seed| errors(states, seed)).collect() };
    let (fractions, mean) = (of(ClassStates::default()), of(ClassStates::Mean));
    assert!(fractions.iter().all(|errors| *errors <= 10), "{fractions:?}");
    let sum = |errors: &[usize]| errors.iter().sum::<usize>();
    assert!(sum(&fractions) < sum(&mean), "{fractions:?}, {mean:?} by the mean state");
}
