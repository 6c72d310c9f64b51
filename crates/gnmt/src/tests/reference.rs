//! GNMT once more, token by token in plain `f64`, as the equations have it.

use recurrent_cells::AnyCell;
use recurrent_seq2seq::Embedding;
use recurrent_text::{BOS, EOS};

use super::*;

type Row = Vec<f64>;

/// `h` and `c` of a layer.
#[derive(Clone)]
struct Memory {
    h: Row,
    c: Row,
}

fn numbers<const D: usize>(param: &Param<Tensor<D>>) -> Row {
    param.val().into_data().iter::<f64>().collect()
}

/// `x · W` for `W` `[rows, columns]`.
fn times(x: &[f64], w: &[f64]) -> Row {
    let columns = w.len() / x.len();
    let column = |j| x.iter().enumerate().map(|(i, x)| x * w[i * columns + j]).sum();
    (0..columns).map(column).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Row {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn join(a: &[f64], b: &[f64]) -> Row {
    [a, b].concat()
}

fn held(x: Row, bound: Option<f64>) -> Row {
    let delta = bound.unwrap_or(f64::INFINITY);
    x.into_iter().map(|x| x.max(-delta).min(delta)).collect()
}

fn lstm(cell: &AnyCell, x: &[f64], before: &Memory) -> Memory {
    let (w_x, w_h, b) = match cell {
        AnyCell::Lstm(cell) => (&cell.w_x, &cell.w_h, &cell.b),
        AnyCell::GnmtLstm(cell) => (&cell.w_x, &cell.w_h, &cell.b),
        other => panic!("GNMT has LSTMs, got {other:?}"),
    };
    let gates = sum(&times(x, &numbers(w_x)), &times(&before.h, &numbers(w_h)));
    let gates = sum(&gates, &numbers(b));
    let width = before.h.len();
    let sigma = |gate: usize, unit: usize| 1.0 / (1.0 + (-gates[gate * width + unit]).exp());
    let cells = (0..width).map(|unit| {
        let g = gates[2 * width + unit].tanh();
        sigma(1, unit) * before.c[unit] + sigma(0, unit) * g
    });
    let bound = match cell {
        AnyCell::GnmtLstm(cell) => cell.clip,
        _ => None,
    };
    let c = held(cells.collect(), bound);
    let shown = |unit: usize| match cell {
        AnyCell::GnmtLstm(_) => sigma(3, unit) * c[unit],
        _ => sigma(3, unit) * c[unit].tanh(),
    };
    Memory { h: (0..width).map(shown).collect(), c }
}

/// A layer over all of `x`, from `start`: what it puts out and its final state.
fn layer(cell: &AnyCell, x: &[Row], start: Memory) -> (Vec<Row>, Memory) {
    let mut state = start;
    let mut outputs = Vec::new();
    for x in x {
        state = lstm(cell, x, &state);
        outputs.push(state.h.clone());
    }
    (outputs, state)
}

fn nothing(width: usize) -> Memory {
    Memory { h: vec![0.0; width], c: vec![0.0; width] }
}

fn vectors(embedding: &Embedding, ids: &[u32]) -> Vec<Row> {
    let (e, width) = (numbers(&embedding.e), embedding.d_embedding());
    let factor = embedding.scale.factor(width);
    let vector = |id: &u32| e[*id as usize * width..][..width].iter().map(|e| e * factor).collect();
    ids.iter().map(vector).collect()
}

/// `xⁿ` and the final state of every layer.
fn encode(model: &Gnmt, source: &[u32]) -> (Vec<Row>, Vec<Memory>) {
    let embedding = model.source_embedding.as_ref().unwrap_or(&model.target_embedding);
    let x = vectors(embedding, &[source, &[EOS]].concat());
    let width = embedding.d_embedding();
    let encoder = &model.encoder;
    let (there, _) = layer(&encoder.both.forward, &x, nothing(width));
    let reversed: Vec<Row> = x.iter().rev().cloned().collect();
    let (mut back, end) = layer(&encoder.both.backward, &reversed, nothing(width));
    back.reverse();
    let mut x: Vec<Row> = there.iter().zip(&back).map(|(a, b)| join(a, b)).collect();
    let mut ends = vec![end];
    for (n, cell) in encoder.upper.iter().enumerate() {
        let (m, end) = layer(cell, &x, nothing(width));
        x = match encoder.residual {
            Residual::FromThird if n + 2 >= 3 => {
                let sums = m.iter().zip(&x).map(|(m, x)| sum(m, x));
                sums.map(|sum| held(sum, encoder.bound)).collect()
            }
            _ => m,
        };
        ends.push(end);
    }
    (x, ends)
}

/// The context and the weights for one query.
fn look(model: &Gnmt, query: &[f64], memory: &[Row]) -> (Row, Row) {
    let attention = &model.decoder.attention;
    let v = numbers(&attention.v);
    let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let g = numbers(&attention.g)[0];
    let asked = times(query, &numbers(&attention.w_q));
    let scores = memory.iter().map(|x| {
        let key = sum(&times(x, &numbers(&attention.w_m)), &numbers(&attention.b));
        let terms = sum(&asked, &key).into_iter().zip(&v).map(|(a, v)| v / norm * a.tanh());
        g * terms.sum::<f64>()
    });
    let scores: Vec<f64> = scores.map(f64::exp).collect();
    let total: f64 = scores.iter().sum();
    let weights: Row = scores.into_iter().map(|score| score / total).collect();
    let context = (0..memory[0].len())
        .map(|j| memory.iter().zip(&weights).map(|(x, weight)| weight * x[j]).sum());
    (context.collect(), weights)
}

/// The logits of every step and where it looked, one token after the other.
fn decode(model: &Gnmt, source: &[u32], target: &[u32]) -> (Vec<Row>, Vec<Row>) {
    let (memory, ends) = encode(model, source);
    let decoder = &model.decoder;
    let width = model.target_embedding.d_embedding();
    let mut states = match model.start {
        Start::Encoder => ends,
        Start::Zero => vec![nothing(width); decoder.upper.len() + 1],
    };
    let mut a = vec![0.0; width];
    let (mut logits, mut looked) = (Vec::new(), Vec::new());
    for y in vectors(&model.target_embedding, &[&[BOS], target].concat()) {
        let ask = |query: &[f64]| look(model, query, &memory);
        let read = |a: &[f64]| match decoder.first_layer {
            FirstLayer::Token => y.clone(),
            FirstLayer::Context => join(&y, a),
        };
        let weights;
        match decoder.query {
            Query::Current => {
                states[0] = lstm(&decoder.first, &read(&a), &states[0]);
                (a, weights) = ask(&states[0].h);
            }
            Query::Previous => {
                (a, weights) = ask(&states[0].h);
                states[0] = lstm(&decoder.first, &read(&a), &states[0]);
            }
        }
        let mut y = states[0].h.clone();
        for (n, cell) in decoder.upper.iter().enumerate() {
            states[n + 1] = lstm(cell, &join(&y, &a), &states[n + 1]);
            let m = states[n + 1].h.clone();
            y = match decoder.residual {
                Residual::FromThird if n + 2 >= 3 => held(sum(&m, &y), decoder.bound),
                _ => m,
            };
        }
        let (e, b) = (&model.target_embedding.e, numbers(&model.output.b_o));
        let scores: Row = match &model.output.w_o {
            Some(w) => times(&y, &numbers(w)),
            None => {
                let rows: Vec<Row> = numbers(e).chunks(width).map(<[f64]>::to_vec).collect();
                rows.iter().map(|e| e.iter().zip(&y).map(|(e, y)| e * y).sum()).collect()
            }
        };
        logits.push(held(sum(&scores, &b), model.logit_clip));
        looked.push(weights);
    }
    (logits, looked)
}

/// GN-1, GN-3, GN-4, GN-7: every wiring computes what its equations say: which layer reads what,
/// where there is a way around, what the attention is asked with, what is bounded.
#[test]
fn gn_1_gn_3_gn_4_gn_7_the_equations_token_by_token() {
    for (name, model) in every_model(&Device::flex()) {
        let (logits, weights) = model.forced(&batch());
        let weights = weights.expect("GNMT looks at its source");
        for (row, (source, target)) in sources().iter().zip(targets()).enumerate() {
            let (expected, looked) = decode(&model, source, &target);
            for (t, (expected, looked)) in expected.iter().zip(&looked).enumerate() {
                let of = |x: &Tensor<3>, most: usize| -> Row {
                    x.clone().slice(s![row, t, ..most]).into_data().iter::<f64>().collect()
                };
                let close = |a: Row, b: &Row| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(close(of(&logits, 9), expected), "{name}: logits of {row} at {t}");
                assert!(close(of(&weights, looked.len()), looked), "{name}: looks of {row} at {t}");
            }
        }
    }
}
