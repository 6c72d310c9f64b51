//! Configurations that say what cannot be.

use rstest::rstest;

use crate::workshop::{LANGUAGE, Workshop};

#[rstest]
#[case("epochs = 3", "epoch = 3", &["`training.epoch`", "unknown field `epoch`"])]
#[case("d_embedding = 8", "d_embeding = 8", &["d_embeding"])]
#[case("epochs = 3", "epochs = \"three\"", &["`training.epochs`", "string \"three\", expected usize"])]
#[case("epochs = 3", "epochs = -1", &["`training.epochs`", "-1"])]
#[case("epochs = 3", "epochs = 0", &["`training.epochs` must be above 0 and finite, got 0"])]
#[case("learning_rate = 1e-2", "learning_rate = nan", &["`training.learning_rate` must be above 0", "got NaN"])]
#[case("clip_norm = 5.0", "clip_norm = -1.0", &["`training.clip_norm` must be above 0", "got -1"])]
#[case("clip_norm = 5.0", "accumulate = 0", &["`training.accumulate` must be above 0"])]
#[case("clip_norm = 5.0", "optimizer = \"adaam\"", &["`training.optimizer`", "unknown variant `adaam`"])]
#[case("clip_norm = 5.0", "optimizer = { adam = { beta_1 = 1.0 } }", &["`training.optimizer.adam.beta_1` must be from 0 to below 1, got 1"])]
#[case("clip_norm = 5.0", "schedule = { warmup = { linear = { steps = 0 } } }", &["`training.schedule.warmup.steps` must be above 0, got 0"])]
#[case("clip_norm = 5.0", "early_stopping = { patience = 0 }", &["`training.early_stopping.patience` must be above 0"])]
#[case("clip_norm = 5.0", "average = { last = 1 }", &["`training.average.last` must be at least 2 and at most `epochs`, which is 3, got 1"])]
#[case("clip_norm = 5.0", "average = { last = 4 }", &["`training.average.last` must be at least 2 and at most `epochs`, which is 3, got 4"])]
#[case("clip_norm = 5.0", "average = { first = 2 }", &["`training.average", "unknown field `first`"])]
#[case("clip_norm = 5.0", "metric = { name = \"bleu\", direction = \"highest\" }", &["`training.metric.name` must be one of nll, ppl, exact_match, cer: what `evaluation.metrics` measures, got bleu"])]
#[case("clip_norm = 5.0", "metric = { name = \"cer\", direction = \"highest\" }", &["`training.metric.direction` must be lowest: less cer is better, got highest"])]
#[case("clip_norm = 5.0", "metric = { name = \"exact_match\", direction = \"lowest\" }", &["`training.metric.direction` must be highest: more exact_match is better, got lowest"])]
#[case("clip_norm = 5.0", "metric = { name = \"nll\", direction = \"highest\" }", &["`training.metric.direction` must be lowest"])]
#[case("clip_norm = 5.0", "optimizer = { sgd = { momentum = 0.9 } }", &["`training.optimizer", "unknown field `momentum`"])]
#[case("clip_norm = 5.0", "optimizer = { adam = {}, sgd = {} }", &["`training.optimizer", "expected one choice, got `adam` and `sgd`"])]
#[case("d_embedding = 8", "d_embedding = 0", &["`model.seq2seq.d_embedding` must be at least 1, got 0"])]
#[case("d_embedding = 8", "dropout = 1.0", &["`model.seq2seq.dropout` must be in [0, 1), got 1"])]
#[case("cell = \"gru\"", "cell = \"grru\"", &["`model.seq2seq.cell`", "unknown variant `grru`"])]
#[case("cell = \"gru\"", "cell = { skip = { delays = [2, 2] } }", &["`model.seq2seq.cell.skip.delays` must be a list of different delays", "got [2, 2]"])]
#[case("cell = \"gru\"", "tie = \"all\"", &["`model.seq2seq.tie` must be none or output"])]
#[case("cell = \"gru\"", "bridge = \"pass\"", &["`model.seq2seq.bridge` must be zero or dense"])]
#[case("d_readout = 16", "d_readout = 0", &["d_readout` must be at least 1, got 0"])]
#[case("attention = \"general\"", "attention = { additive = { d_attention = 0 } }", &["d_attention` must be at least 1, got 0"])]
#[case("encoder = { d_hidden = 8 }", "encoder = { d_hidden = 8, layers = 0 }", &["`model.seq2seq.encoder.layers` must be at least 1, got 0"])]
#[case("size = { sentences = 5 }", "size = { sentences = 0 }", &["`batches.size` must be above 0, got 0"])]
#[case("size = { sentences = 5 }", "size = { pairs = 5 }", &["`batches.size", "unknown variant `pairs`"])]
#[case("metrics = [\"exact_match\", \"cer\"]", "metrics = [\"accuracy\"]", &["`evaluation.metrics", "unknown variant `accuracy`"])]
#[case("metrics = [\"exact_match\", \"cer\"]", "beam = 0", &["`evaluation.beam` must be at least 1, got 0"])]
#[case("metrics = [\"exact_match\", \"cer\"]", "length_penalty = -0.5", &["`evaluation.length_penalty` must be at least 0, got -0.5"])]
#[case("metrics = [\"exact_match\", \"cer\"]", "valid_outputs = 0", &["`evaluation.valid_outputs` must be at least 1, got 0"])]
fn what_cannot_be_names_its_line_and_what_could_be(
    #[case] from: &str,
    #[case] to: &str,
    #[case] named: &[&str],
) {
    let shop = Workshop::new();
    shop.change(from, to);
    let place = format!("run.toml:{}: ", shop.line_of(to));
    shop.train(&[]).refused_for(&[&[place.as_str()], named].concat());
    assert!(!shop.path("model").exists());
}

#[rstest]
#[case("training.epochs=0", "--set training.epochs=0: `training.epochs` must be above 0")]
#[case("training.epoch=3", "unknown field `epoch`")]
#[case("model.seq2seq.dropout=2", "`model.seq2seq.dropout` must be in [0, 1), got 2")]
#[case("training.seed=-1", "--set training.seed=-1: `training.seed`")]
#[case("data.transform.source=[{ replace = { pattern = '[', with = '' } }]", "`data.transform`")]
#[case("tokens.separate.target.segmentation.bpe.size=3", "tokens")]
fn what_cannot_be_set_is_named(#[case] set: &str, #[case] named: &str) {
    let shop = Workshop::new();
    shop.train(&["--set", set]).refused_for(&[named]);
    assert!(!shop.path("model").exists());
}

#[test]
fn a_coverage_penalty_needs_attention() {
    let shop = Workshop::new();
    shop.change(
        "{ luong = { attention = \"general\", d_readout = 16, feeding = \"input\" } }",
        "{ thought = { context = \"start\" } }",
    );
    shop.train(&["--set", "evaluation.coverage_penalty=0.2"])
        .refused_for(&["`evaluation.coverage_penalty` must be 0 for a decoder without attention"]);
}

#[test]
fn a_language_model_has_one_vocabulary() {
    let shop = Workshop::new();
    let separate = "[tokens.separate]\nsource = { segmentation = { characters = {} } }\ntarget = { segmentation = { characters = {} } }\n";
    let shared = "[tokens.shared]\nsegmentation = { characters = {} }\n";
    shop.write("run.toml", LANGUAGE.replace(shared, separate));
    shop.train(&[]).refused_for(&["`tokens` must be `shared`"]);
    shop.write(
        "run.toml",
        LANGUAGE.replace("d_hidden = 16", "d_hidden = 16\noutput = \"embedding\""),
    );
    shop.train(&[]).refused_for(&["`model.language_model.d_hidden` must be d_embedding = 8"]);
    assert!(!shop.path("model").exists());
}

#[test]
fn a_missing_part_is_named() {
    let shop = Workshop::new();
    shop.change("[data]\ntrain = { tsv = { path = \"train.tsv\" } }\n", "[data]\n");
    shop.train(&[]).refused_for(&["run.toml:1", "`data.train` must be given"]);
    let shop = Workshop::new();
    shop.change("[tokens.separate]", "[tokens]");
    shop.train(&[]).refused_for(&["run.toml:", "tokens"]);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_there_is_found_out_first() {
    let shop = Workshop::new();
    shop.train(&["--device", "cuda"]).refused_for(&["not in this build"]);
    assert!(!shop.path("model").exists());
}
