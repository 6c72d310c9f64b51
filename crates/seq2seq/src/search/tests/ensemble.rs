use super::{assert_near, scores, table::Table, tokens};
use crate::search::*;

/// One model three times is that model, in every part.
#[test]
fn an_ensemble_of_one_model_is_that_model() {
    let table = Table::drawn(5, 3).looking(5, &[3, 1, 4]);
    let ensemble = Ensemble::new(vec![table.clone(), table.clone(), table.clone()]).unwrap();
    let limits = Limits::at_most(vec![5; 3]);
    let settings = Beam { n_best: 3, coverage_penalty: 0.2, ..Beam::new(3) };
    let alone = beam(&table, &settings, &limits).unwrap().concat();
    let together = beam(&ensemble, &settings, &limits).unwrap().concat();
    assert_eq!(tokens(&together), tokens(&alone));
    assert_near(&scores(&together), &scores(&alone), 1e-6);
    for (together, alone) in together.iter().zip(&alone) {
        assert_near(&together.token_log_probs, &alone.token_log_probs, 1e-12);
    }
}

/// `P = (P_1 + P_2) / 2` at every step, and the same of the weights, though states are moved.
#[test]
fn an_ensemble_is_the_mean_of_its_models() {
    let one = Table::drawn(1, 2).looking(1, &[3, 2]);
    let two = Table::drawn(2, 2).looking(2, &[3, 2]);
    let ensemble = Ensemble::new(vec![one.clone(), two.clone()]).unwrap();
    let found = beam(&ensemble, &Beam::new(4), &Limits::at_most(vec![5; 2])).unwrap();
    for (source, found) in found.concat().iter().enumerate() {
        for (step, log_prob) in found.token_log_probs.iter().enumerate() {
            let (before, rest) = found.tokens.split_at(step);
            let token = *rest.first().unwrap_or(&recurrent_text::EOS) as usize;
            let probability = |table: &Table| table.log_probs(source, before)[token].exp();
            let mean = (probability(&one) + probability(&two)) / 2.0;
            assert_near(&[*log_prob], &[mean.ln()], 1e-12);
            let looks = one.weights(source, before).into_iter().zip(two.weights(source, before));
            let mean: Vec<f64> = looks.map(|(a, b)| f64::from(a + b) / 2.0).collect();
            let weights: Vec<f64> = found.weights[step].iter().map(|w| f64::from(*w)).collect();
            assert_near(&weights, &mean, 1e-6);
        }
    }
}

/// Far below what `exp` can hold, and where one or all of the models say never.
#[test]
fn logarithms_of_means_are_safe() {
    let no = f64::NEG_INFINITY;
    let says = |row: [f64; 6]| Table::new(1, 6, move |_, _| row.to_vec());
    let ensemble = Ensemble::new(vec![
        says([no, no, no, -2000.0, -1000.0, no]),
        says([no, no, no, no, -1000.0, no]),
    ]);
    let scored = forced(&ensemble.unwrap(), &[vec![4, 5]]).unwrap().remove(0);
    let expected = [-1000.0, no, -2000.0 - 2f64.ln()];
    assert_eq!(scored.token_log_probs[1], no);
    assert_near(&[scored.token_log_probs[0]], &expected[..1], 1e-9);
    assert_near(&[scored.token_log_probs[2]], &expected[2..], 1e-9);
}

/// Weights are those of all models, or none.
#[test]
fn an_ensemble_looks_if_all_its_models_do() {
    let looking = || Table::drawn(1, 2).looking(1, &[3, 2]);
    let mixed = Ensemble::new(vec![Table::drawn(1, 2), looking()]).unwrap();
    assert_eq!(mixed.source_lengths(), None);
    let found = greedy(&mixed, &Limits::at_most(vec![3; 2])).unwrap();
    assert!(found.iter().all(|found| found.weights.is_empty()));
    assert_eq!(Ensemble::new(vec![looking()]).unwrap().source_lengths(), Some(vec![3, 2]));
}

#[test]
fn models_that_do_not_belong_together_are_refused() {
    let error = |members| Ensemble::new(members).err();
    assert_eq!(error(Vec::new()), Some(EnsembleError::Nothing));
    let larger = Table::new(1, 7, |_, _| vec![0.0; 7]);
    let vocabulary = EnsembleError::Vocabulary { model: 1, got: 7, expected: 6 };
    assert_eq!(error(vec![Table::drawn(1, 1), larger]), Some(vocabulary));
    let sources = Some(EnsembleError::Sources { model: 1 });
    assert_eq!(error(vec![Table::drawn(1, 1), Table::drawn(1, 2)]), sources);
    let looking = |length| Table::drawn(1, 1).looking(1, &[length]);
    assert_eq!(error(vec![looking(2), looking(3)]), sources);
}
