//! Models that draw: autoencoders of pictures and of texts, and models of conversations.

use recurrent_cells::CellKind;
use recurrent_generative::{
    Activation, Annealing, Autoencoder, AutoencoderConfig, BagOfWords, Bound, Condition,
    ContextBias, ContextKind, DecoderWeights, DialogueBatch, DialogueModel, FreeBits, HredConfig,
    KlTerm, Likelihood, Noise, PictureBatch, PictureModel, Reconstruction, SequenceVaeConfig,
    Sparsity, Summary, Turn, VaeConfig, VhredConfig,
};
use recurrent_seq2seq::{EncoderConfig, Reading, TextBatch};
use rstest::rstest;

use super::*;

fn pictures() -> PictureBatch {
    let values = (0..18).map(|n| (n as f32 * 0.7).sin().abs()).collect();
    PictureBatch { values, width: 6, labels: Some(vec![2, 0, 1]) }
}

/// Codes, and the pictures of codes.
fn coded<M: PictureModel>(model: &M, labels: Option<&[usize]>) -> Output {
    let codes = model.codes_of(&pictures());
    let back = model.pictures_of(&codes, labels);
    Output { numbers: codes.into_iter().chain(back).map(f64::from).collect(), ids: Vec::new() }
}

fn autoencoder_config() -> AutoencoderConfig {
    AutoencoderConfig {
        d_hidden: vec![5],
        activation: Activation::Tanh,
        d_code: 3,
        ..AutoencoderConfig::default()
    }
}

#[rstest]
#[case::plain(autoencoder_config())]
#[case::denoising(AutoencoderConfig {
    decoder: DecoderWeights::Tied,
    reconstruction: Reconstruction::SquaredError,
    noise: Noise::Masking { share: 0.3 },
    ..autoencoder_config()
})]
#[case::sparse(AutoencoderConfig {
    code: Activation::Sigmoid,
    sparsity: Sparsity::Rare { target: 0.2, weight: 0.5 },
    ..autoencoder_config()
})]
fn autoencoder(#[case] config: AutoencoderConfig) {
    let init = |device: &Device| config.init(6, device);
    holds_everywhere(init, &pictures(), |model: &Autoencoder| coded(model, None));
}

fn vae_config() -> VaeConfig {
    VaeConfig {
        d_hidden: vec![5],
        activation: Activation::Tanh,
        d_latent: 2,
        ..VaeConfig::default()
    }
}

#[rstest]
#[case::plain(vae_config())]
#[case::told_and_annealed(VaeConfig {
    condition: Condition::Label,
    kl: KlTerm {
        beta: 2.0,
        annealing: Annealing::Linear { steps: 6.0 },
        free_bits: Some(FreeBits { nats: 0.01, groups: 2 }),
    },
    ..vae_config()
})]
#[case::importance_weighted(VaeConfig {
    likelihood: Likelihood::Gaussian { sigma: 0.4 },
    bound: Bound::Importance { samples: 4 },
    ..vae_config()
})]
fn vae(#[case] config: VaeConfig) {
    let labels = (config.condition == Condition::Label).then_some([2, 0, 1]);
    holds_everywhere(
        |device| config.init(6, 3, device),
        &pictures(),
        |model| coded(model, labels.as_ref().map(<[usize; 3]>::as_slice)),
    );
}

fn reader() -> EncoderConfig {
    EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Forward }
}

fn text_vae_config() -> SequenceVaeConfig {
    SequenceVaeConfig {
        d_embedding: 3,
        encoder: reader(),
        d_latent: 2,
        d_decoder: 4,
        d_readout: 3,
        ..SequenceVaeConfig::default()
    }
}

#[rstest]
#[case::plain(text_vae_config())]
#[case::every_trick(SequenceVaeConfig {
    cell: CellKind::Lstm,
    bias: ContextBias::Selective,
    summary: Summary::Pooled,
    word_dropout: 0.5,
    kl: KlTerm { annealing: Annealing::Linear { steps: 6.0 }, ..KlTerm::default() },
    bag_of_words: BagOfWords::Told { weight: 0.7, d_hidden: 4 },
    ..text_vae_config()
})]
fn text_vae(#[case] config: SequenceVaeConfig) {
    let texts = vec![vec![4, 5, 6], vec![7], vec![8, 8]];
    holds_everywhere(
        |device| config.init(9, device),
        &TextBatch::sentences(&texts),
        |model| {
            let mut output = written(&model.generator(model.draw(2, &mut AT.rng())));
            let between = model.generator(model.between([&texts[0], &texts[1]], 3));
            output.ids.extend(written(&between).ids);
            output
        },
    );
}

fn dialogues() -> Vec<Vec<Turn>> {
    vec![
        vec![vec![4, 5], vec![6], vec![7, 8, 4]],
        vec![vec![5, 5, 5, 6]],
        vec![vec![8], vec![4, 7]],
    ]
}

fn hred_config() -> HredConfig {
    HredConfig {
        d_embedding: 3,
        encoder: reader(),
        context: ContextKind::Rnn { d_hidden: 5 },
        d_decoder: 4,
        d_readout: 3,
        ..HredConfig::default()
    }
}

/// What is said after two turns.
fn replies<M: DialogueModel>(model: &M) -> Output {
    let hred = model.hred();
    let heard = hred.hear(&[vec![4, 5], vec![8]], hred.start(2));
    let context = hred.vector(&hred.hear(&[vec![6], vec![7, 7]], heard));
    let mut output = written(&model.generator(&context, &mut AT.rng()));
    output.numbers.extend(numbers(context));
    output
}

#[rstest]
#[case::first(HredConfig { bias: ContextBias::First, summary: Summary::Pooled, ..hred_config() })]
#[case::all(HredConfig { cell: CellKind::Lstm, bias: ContextBias::All, ..hred_config() })]
#[case::selective(HredConfig { bias: ContextBias::Selective, ..hred_config() })]
#[case::last_turn(HredConfig {
    context: ContextKind::LastTurn,
    encoder: EncoderConfig { layers: 1, d_hidden: 2, reading: Reading::Both },
    ..hred_config()
})]
fn hred(#[case] config: HredConfig) {
    let batch = DialogueBatch::whole(dialogues());
    holds_everywhere(|device| config.init(9, device), &batch, replies);
}

#[rstest]
#[case::plain(VhredConfig::default())]
#[case::every_trick(VhredConfig {
    kl: KlTerm { annealing: Annealing::Linear { steps: 6.0 }, ..KlTerm::default() },
    bag_of_words: BagOfWords::Told { weight: 0.7, d_hidden: 4 },
    ..VhredConfig::default()
})]
fn vhred(#[case] config: VhredConfig) {
    let config = VhredConfig { hred: hred_config(), d_latent: 2, ..config };
    let batch = DialogueBatch::whole(dialogues());
    holds_everywhere(|device| config.init(9, device), &batch, replies);
}
