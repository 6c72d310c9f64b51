use burn::tensor::DType;
use recurrent_testkit::{assert_close, check_gradients, drawn};
use rstest::rstest;

use recurrent_cells::AnyState;

use super::*;
use crate::{
    search::{Limits, greedy},
    tests::{
        assert_knows_nothing,
        heads::{assert_batch_is, assert_saves, gradients, trained},
        moment,
    },
};

const VOCABULARY: usize = 7;

fn config(cell: CellKind, output: OutputWeights) -> LanguageModelConfig {
    LanguageModelConfig {
        d_embedding: 3,
        d_hidden: 3,
        layers: 2,
        cell,
        output,
        embedding_scale: match output {
            OutputWeights::Own => EmbeddingScale::Plain,
            OutputWeights::Embedding => EmbeddingScale::Sqrt,
        },
        ..Default::default()
    }
}

fn skip() -> CellKind {
    CellKind::Skip { delays: vec![1, 3] }
}

/// In double precision, with weights of its own.
fn model(cell: CellKind, output: OutputWeights, device: &Device) -> LanguageModel<AnyCell> {
    drawn(config(cell, output).init(VOCABULARY, device), DType::F64)
}

fn sentences() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6, 6], vec![], vec![5, 4]]
}

fn text() -> Vec<u32> {
    vec![4, 5, 6, 4, 3, 6, 6, 5, 4, 3, 5]
}

/// X-2, S2-6: a padded batch has the loss and the gradients of its sentences, and more padding
/// changes nothing.
#[rstest]
#[case(CellKind::Lstm, OutputWeights::Own)]
#[case(skip(), OutputWeights::Embedding)]
fn x_2_a_padded_batch_is_its_sentences(#[case] cell: CellKind, #[case] output: OutputWeights) {
    let model = model(cell, output, &Device::flex().autodiff());
    let batch = TextBatch::sentences(&sentences());
    let singles: Vec<_> = sentences().iter().map(|y| TextBatch::sentences(&[y])).collect();
    assert_batch_is(&model, &batch, &singles);
    let inputs = batch.inputs.with_padding(2);
    let wider = TextBatch { inputs, targets: batch.targets.with_padding(2), ..batch.clone() };
    assert_batch_is(&model, &wider, &[batch]);
}

/// X-2 for outputs: the negative log-likelihood of a sentence is its own, whatever is beside it, and
/// all together are what is reported while learning.
#[test]
fn x_2_nll_is_of_each_sentence() {
    let model = model(CellKind::Gru, OutputWeights::Own, &Device::flex());
    let each = model.nll(&sentences());
    let alone = sentences().iter().map(|y| model.nll(&[y])).collect();
    assert_close(&each, Tensor::cat(alone, 0).to_data(), 1e-12);
    let (loss, _) = model.learn(&TextBatch::sentences(&sentences()), None, &moment());
    assert_close(&each.sum(), loss.nll.to_data(), 1e-12);
    assert_eq!(loss.items, 4 + 2 + 3);
}

/// X-1, through a chunk that carries on as well: the states it starts from are constants.
#[rstest]
#[case(CellKind::Lstm, OutputWeights::Own)]
#[case(skip(), OutputWeights::Embedding)]
fn x_1_gradients_match_finite_differences(#[case] cell: CellKind, #[case] output: OutputWeights) {
    let model = model(cell, output, &Device::flex().autodiff());
    let chunks = RunningText::new(&text(), 2, 3).0;
    let (_, carried) = model.learn(&chunks[0], None, &moment());
    let carried = carried.detach();
    check_gradients(&model, 1e-6, |model| {
        model.learn(&chunks[1], Some(carried.clone()), &moment()).0.sum
    });
}

/// S2-9, X-9: a model as it is drawn finds all tokens about as likely.
#[rstest]
#[case(OutputWeights::Own)]
#[case(OutputWeights::Embedding)]
fn s2_9_x_9_an_untrained_model_knows_nothing(#[case] output: OutputWeights) {
    let model = config(CellKind::Lstm, output).init(VOCABULARY, &Device::flex());
    let (logits, _) = model.forward(&TextBatch::sentences(&sentences()).inputs, None);
    assert_knows_nothing("language model", logits);
}

/// one batch by heart. What follows must follow from what is before, so the sentences differ
/// from their first token on and there is one.
#[test]
fn x_10_one_batch_by_heart() {
    let wide = LanguageModelConfig { d_embedding: 8, d_hidden: 16, ..Default::default() };
    let model = drawn(wide.init(VOCABULARY, &Device::flex().autodiff()), DType::F32);
    let batch = TextBatch::sentences(&[vec![4, 5, 6, 6, 5, 4, 5, 5, 6]]);
    let (_, nll) = trained(model, 300, 0.02, || batch.clone());
    assert!(nll < 0.01, "{nll}");
}

/// S2-2: the steps of the generator add up to the teacher-forced pass.
#[rstest]
#[case(CellKind::Lstm)]
#[case(skip())]
fn s2_2_steps_add_up_to_the_forced_pass(#[case] cell: CellKind) {
    let model = model(cell, OutputWeights::Own, &Device::flex());
    for sentence in sentences() {
        let generator = model.generator(1);
        let (mut state, mut last, mut sum) = (generator.start(), BOS, 0.0);
        for id in [sentence.as_slice(), &[recurrent_text::EOS]].concat() {
            let next = generator.step(&[last], state);
            sum += next.scores.log_probs().slice(s![0, id as usize]).into_scalar::<f64>();
            (state, last) = (next.state, id);
        }
        assert_close(&model.nll(&[sentence]), [-sum], 1e-10);
    }
}

/// S2-2 for a prompt: what comes after it is as likely as in the middle of the sentence, in every
/// row, for a prompt of any length.
#[test]
fn s2_2_a_prompt_is_the_beginning_of_the_text() {
    let model = model(skip(), OutputWeights::Own, &Device::flex());
    let sentence = [4, 5, 6, 6];
    let whole = log_softmax(model.forward(&Padded::begun(&[sentence]), None).0, 2);
    for length in 0..=sentence.len() {
        let generator = model.generator(3).with_prompt(&sentence[..length]);
        let first = generator.step(&[BOS; 3], generator.start());
        let expected = whole.clone().slice(s![0, length, ..]).reshape([1, -1]).repeat_dim(0, 3);
        assert_close(&first.scores.log_probs(), expected.to_data(), 1e-12);
    }
}

/// A text that is cut into chunks has the likelihood it has whole, rows of different lengths
/// included.
#[rstest]
#[case(CellKind::Lstm)]
#[case(skip())]
fn chunks_add_up_to_the_text(#[case] cell: CellKind) {
    let model = model(cell, OutputWeights::Own, &Device::flex());
    let nll = |steps: usize| {
        let (mut sum, mut items, mut carried) = (0.0, 0, None);
        for batch in RunningText::new(&text(), 3, steps).0 {
            let (loss, next) = model.learn(&batch, carried, &moment());
            sum += loss.nll.into_scalar::<f64>();
            items += loss.items;
            carried = Some(next.detach());
        }
        assert_eq!(items, text().len());
        sum
    };
    let whole = nll(text().len());
    for steps in 1..4 {
        assert!((nll(steps) - whole).abs() < 1e-12, "{steps} steps at a time");
    }
}

/// Gradients stop at a cut: those of the second chunk are what they are from states that came from
/// nowhere, and not those of the whole text.
#[test]
fn gradients_do_not_cross_a_cut() {
    let device = Device::flex().autodiff();
    let model = model(CellKind::Lstm, OutputWeights::Own, &device);
    let chunks = RunningText::new(&text(), 1, 5).0;
    let (_, carried) = model.learn(&chunks[0], None, &moment());
    let from =
        |carried| gradients(&model, &model.learn(&chunks[1], Some(carried), &moment()).0.sum);
    let constant = |state: Vec<AnyState>| {
        let untracked = |part: Tensor<2>| Tensor::from_data(part.to_data(), (&device, DType::F64));
        CarriedStates(State::map(state, &mut |_, part| untracked(part)))
    };
    let through = from(CarriedStates(carried.0.clone()));
    let (cut, expected) = (from(carried.clone().detach()), from(constant(carried.0)));
    assert_close(&cut, expected.to_data(), 1e-14);
    assert!(recurrent_testkit::largest_difference(&through, cut.to_data()) > 1e-4);
}

/// How a running text is cut: every token comes next once, read off the one before it.
#[test]
fn a_running_text_is_cut_into_parts_and_chunks() {
    let chunks = RunningText::new(&[4, 5, 6, 7, 8], 2, 2);
    let past: Vec<_> = chunks.epoch(1, 1).iter().map(|plan| chunks.past(plan)).collect();
    let (inputs, targets): (Vec<_>, Vec<_>) =
        chunks.0.into_iter().map(|chunk| (chunk.inputs, chunk.targets)).unzip();
    assert_eq!(inputs, [Padded::new(&[[2, 4], [5, 6]]), Padded::new(&[vec![], vec![7_u32]])]);
    assert_eq!(targets, [Padded::new(&[[4, 5], [6, 7]]), Padded::new(&[vec![], vec![8_u32]])]);
    assert_eq!(past, [Past::None, Past::Carried]);
}

/// A reorder moves every part of the states of a row, also the older ones, which show only steps
/// later.
#[test]
fn a_reorder_moves_every_part_of_the_state() {
    let model = model(skip(), OutputWeights::Own, &Device::flex());
    let generator = model.generator(3);
    let first = generator.step(&[4, 5, 6], generator.start()).state;
    let state = generator.step(&[6, 4, 4], first).state;
    let rows = [2, 0, 0];
    let moved = generator.reorder(state.clone(), &rows);
    assert_eq!(moved.parts().len(), 2 * 3);
    for ((_, after), (_, before)) in moved.parts().iter().zip(state.parts()) {
        let expected = rows.iter().map(|row| before.clone().narrow(0, *row, 1)).collect();
        assert_close(after, Tensor::cat(expected, 0).to_data(), 0.0);
    }
    let three = |state| (0..3).fold(state, |state, _| generator.step(&[4, 4, 5], state).state);
    let (after, alone) = (three(moved), three(state));
    let row = |state: &Vec<AnyState>, row| state.parts()[0].1.clone().narrow(0, row, 1);
    assert_close(&row(&after, 1), row(&alone, 0).to_data(), 1e-14);
}

///
#[test]
fn x_4_saves_bit_by_bit() {
    let device = Device::flex();
    let config = config(CellKind::Lstm, OutputWeights::Own);
    let init = || config.init(VOCABULARY, &device);
    assert_saves(&drawn(init(), DType::F32), init());
}

/// A grammar of four sentences, equally likely: a token, as many fillers, and the token again. Nothing
/// is in doubt but the first token, so that the entropy of a sentence is `ln 4`, which no model can be
/// below on the average.
#[test]
fn learns_a_grammar_to_its_entropy() {
    let grammar: Vec<Vec<u32>> = (4..8).map(|id| vec![id, 8, 8, 8, id]).collect();
    let config = LanguageModelConfig { d_embedding: 8, d_hidden: 24, ..Default::default() };
    let model = drawn(config.init(9, &Device::flex().autodiff()), DType::F32);
    let batch = TextBatch::sentences(&grammar);
    let model = trained(model, 200, 0.02, || batch.clone()).0.valid();
    let nll = f64::from(model.nll(&grammar).mean().into_scalar::<f32>());
    let entropy = 4.0_f64.ln();
    assert!(nll > entropy - 1e-5 && nll < entropy + 0.05, "{nll} for {entropy}");
    for id in 4..8 {
        let generator = model.generator(1).with_prompt(&[id]);
        let found = greedy(&generator, &Limits::at_most(vec![10])).unwrap();
        assert_eq!(found[0].tokens, [8, 8, 8, id]);
    }
}

#[test]
#[should_panic(expected = "a batch that carries on needs the states before it")]
fn a_batch_cannot_carry_on_from_nothing() {
    let model = model(CellKind::Rnn, OutputWeights::Own, &Device::flex());
    let batch = RunningText::new(&text(), 2, 2).0.swap_remove(1);
    let _ = model.learn(&batch, None, &moment());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut LanguageModelConfig), text: &str| {
        let mut config = config(CellKind::Lstm, OutputWeights::Own);
        change(&mut config);
        assert_eq!(config.validate(VOCABULARY).unwrap_err().to_string(), text);
    };
    refused(&|c| c.layers = 0, "`layers` must be at least 1, got 0");
    refused(&|c| c.dropout = -0.5, "`dropout` must be in [0, 1), got -0.5");
    refused(
        &|c| c.cell = CellKind::Leaky { longest: 1.0 },
        "`cell.leaky.longest` must be above 1, got 1",
    );
    refused(
        &|c| c.embedding_scale = EmbeddingScale::Sqrt,
        "`embedding_scale` must be \"plain\" where no embedding is the output layer, got sqrt",
    );
    refused(
        &|c| (c.output, c.d_hidden) = (OutputWeights::Embedding, 5),
        "`d_hidden` must be d_embedding = 3 for an output that is the embedding, got 5",
    );
    let error = config(CellKind::Lstm, OutputWeights::Own).validate(3).unwrap_err();
    assert_eq!(error.to_string(), "`vocabulary` must be at least 4, the special tokens, got 3");
}
