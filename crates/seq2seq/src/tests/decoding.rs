//! Decoding does less than it could, and gives the same.

use burn::prelude::*;
use recurrent_cells::{Cell, State};

use super::*;
use crate::{
    rows::index,
    search::{Beam, Ensemble, Generator, Limits, Predicted, beam, greedy},
};

/// A generator whose rows each have a memory of their own.
struct Separate<'m, C: Cell>(Seq2SeqGenerator<'m, C>);

impl<'m, C: Cell> Generator for Separate<'m, C> {
    type State = <Seq2SeqGenerator<'m, C> as Generator>::State;

    fn sources(&self) -> usize {
        self.0.sources()
    }

    fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        self.0.source_lengths()
    }

    fn start(&self) -> Self::State {
        self.0.start()
    }

    fn step(&self, last: &[u32], state: Self::State) -> Predicted<Self::State> {
        self.0.step(last, state)
    }

    fn reorder(&self, (mut source, state): Self::State, rows: &[usize]) -> Self::State {
        let index = index(rows, &Device::flex());
        source.memory = source.memory.map(|memory| recurrent_attention::Memory {
            values: memory.values.select(0, index.clone()),
            keys: memory.keys.select(0, index.clone()),
            pad_mask: memory.pad_mask.map(|mask| mask.select(0, index.clone())),
            readers: None,
        });
        source.thought = source.thought.map(|thought| thought.select(0, index.clone()));
        (source, state.select(index))
    }
}

/// A beam whose rows share the memory of their source finds what one finds whose rows have copies of
/// it, with the same scores and the same weights, until the last source is done.
#[test]
fn shared_memories_are_separate_ones() {
    let limits = Limits::at_most(vec![7, 2, 4]);
    let settings = Beam { n_best: 2, length_penalty: 0.5, ..Beam::new(3) };
    for (name, model) in every_model(&Device::flex()) {
        let shared = beam(&model.generator(&sources()), &settings, &limits).unwrap().concat();
        let separate = Separate(model.generator(&sources()));
        let separate = beam(&separate, &settings, &limits).unwrap().concat();
        assert_eq!(shared.len(), separate.len(), "{name}");
        for (a, b) in shared.iter().zip(&separate) {
            assert_eq!((&a.tokens, a.ending), (&b.tokens, b.ending), "{name}");
            assert!((a.log_prob - b.log_prob).abs() < 1e-12, "{name}");
            for (a, b) in a.weights.concat().iter().zip(b.weights.concat()) {
                assert!((a - b).abs() < 1e-6, "{name}");
            }
        }
    }
}

/// Rows that stay where they are, and rows that change places and back, are as they were.
#[test]
fn a_reorder_and_its_inverse_change_nothing() {
    for (name, model) in every_model(&Device::flex()) {
        let generator = model.generator(&sources());
        let after = |moves: &[[usize; 3]]| {
            let first = generator.step(&[4, 5, 6], generator.start());
            let state =
                moves.iter().fold(first.state, |state, rows| generator.reorder(state, rows));
            generator.step(&[7, 4, 5], state).scores.log_probs().into_data()
        };
        let expected = after(&[]);
        println!("{name}");
        after(&[[0, 1, 2]]).assert_eq(&expected, true);
        after(&[[2, 0, 1], [1, 2, 0]]).assert_eq(&expected, true);
    }
}

/// One model twice is that model: both move their rows, share their memories and lose what has ended.
#[test]
fn an_ensemble_moves_all_its_members() {
    let limits = Limits::at_most(vec![5, 1, 3]);
    for (name, model) in every_model(&Device::flex()) {
        let twice = vec![model.generator(&sources()), model.generator(&sources())];
        let twice = Ensemble::new(twice).unwrap();
        let alone = beam(&model.generator(&sources()), &Beam::new(3), &limits).unwrap().concat();
        let together = beam(&twice, &Beam::new(3), &limits).unwrap().concat();
        for (a, b) in together.iter().zip(&alone) {
            assert_eq!(a.tokens, b.tokens, "{name}");
            assert!((a.log_prob - b.log_prob).abs() < 1e-10, "{name}");
        }
        let alone = greedy(&model.generator(&sources()), &limits).unwrap();
        for (a, b) in greedy(&twice, &limits).unwrap().iter().zip(&alone) {
            assert_eq!(a.tokens, b.tokens, "{name}");
        }
    }
}

/// Large enough that products, sums of logits and rows are split: not a bit depends on the number of
/// threads.
#[test]
fn outputs_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex();
    let (_, config) = every_config().swap_remove(4);
    let decoder = DecoderConfig { d_hidden: 64, ..config.decoder };
    let config = Seq2SeqConfig { decoder, ..config };
    let attention = AttentionConfig::General;
    let kind = DecoderKind::Luong { attention, d_readout: 64, feeding: Feeding::Input };
    let decoder = DecoderConfig { kind, ..config.decoder };
    let model = Seq2SeqConfig { decoder, ..config }.init([9, 8000], &device);
    let model = drawn(model, DType::F32);
    let limits = Limits::at_most(vec![4; 3]).at_least(vec![2; 3]);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let generator = model.generator(&sources());
            beam(&generator, &Beam::new(5), &limits).unwrap().concat()
        })
    };
    let expected = run(1);
    for threads in [2, 3] {
        assert_eq!(run(threads), expected, "{threads} threads");
    }
}
