//! BLEU and chrF against sacreBLEU 2.6.0, from `fixtures/make.py`.

use serde::Deserialize;

use crate::{Bleu, BleuTokenizer, Case, Chrf, Smoothing};

const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Fixture {
    name: String,
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    bleu: Vec<BleuCase>,
    chrf: Vec<ChrfCase>,
}

#[derive(Deserialize)]
struct BleuCase {
    options: BleuOptions,
    sentence: bool,
    score: f64,
    precisions: Vec<f64>,
    bp: f64,
    sys_len: usize,
    ref_len: usize,
    signature: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BleuOptions {
    tokenize: Option<String>,
    smooth_method: Option<String>,
    smooth_value: Option<f64>,
    lowercase: Option<bool>,
    effective_order: bool,
    max_ngram_order: Option<usize>,
}

#[derive(Deserialize)]
struct ChrfCase {
    options: ChrfOptions,
    score: f64,
    signature: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ChrfOptions {
    char_order: Option<usize>,
    word_order: usize,
    beta: Option<u32>,
    lowercase: Option<bool>,
    whitespace: bool,
}

fn fixtures() -> Vec<Fixture> {
    serde_json::from_str(include_str!("../../fixtures/sacrebleu.json")).unwrap()
}

fn case(lowercase: Option<bool>) -> Case {
    match lowercase {
        Some(true) => Case::Lower,
        Some(false) | None => Case::Mixed,
    }
}

impl BleuOptions {
    fn metric(&self) -> Bleu {
        let tokenizer = match self.tokenize.as_deref() {
            None => BleuTokenizer::Mteval13a,
            Some("char") => BleuTokenizer::Characters,
            Some("none") => BleuTokenizer::None,
            Some(other) => panic!("{other}"),
        };
        let smoothing = match self.smooth_method.as_deref() {
            None => Smoothing::Exponential,
            Some("floor") => Smoothing::Floor(self.smooth_value.unwrap_or(0.1)),
            Some("add-k") => Smoothing::AddK(self.smooth_value.unwrap_or(1.0)),
            Some("none") => Smoothing::None,
            Some(other) => panic!("{other}"),
        };
        Bleu {
            tokenizer,
            smoothing,
            case: case(self.lowercase),
            max_order: self.max_ngram_order.unwrap_or(4),
            effective_order: self.effective_order,
        }
    }
}

impl ChrfOptions {
    fn metric(&self) -> Chrf {
        Chrf {
            char_order: self.char_order.unwrap_or(6),
            word_order: self.word_order,
            beta: self.beta.unwrap_or(2),
            case: case(self.lowercase),
            whitespace: self.whitespace,
        }
    }
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() < TOLERANCE
}

#[test]
fn bleu_is_sacrebleus() {
    for Fixture { name, hypotheses, references, bleu, .. } in fixtures() {
        for case in bleu {
            let segments = if case.sentence { 1 } else { hypotheses.len() };
            let metric = case.options.metric();
            let got = metric.score(&hypotheses[..segments], &references[..segments]).unwrap();
            let about = format!("{name}, {:?}: {got:?} for {}", case.options, case.score);
            assert!(is_close(got.score, case.score), "{about}");
            assert!(is_close(got.brevity_penalty, case.bp), "{about}");
            let mut precisions = got.precisions.iter().zip(&case.precisions);
            assert!(precisions.all(|(a, b)| is_close(*a, *b)), "{about}");
            let lengths = (got.output_length, got.reference_length);
            assert_eq!(lengths, (case.sys_len, case.ref_len), "{about}");
            assert_eq!(got.signature, case.signature, "{about}");
        }
    }
}

#[test]
fn chrf_is_sacrebleus() {
    for Fixture { name, hypotheses, references, chrf, .. } in fixtures() {
        for case in chrf {
            let got = case.options.metric().score(&hypotheses, &references).unwrap();
            let about = format!("{name}, {:?}: {got:?} for {}", case.options, case.score);
            assert!(is_close(got.score, case.score), "{about}");
            assert_eq!(got.signature, case.signature, "{about}");
        }
    }
}

#[test]
fn the_fixtures_are_all_there() {
    let fixtures = fixtures();
    assert_eq!(fixtures.len(), 41);
    assert!(fixtures.iter().all(|fixture| fixture.bleu.len() == 13 && fixture.chrf.len() == 5));
}
