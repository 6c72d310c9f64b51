//! HRED: what it looks back on, chunk by chunk and turn by turn.

use burn::{
    module::Param,
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::DType,
};
use recurrent_cells::CellKind;
use recurrent_seq2seq::{
    BridgeKind, Context as ThoughtContext, DecoderConfig, DecoderKind, EmbeddingScale,
    EncoderConfig, OutputWeights, PairBatch, Reading, Seq2SeqConfig,
    search::{Limits, forced, greedy},
};
use recurrent_testkit::{all_gradients, check_gradients, drawn, redrawn};
use recurrent_training::{Batches, Learn, Moment, Past};
use rstest::rstest;

use crate::{
    ContextBias, ContextInput, ContextKind, DialogueBatch, DialogueOrder, Dialogues, Hred,
    HredConfig, Summary, Turn,
};

const AT: Moment = Moment { seed: 1, epoch: 1, step: 0 };
const VOCABULARY: usize = 9;

pub(super) fn config() -> HredConfig {
    HredConfig {
        d_embedding: 3,
        encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Forward },
        context: ContextKind::Rnn { d_hidden: 5 },
        d_decoder: 4,
        d_readout: 3,
        ..HredConfig::default()
    }
}

pub(super) fn model(config: &HredConfig) -> Hred {
    drawn(config.init(VOCABULARY, &Device::flex().autodiff()), DType::F64)
}

/// Three conversations of three, one and two turns.
pub(super) fn dialogues() -> Vec<Vec<Turn>> {
    vec![
        vec![vec![4, 5], vec![6], vec![7, 8, 4]],
        vec![vec![5, 5, 5, 6]],
        vec![vec![8], vec![4, 7]],
    ]
}

fn nll(model: &Hred, dialogues: Vec<Vec<Turn>>) -> Vec<f64> {
    model.nll(&DialogueBatch::whole(dialogues), None).0.into_data().iter().collect()
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-10, "{a} is not {b}");
    }
}

/// every parameter, for every way to read and to use a context.
#[rstest]
#[case(config())]
#[case(HredConfig { bias: ContextBias::First, summary: Summary::Pooled, ..config() })]
#[case(HredConfig { bias: ContextBias::Selective, ..config() })]
#[case(HredConfig { cell: CellKind::Lstm, ..config() })]
#[case(HredConfig { cell: CellKind::Lstm, bias: ContextBias::Selective, ..config() })]
#[case(HredConfig {
    encoder: EncoderConfig { layers: 2, d_hidden: 2, reading: Reading::Both },
    context_input: ContextInput::Dense,
    output: OutputWeights::Embedding,
    embedding_scale: EmbeddingScale::Sqrt,
    ..config()
})]
#[case(HredConfig { context: ContextKind::LastTurn, summary: Summary::Pooled, ..config() })]
fn gradients_match_finite_differences(#[case] config: HredConfig) {
    let batch = DialogueBatch::whole(dialogues());
    check_gradients(&model(&config), 1e-6, |model| model.learn(&batch, None, &AT).0.sum);
}

/// HR-1: with the last turn for a context, it is a sequence-to-sequence model with the same weights.
#[test]
fn hr_1_of_the_last_turn_alone_it_is_seq2seq() {
    let config = HredConfig {
        context: ContextKind::LastTurn,
        bias: ContextBias::First,
        d_readout: 4,
        ..config()
    };
    let mut hred = model(&config).valid();
    let like = (&Device::flex(), DType::F64);
    let set = |numbers: Tensor<2>| Param::from_tensor(numbers);
    // Without the deep output: what the decoder puts out is what logits are made of.
    hred.decoder.out.w = Some(set(Tensor::from_data(
        [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
        like,
    )));
    hred.decoder.out.b = Param::from_tensor(Tensor::zeros([4], like));
    hred.decoder.w_eo = set(Tensor::zeros([3, 4], like));
    hred.decoder.w_so = set(Tensor::zeros([4, 4], like));
    let seq2seq = Seq2SeqConfig {
        d_embedding: 3,
        cell: CellKind::Gru,
        encoder: config.encoder.clone(),
        bridge: BridgeKind::Dense,
        decoder: DecoderConfig {
            layers: 1,
            d_hidden: 4,
            kind: DecoderKind::Thought { context: ThoughtContext::Start },
        },
        ..Seq2SeqConfig::default()
    };
    let mut seq2seq = seq2seq.init([VOCABULARY; 2], &Device::flex());
    seq2seq.source_embedding = Some(hred.embedding.clone());
    seq2seq.target_embedding = hred.embedding.clone();
    seq2seq.encoder = hred.encoder.rnn.clone();
    seq2seq.output = hred.output.clone();
    let recurrent_seq2seq::Decoder::Thought(decoder) = &mut seq2seq.decoder else {
        panic!("a decoder without attention")
    };
    decoder.rnn.layers[0] = hred.decoder.cell.clone();
    let bridge = &mut seq2seq.bridge.layers[0];
    bridge.w[0] = hred.decoder.start.w.clone().expect("weights of its own");
    bridge.b[0] = hred.decoder.start.b.clone();
    let said: Vec<Vec<Turn>> = vec![vec![vec![4, 5], vec![6, 7]], vec![vec![8, 8, 8], vec![4]]];
    let pairs = PairBatch::new(&[&said[0][0], &said[1][0]], &[&said[0][1], &said[1][1]]);
    let expected: f64 = seq2seq.learn(&pairs, None, &AT).0.nll.into_scalar();
    let found = nll(&hred, said);
    assert!((found[1] + found[3] - expected).abs() < 1e-10, "{found:?} {expected}");
}

/// HR-2: a turn does not know what comes behind it, and does know the first one, through the context.
#[test]
fn hr_2_turns_know_what_was_said_and_not_what_will_be() {
    let model = model(&config()).valid();
    let said = dialogues();
    let before = nll(&model, said.clone());
    let mut changed = said.clone();
    changed[0][2] = vec![4];
    let after = nll(&model, changed);
    close(&after[..2], &before[..2]);
    close(&after[3..], &before[3..]);
    let mut changed = said;
    changed[0][0] = vec![8, 8];
    let after = nll(&model, changed);
    assert!((after[2] - before[2]).abs() > 1e-6, "{before:?} {after:?}");
}

/// HR-3: the order of what was said matters; and a model that takes nothing from its context writes
/// whatever was said before.
#[test]
fn hr_3_order_matters_and_without_a_context_nothing_does() {
    let mut model = model(&config()).valid();
    let turns = |first: Turn, second: Turn| vec![vec![first, second, vec![4, 5]]];
    let there = nll(&model, turns(vec![6], vec![7, 8]));
    let back = nll(&model, turns(vec![7, 8], vec![6]));
    assert!((there[2] - back[2]).abs() > 1e-6);
    let nothing = |w: &Param<Tensor<2>>| Param::from_tensor(w.val().zeros_like());
    model.decoder.start.w = model.decoder.start.w.as_ref().map(nothing);
    model.decoder.w_s = model.decoder.w_s.as_ref().map(nothing);
    model.decoder.w_so = nothing(&model.decoder.w_so);
    let there = nll(&model, turns(vec![6], vec![7, 8]));
    let back = nll(&model, turns(vec![4, 4], vec![6]));
    let alone = nll(&model, vec![vec![vec![4, 5]]]);
    close(&[there[2], back[2]], &[alone[0], alone[0]]);
}

/// HR-4: turn by turn, with nothing kept but the context, is as all at once; and what is written token
/// by token is as likely as what is forced.
#[rstest]
#[case(config())]
#[case(HredConfig { bias: ContextBias::First, ..config() })]
#[case(HredConfig { bias: ContextBias::Selective, ..config() })]
#[case(HredConfig { bias: ContextBias::Selective, cell: CellKind::Lstm, ..config() })]
#[case(HredConfig { context: ContextKind::LastTurn, ..config() })]
fn hr_4_turn_by_turn_is_as_all_at_once(#[case] config: HredConfig) {
    let model = model(&config).valid();
    for turns in dialogues() {
        let at_once = nll(&model, vec![turns.clone()]);
        let mut state = model.start(1);
        let mut streamed = Vec::new();
        for turn in &turns {
            let generator = model.generator(model.vector(&state));
            let written = forced(&generator, std::slice::from_ref(turn)).unwrap();
            streamed.push(-written[0].log_prob);
            state = model.hear(std::slice::from_ref(turn), state);
        }
        close(&streamed, &at_once);
    }
}

/// HR-5, X-2: conversations and turns of other lengths beside one change nothing, nor does cutting
/// conversations into chunks.
#[rstest]
#[case(config())]
#[case(HredConfig { bias: ContextBias::Selective, summary: Summary::Pooled, ..config() })]
#[case(HredConfig {
    encoder: EncoderConfig { layers: 2, d_hidden: 2, reading: Reading::Both },
    ..config()
})]
#[case(HredConfig { context: ContextKind::LastTurn, ..config() })]
fn hr_5_a_batch_is_as_single_runs_and_chunks_as_the_whole(#[case] config: HredConfig) {
    let model = model(&config).valid();
    let together = nll(&model, dialogues());
    let alone: Vec<f64> =
        dialogues().into_iter().flat_map(|turns| nll(&model, vec![turns])).collect();
    close(&together, &alone);

    let batches = Dialogues::new(dialogues(), 3, 1, DialogueOrder::Sorted);
    let mut carried = None;
    let mut chunked = Vec::new();
    for plan in batches.epoch(1, 1) {
        let batch = batches.batch(&plan);
        assert_eq!(batch.past == Past::None, carried.is_none());
        let (nll, after) = model.nll(&batch, carried);
        chunked.extend(nll.into_data().iter::<f64>());
        carried = Some(after);
    }
    let sum = |numbers: &[f64]| numbers.iter().sum::<f64>();
    assert!((sum(&chunked) - sum(&together)).abs() < 1e-10);
    // The first turns of all: conversations are sorted by their number of turns.
    close(&chunked[..3], &[together[3], together[4], together[0]]);
}

/// HR-5, X-2: the gradients too: those of a batch are the sum of those of its conversations.
#[rstest]
#[case(config())]
#[case(HredConfig { cell: CellKind::Lstm, bias: ContextBias::Selective, ..config() })]
#[case(HredConfig { cell: CellKind::OriginalGru, summary: Summary::Pooled, ..config() })]
fn hr_5_x_2_gradients_add_up(#[case] config: HredConfig) {
    let model = model(&config);
    let gradients = |dialogues: Vec<Vec<Turn>>| {
        let loss = model.learn(&DialogueBatch::whole(dialogues), None, &AT).0.sum;
        all_gradients(&model, &loss.backward())
    };
    let together = gradients(dialogues());
    let mut sums = vec![0.0; together.len()];
    for turns in dialogues() {
        let alone = gradients(vec![turns]);
        assert_eq!(alone.len(), sums.len());
        sums.iter_mut().zip(alone).for_each(|(sum, gradient)| *sum += gradient);
    }
    close(&together, &sums);
}

/// a turn of no words is as likely as `</s>` alone, and changes no other conversation.
#[test]
fn x_7_an_empty_turn_is_a_turn() {
    let model = model(&config());
    let said = vec![vec![vec![], vec![4, 5], vec![]], vec![vec![6, 7]]];
    let found = nll(&model.valid(), said.clone());
    assert!(found.iter().all(|nll| nll.is_finite() && *nll > 0.0), "{found:?}");
    close(&found[3..], &nll(&model.valid(), vec![vec![vec![6, 7]]])[..1]);
    let loss = model.learn(&DialogueBatch::whole(said), None, &AT).0.sum;
    let gradients = all_gradients(&model, &loss.backward());
    assert!(gradients.iter().all(|gradient| gradient.is_finite()));
}

/// a model as it is drawn finds all tokens about as likely, one whose output is its embedding a
/// little less so.
#[rstest]
#[case(OutputWeights::Own, 1.05)]
#[case(OutputWeights::Embedding, 1.2)]
fn x_9_an_untrained_model_knows_nothing(#[case] output: OutputWeights, #[case] most: f64) {
    for cell in [CellKind::Gru, CellKind::Lstm] {
        let config = HredConfig { d_embedding: 16, d_readout: 16, output, cell, ..config() };
        let model = config.init(VOCABULARY, &Device::flex());
        let loss = model.learn(&DialogueBatch::whole(dialogues()), None, &AT).0;
        let nll = f64::from(loss.nll.into_scalar::<f32>()) / loss.items as f64;
        let uniform = (VOCABULARY as f64).ln();
        assert!(nll / uniform > 0.95 && nll / uniform < most, "{nll} for {uniform}");
    }
}

/// a conversation is learned by heart.
#[rstest]
#[case(HredConfig { d_decoder: 16, ..config() })]
#[case(HredConfig { d_decoder: 16, bias: ContextBias::Selective, cell: CellKind::Lstm, ..config() })]
#[case(HredConfig { d_decoder: 16, bias: ContextBias::First, cell: CellKind::OriginalGru, ..config() })]
fn x_10_one_conversation_by_heart(#[case] config: HredConfig) {
    let batch = DialogueBatch::whole(vec![vec![vec![4, 5], vec![6], vec![7, 8, 4]]]);
    let mut model = redrawn(config.init(VOCABULARY, &Device::flex().autodiff()), 3000);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut nll = f64::INFINITY;
    for _ in 0..300 {
        let loss = model.learn(&batch, None, &AT).0;
        nll = f64::from(loss.nll.into_scalar::<f32>()) / loss.items as f64;
        let gradients = GradientsParams::from_grads((loss.sum / loss.weight).backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
    assert!(nll < 0.01, "{nll}");
}

/// HR-5: beside very long turns, for which a batch is looked at in pieces, every turn is found as likely as
/// in a batch of its conversation alone, and all of them as while learning, where there are no pieces.
#[test]
fn hr_5_turns_of_all_lengths_are_measured_alike() {
    let model = model(&config());
    let turn = |n: usize| (0..n).map(|m| 4 + ((m * m + n) % 5) as u32).collect::<Turn>();
    let said: Vec<Vec<Turn>> =
        [[2500, 3], [1, 900], [40, 2], [700, 700]].map(|turns| turns.map(turn).to_vec()).to_vec();
    let valid = model.valid();
    let together = nll(&valid, said.clone());
    let alone: Vec<f64> = said.iter().flat_map(|turns| nll(&valid, vec![turns.clone()])).collect();
    close(&together, &alone);
    let learned = model.learn(&DialogueBatch::whole(said), None, &AT).0.nll;
    let sum = together.iter().sum::<f64>();
    assert!((learned.into_scalar::<f64>() / sum - 1.0).abs() < 1e-12, "{sum}");
}

/// HR-6: from one context there is one likeliest reply.
#[test]
fn hr_6_the_likeliest_reply_is_always_the_same() {
    let model = model(&config()).valid();
    let state = model.hear(&[vec![4, 5]], model.start(1));
    let reply = || {
        let generator = model.generator(model.vector(&state));
        greedy(&generator, &Limits::at_most(vec![8])).unwrap()[0].tokens.clone()
    };
    assert_eq!(reply(), reply());
}

/// VH-6: of words that are dropped none is left, but for where a turn begins; of none all are.
#[test]
fn vh_6_words_are_dropped_from_what_is_read() {
    let batch = DialogueBatch::whole(dialogues());
    let read = |word_dropout: f64| {
        let config = HredConfig { word_dropout, ..config() };
        model(&config).begun(&batch, &mut AT.rng())
    };
    assert_eq!(read(0.0), batch.begun());
    for row in read(1.0).rows() {
        assert_eq!(row[0], recurrent_text::BOS);
        assert!(row[1..].iter().all(|id| *id == recurrent_text::UNK), "{row:?}");
    }
    let some: Vec<u32> = read(0.5).rows().flatten().collect();
    let dropped = some.iter().filter(|id| **id == recurrent_text::UNK).count();
    assert!(dropped > 2 && dropped < 13, "{some:?}");
    // Not where a model is measured.
    let config = HredConfig { word_dropout: 1.0, ..config() };
    assert_eq!(model(&config).valid().begun(&batch, &mut AT.rng()), batch.begun());
}

#[rstest]
#[case(HredConfig { cell: CellKind::Rnn, ..config() }, "`cell` must be \"gru\", \"original_gru\" or \"lstm\", got rnn")]
#[case(
    HredConfig { context: ContextKind::Rnn { d_hidden: 0 }, ..config() },
    "`context.rnn.d_hidden` must be at least 1, got 0"
)]
#[case(
    HredConfig { output: OutputWeights::Embedding, d_readout: 4, ..config() },
    "`d_readout` must be d_embedding = 3 for an output that is the embedding, got 4"
)]
#[case(HredConfig { word_dropout: 1.5, ..config() }, "`word_dropout` must be in [0, 1], got 1.5")]
fn what_does_not_fit_is_named(#[case] config: HredConfig, #[case] message: &str) {
    assert_eq!(config.validate(VOCABULARY).unwrap_err().to_string(), message);
}
