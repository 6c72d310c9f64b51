//! `recurrent train`: from a configuration to a model that is measured and ready to be used.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail, ensure};
use burn::{module::Module, prelude::*};
use recurrent_training::{
    Best, Ended, EpochRecord, Interrupter, Moment, Progress, Start, TrainConfig, Trained, Training,
    load_best,
};

use crate::{
    any_translator::TranslatorConfig,
    args,
    data::{Data, ExampleSet, Fingerprint},
    dialogue_model::{DialogueConfig, DialogueTask},
    echo_state,
    error::Interrupted,
    experiment::{EvaluationConfig, Experiment, ModelConfig},
    flat_model::FlatTask,
    folder::{self, ModelFolder, Part},
    forecaster::{self, ForecasterTask},
    interrupt,
    picture_model::{PictureConfig, PictureTask},
    report::{self, Measured, Report},
    settings::{self, Difference},
    task::{Learned, Task, Translation},
    terminal::{Stream, grouped},
    text_model::{TextConfig, TextTask},
    tokens::TokenSource,
};

/// See [`args::Train`].
///
/// # Errors
///
/// If something is wrong with the configuration, the data, the folder or the machine, if a number
/// is not finite, or if it is stopped. What was good so far is kept.
pub fn run(arguments: &args::Train, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let experiment: Experiment = settings::read_valid(&arguments.config, &arguments.sets)?;
    let path = arguments.folder();
    let start = if arguments.resume { folder::Start::Resume } else { folder::Start::New };
    ModelFolder::check(&path, start)?;
    let beginning = match &experiment.model {
        // It is fitted at once, and refuses the others itself.
        ModelConfig::EchoState(_) => Beginning::Nothing,
        _ => Beginning::of(arguments, &path)?,
    };
    if let Beginning::Model(model) = &beginning {
        same_tokens(model, &experiment)?;
    }
    let job = Job { arguments, experiment: &experiment, path: &path, beginning, device };
    match &experiment.model {
        ModelConfig::EchoState(config) => {
            echo_state::on_cpu(&arguments.device)?;
            echo_state::train(arguments, &experiment, config, out)
        }
        ModelConfig::Forecaster(config) => {
            let lead_in = forecaster::lead_in(experiment.evaluation.free_run);
            let (heard, data) = experiment.series()?.read(lead_in)?;
            job.train(&ForecasterTask::new(config, &experiment, heard)?, &data, out)
        }
        ModelConfig::Seq2seq(config) => job.train_translation(config, out),
        ModelConfig::Gnmt(config) => job.train_translation(config, out),
        ModelConfig::LanguageModel(config) if experiment.data.dialogues.is_some() => {
            let data = experiment.dialogues()?.read()?;
            let tokens = job.beginning.tokens();
            job.train(&FlatTask::new(config, &experiment, &data.train, tokens)?, &data, out)
        }
        ModelConfig::LanguageModel(config) => job.train_texts(config, out),
        ModelConfig::SequenceVae(config) => job.train_texts(config, out),
        ModelConfig::Autoencoder(config) => job.train_pictures(config, out),
        ModelConfig::Vae(config) => job.train_pictures(config, out),
        ModelConfig::Hred(config) => job.train_dialogues(config, out),
        ModelConfig::Vhred(config) => job.train_dialogues(config, out),
    }
}

/// What a training begins with.
enum Beginning {
    /// Nothing: its tokens are learned, its weights drawn.
    Nothing,
    /// The tokens and the weights of a model (`--init`).
    Model(ModelFolder),
    /// The tokens of its own folder, and the newest checkpoint there (`--resume`).
    Checkpoint(ModelFolder),
}

impl Beginning {
    fn of(arguments: &args::Train, path: &Path) -> anyhow::Result<Self> {
        if arguments.resume {
            return Ok(Self::Checkpoint(ModelFolder::create(path, folder::Start::Resume)?));
        }
        Ok(match &arguments.init {
            None => Self::Nothing,
            Some(model) => Self::Model(ModelFolder::open(model)?),
        })
    }

    fn tokens(&self) -> TokenSource<'_> {
        let has_any = |folder: &ModelFolder| {
            [Part::Tokenizer, Part::SourceTokenizer].into_iter().any(|part| folder.has(part))
        };
        match self {
            Self::Model(folder) => TokenSource::Model(folder),
            Self::Checkpoint(folder) if has_any(folder) => TokenSource::Model(folder),
            // A training that was ended before it had any has no checkpoint either.
            Self::Nothing | Self::Checkpoint(_) => TokenSource::Data,
        }
    }

    fn start(&self) -> folder::Start {
        match self {
            Self::Nothing | Self::Model(_) => folder::Start::New,
            Self::Checkpoint(_) => folder::Start::Resume,
        }
    }
}

struct Job<'a> {
    arguments: &'a args::Train,
    experiment: &'a Experiment,
    path: &'a Path,
    beginning: Beginning,
    device: Device,
}

impl Job<'_> {
    fn train_translation<C: TranslatorConfig>(
        &self,
        config: &C,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (data, tokens) = (Data::read(&self.experiment.data)?, self.beginning.tokens());
        self.train(&Translation::new(config, self.experiment, &data.train, tokens)?, &data, out)
    }

    fn train_texts<C: TextConfig>(&self, config: &C, out: &mut dyn Write) -> anyhow::Result<()> {
        let (data, tokens) = (Data::read(&self.experiment.data)?, self.beginning.tokens());
        self.train(&TextTask::new(config, self.experiment, &data.train, tokens)?, &data, out)
    }

    fn train_pictures<C: PictureConfig>(
        &self,
        config: &C,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let files = self.experiment.pictures()?;
        let data = files.read()?;
        self.train(&PictureTask::new(config, self.experiment, &data.train)?, &data, out)
    }

    fn train_dialogues<C: DialogueConfig>(
        &self,
        config: &C,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (data, tokens) = (self.experiment.dialogues()?.read()?, self.beginning.tokens());
        self.train(&DialogueTask::new(config, self.experiment, &data.train, tokens)?, &data, out)
    }

    fn train<T: Task>(
        &self,
        task: &T,
        data: &Data<T::Set>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let Learned { batches, left_out, cut } = task.batches(&data.train)?;
        let valid = task.validation(&data.valid)?;
        if let Some(test) = &data.test {
            // Better now than after the last epoch.
            task.check(test)?;
        }
        let device = self.device.clone().autodiff();
        device.seed(self.experiment.training.seed);
        let fresh = match &self.beginning {
            Beginning::Nothing | Beginning::Checkpoint(_) => task.init(&device),
            Beginning::Model(other) => {
                let begun = task.init_from(other, &device);
                begun.map_err(|reason| anyhow!("--init {}: {reason:#}", other.path().display()))?
            }
        };
        let mut folder = self.folder(task, &data.fingerprints())?;
        if left_out > 0 {
            let _ = writeln!(
                io::stderr(),
                "{} of {} are longer than `batches.max_source` or `batches.max_target` and left out",
                grouped(left_out),
                data.train.count()
            );
        }
        if let Some(cut) = cut.filter(|cut| cut.cut > 0) {
            // If standard error is closed nobody wants to know.
            let _ = writeln!(io::stderr(), "{cut}");
        }
        let began = Instant::now();
        let interrupter = Interrupter::new();
        let stopper = interrupter.clone();
        interrupt::on_ctrl_c(move || stopper.stop(None))?;
        let _kept = interrupt::SignalsKept::new();
        let training = Training {
            model: fresh.clone(),
            batches,
            validate: Box::new(valid),
            config: self.experiment.training.clone(),
            folder: folder.checkpoints(),
            start: match self.beginning {
                Beginning::Nothing | Beginning::Model(_) => Start::Fresh,
                Beginning::Checkpoint(_) => Start::Resume,
            },
            progress: self.progress(),
            interrupter,
        };
        let trained = match training.run() {
            // What may change in a training that goes on has changed.
            Ok(trained) => {
                folder.write(Part::Training, settings::to_toml(self.experiment)?.as_bytes())?;
                trained
            }
            Err(error) => {
                // The best so far is a model that works: it is kept.
                let metric = &self.experiment.training.metric;
                if let Ok(Some((best, _))) = load_best(fresh, &folder.checkpoints(), metric) {
                    folder.remove(Part::Metrics)?;
                    folder.save_weights(&best)?;
                }
                return Err(error.into());
            }
        };
        if trained.best.is_some() {
            // It was measured of other weights.
            folder.remove(Part::Metrics)?;
            folder.save_weights(&trained.model)?;
        }
        if trained.ended == Ended::Interrupted {
            self.draw_curve(&trained, &folder)?;
            return Err(self.stopped()?.into());
        }
        let (set, examples) = match &data.test {
            Some(test) => ("test", test),
            None => ("valid", &data.valid),
        };
        let moment = Moment { seed: self.experiment.training.seed, epoch: 0, step: 0 };
        self.draw_curve(&trained, &folder)?;
        let measured = task.report(&trained.model, examples, &moment, &folder)?;
        let pictures = folder.pictures()?;
        let report = report(set, measured, &trained, began.elapsed());
        let report = Report { left_out, cut, pictures, ..report };
        self.finish(&report, &mut folder, out)
    }

    /// The folder with everything but weights. What another training is told by stays as it is.
    fn folder<T: Task>(
        &self,
        task: &T,
        known: &BTreeMap<String, Fingerprint>,
    ) -> anyhow::Result<ModelFolder> {
        let settings = settings::to_toml(self.experiment)?;
        let mut folder = ModelFolder::create(self.path, self.beginning.start())?;
        if folder.has(Part::Training) {
            same_experiment(&folder, self.experiment)?;
        }
        if folder.has(Part::Data) {
            same_data(&folder, known)?;
        }
        task.save(&mut folder)?;
        folder.write(Part::Data, serde_json::to_string_pretty(known)?.as_bytes())?;
        if !folder.has(Part::Training) {
            folder.write(Part::Training, settings.as_bytes())?;
        }
        Ok(folder)
    }

    fn progress(&self) -> Progress {
        if self.arguments.format.json {
            Progress::Json(Box::new(io::stdout()))
        } else if Stream::Stdout.is_terminal() {
            Progress::Dashboard
        } else {
            Progress::Plain(Box::new(io::stderr()))
        }
    }

    fn draw_curve<M>(&self, trained: &Trained<M>, folder: &ModelFolder) -> anyhow::Result<()> {
        let metric = &self.experiment.training.metric;
        let curve = report::learning_curve(&trained.history, trained.average.as_ref(), metric)?;
        folder.write_picture("learning_curve", &curve)?;
        Ok(())
    }

    /// Says how to go on.
    fn stopped(&self) -> io::Result<Interrupted> {
        let resume = self.arguments.to_resume(self.path);
        writeln!(io::stderr(), "stopped; go on from the newest checkpoint with `{resume}`")?;
        Ok(Interrupted)
    }

    fn finish(
        &self,
        report: &Report,
        folder: &mut ModelFolder,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        folder.write(Part::Metrics, serde_json::to_string_pretty(report)?.as_bytes())?;
        if self.arguments.format.json {
            let json = serde_json::json!({ "event": "report", "report": report });
            return Ok(writeln!(out, "{json}")?);
        }
        Ok(report.show(folder.path(), out)?)
    }
}

fn report<M: Module>(
    set: &'static str,
    measured: Measured,
    trained: &Trained<M>,
    time: Duration,
) -> Report {
    Report {
        set,
        measured,
        left_out: 0,
        cut: None,
        best_epoch: match trained.best {
            Some(Best::Epoch(ref record)) => Some(record.epoch),
            Some(Best::Average(_)) | None => None,
        },
        average: trained.average.clone(),
        epochs: trained.history.len(),
        steps: trained.steps,
        parameters: trained.model.num_params(),
        seconds: time.as_secs_f64(),
        pictures: Vec::new(),
        history: trained.history.iter().map(EpochRecord::to_json).collect(),
    }
}

/// Refuses to go on with a training under a configuration that makes it another one. How it is
/// trained is compared where the checkpoints are.
fn same_experiment(folder: &ModelFolder, now: &Experiment) -> anyhow::Result<()> {
    let then = super::evaluate::trained_with(folder)?;
    // How it is trained may change.
    let part = |experiment: &Experiment| Experiment {
        training: TrainConfig::default(),
        evaluation: EvaluationConfig {
            // By these the best epoch is chosen.
            valid_outputs: experiment.evaluation.valid_outputs,
            free_run: experiment.evaluation.free_run,
            ..EvaluationConfig::default()
        },
        ..experiment.clone()
    };
    match settings::first_difference(&part(&then), &part(now))? {
        None => Ok(()),
        Some(Difference { key, first, second }) => bail!(
            "`{key}` is {second} now and {first} in {}/training.toml: a training goes on with what it \
             began with",
            folder.path().display()
        ),
    }
}

/// Refuses to begin with a model whose tokens were made in another way than the configuration says.
fn same_tokens(model: &ModelFolder, now: &Experiment) -> anyhow::Result<()> {
    // A model that was converted has none.
    if !model.has(Part::Training) {
        return Ok(());
    }
    let then = super::evaluate::trained_with(model)?;
    let [Some(then), Some(now)] = [&then, now].map(|experiment| experiment.tokens.as_ref()) else {
        return Ok(());
    };
    let [then, now] = [then, now].map(|tokens| BTreeMap::from([("tokens", tokens)]));
    match settings::first_difference(&then, &now)? {
        None => Ok(()),
        Some(Difference { key, first, second }) => bail!(
            "--init {path}: `{key}` is {second} here and {first} in {path}/training.toml: a model goes on \
             with the tokens that it has learned",
            path = model.path().display()
        ),
    }
}

/// Refuses to go on with a training on other data than it began with.
fn same_data(folder: &ModelFolder, now: &BTreeMap<String, Fingerprint>) -> anyhow::Result<()> {
    let name = || format!("{}/{}", folder.path().display(), Part::Data.file_name());
    let then: BTreeMap<String, Fingerprint> =
        serde_json::from_str(&folder.read_text(Part::Data)?).with_context(name)?;
    for (key, now) in now {
        let Some(then) = then.get(key) else { continue };
        ensure!(
            then == now,
            "`data.{key}` is not what the training began with: {} with the checksum {} then, {} with \
             {} now",
            then.count,
            then.crc32,
            now.count,
            now.crc32
        );
    }
    Ok(())
}
