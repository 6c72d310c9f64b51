//! Cells of every kind, one way and both, for every kind of answer.

use recurrent_cells::{
    Average, Cell, CellKind, Checkpointed, GruConfig, LeakRate, LeakyConfig, LearnedStart,
    LstmConfig, ProjectedLstmConfig, Reset, Stack, Update,
};
use recurrent_reservoir::{OneOrEach, ReservoirConfig};
use recurrent_seq2seq::{
    Answer, AnsweredBatch, Answers, EncoderConfig, Forecaster, ForecasterConfig, InputConfig,
    LanguageModelConfig, ManyToOneConfig, Padded, Pooling, Reading, Says, Series, TaggedBatch,
    TaggerConfig, TextBatch, WindowBatch,
};
use rstest::rstest;

use super::*;

/// Steps of the longest sequence.
const STEPS_OF: [usize; 3] = [4, 2, 3];

fn wave(count: usize, shift: f32) -> Vec<f32> {
    (0..count).map(|n| (n as f32 * 0.7 + shift).sin()).collect()
}

/// Windows of a series of two numbers a step, and the numbers one step later.
fn windows() -> WindowBatch {
    let rows = |shift| [wave(8, shift), wave(8, 1.0 + shift), wave(8, 2.0 + shift)];
    WindowBatch { u: Series::new(&rows(0.0), 2), d: Series::new(&rows(1.4), 2), lead_in: 1 }
}

/// What the model says to a series, and then step by step to what it said itself.
fn goes_on<C: Cell + 'static>(model: &Forecaster<C>) -> Output {
    let (said, mut state) = model.forward(&windows().u, None);
    let [rows, steps, columns] = said.dims();
    let mut last = said.clone().slice([0..rows, steps - 1..steps, 0..columns]).squeeze_dim(1);
    let mut numbers = numbers(said);
    for _ in 0..2 {
        (last, state) = model.step(last, state);
        numbers.extend(super::numbers(last.clone()));
    }
    Output { numbers, ids: Vec::new() }
}

/// A [`Forecaster`] around one cell of two inputs.
fn around<C: Cell>(cell: C, device: &Device) -> Forecaster<C> {
    let sizes = ForecasterConfig { d_hidden: cell.d_hidden(), ..ForecasterConfig::default() };
    let Forecaster { w_o, b_o, says, .. } = sizes.init([2, 2], device);
    Forecaster { stack: Stack::new(vec![cell]), w_o, b_o, says }
}

fn tags() -> TaggedBatch {
    let ids: Vec<Vec<u32>> =
        STEPS_OF.map(|n| (0..n as u32).map(|t| (t * 3 + 1) % 7).collect()).into();
    let labels: Vec<Vec<u32>> =
        ids.iter().map(|row| row.iter().map(|id| id % 3).collect()).collect();
    TaggedBatch { sequences: Padded::new(&ids).into(), labels: Padded::new(&labels) }
}

/// One way and step by step; both ways over sequences of different lengths.
#[rstest]
fn every_cell(
    #[values(
        CellKind::Rnn,
        CellKind::ReluRnn,
        CellKind::Leaky { longest: 8.0 },
        CellKind::Skip { delays: vec![1, 3] },
        CellKind::Carousel,
        CellKind::OriginalLstm,
        CellKind::Lstm,
        CellKind::PeepholeLstm,
        CellKind::CoupledLstm,
        CellKind::GnmtLstm,
        CellKind::LayerNormLstm,
        CellKind::Gru
    )]
    cell: CellKind,
) {
    let one_way = ForecasterConfig {
        d_hidden: 4,
        cell: cell.clone(),
        says: Says::Change,
        ..ForecasterConfig::default()
    };
    holds_everywhere(|device| one_way.init([2, 2], device), &windows(), goes_on);
    let both_ways = TaggerConfig {
        input: InputConfig::Ids { d_embedding: 3 },
        encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Both },
        cell,
        ..TaggerConfig::default()
    };
    let TaggedBatch { sequences, .. } = tags();
    holds_everywhere(
        |device| both_ways.init(7, 3, device),
        &tags(),
        |model| Output {
            ids: model.predict(&sequences),
            numbers: numbers(model.probabilities(&sequences)),
        },
    );
}

/// The choices that a configuration does not have.
#[test]
fn cells_of_programs() {
    holds_everywhere(
        |device| around(ProjectedLstmConfig::new(2, 6, 4).init(device), device),
        &windows(),
        goes_on,
    );
    let gru = |device: &Device| {
        let gru = GruConfig::new(2, 4).with_reset(Reset::BeforeProduct).with_update(Update::Writes);
        around(LearnedStart::new(gru.init(device)), device)
    };
    holds_everywhere(gru, &windows(), goes_on);
    let leaky = |device: &Device| {
        let leaky = LeakyConfig::new(2, 4, LeakRate::Spectrum { longest: 8.0 });
        around(leaky.with_average(Average::Sum).init(device), device)
    };
    holds_everywhere(leaky, &windows(), goes_on);
}

/// Long sequences in chunks.
#[test]
fn checkpointed_cells() {
    let lstm =
        |device: &Device| around(Checkpointed::new(LstmConfig::new(2, 4).init(device), 2), device);
    holds_everywhere(lstm, &windows(), goes_on);
    let gru =
        |device: &Device| around(Checkpointed::new(GruConfig::new(2, 4).init(device), 2), device);
    holds_everywhere(gru, &windows(), goes_on);
}

/// A reservoir whose weights go on learning.
#[test]
fn reservoir() {
    let leak = OneOrEach::One(0.5);
    let config = ReservoirConfig { units: 6, density: 0.5, leak, ..ReservoirConfig::default() };
    let reservoir = config.init(2, 1, 7).unwrap();
    let model = |device: &Device| around(reservoir.cell(device).unwrap(), device);
    holds_everywhere(model, &windows(), goes_on);
}

/// However a sequence becomes one vector, whatever is asked.
#[rstest]
#[case(Pooling::Last, Answer::Class)]
#[case(Pooling::Mean, Answer::Values)]
#[case(Pooling::Max, Answer::Class)]
fn many_to_one(#[case] pooling: Pooling, #[case] answer: Answer) {
    let config = ManyToOneConfig {
        input: InputConfig::Series,
        encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Both },
        cell: CellKind::Lstm,
        pooling,
        answer,
        ..ManyToOneConfig::default()
    };
    let rows: Vec<Vec<f32>> = STEPS_OF.map(|steps| wave(2 * steps, steps as f32)).into();
    let batch = AnsweredBatch {
        sequences: Series::new(&rows, 2).into(),
        answers: match answer {
            Answer::Class => Answers::Classes(vec![2, 0, 1]),
            Answer::Values => Answers::Values(wave(9, 0.5)),
        },
    };
    holds_everywhere(
        |device| config.init(2, 3, device),
        &batch,
        |model| Output { numbers: numbers(model.predict(&batch.sequences)), ids: Vec::new() },
    );
}

#[test]
fn language_model() {
    let config =
        LanguageModelConfig { d_embedding: 3, d_hidden: 4, ..LanguageModelConfig::default() };
    let texts = [vec![4, 5, 6, 7], vec![8], vec![5, 5]];
    holds_everywhere(
        |device| config.init(9, device),
        &TextBatch::sentences(&texts),
        |model| {
            let mut output = written(&model.generator(2).with_prompt(&[5, 6]));
            output.numbers.extend(numbers(model.nll(&texts)));
            output
        },
    );
}
