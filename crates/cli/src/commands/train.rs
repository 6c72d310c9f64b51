//! `recurrent train`: from a configuration to a model that is measured and ready to be used.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use burn::{module::Module, prelude::*};
use recurrent_text::{Pair, PairFiles};
use recurrent_training::{
    Ended, EpochRecord, Interrupter, Moment, Progress, Start, Trained, Training, load_best,
};

use crate::{
    args,
    error::Interrupted,
    experiment::{DataConfig, Experiment, ModelConfig},
    folder::{self, ModelFolder, Part},
    interrupt,
    report::{self, Report},
    settings,
    task::{Language, Task, Translation},
    terminal::Stream,
};

/// What is learned from and measured on, read and transformed.
#[derive(Debug)]
pub struct Data {
    /// What the model learns from.
    pub train: Vec<Pair>,
    /// What chooses the best epoch.
    pub valid: Vec<Pair>,
    /// What the model is measured on after training.
    pub test: Option<Vec<Pair>>,
}

impl Data {
    /// Reads all files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is no text, or is not in its format.
    pub fn read(config: &DataConfig) -> anyhow::Result<Self> {
        Ok(Self {
            train: read("data.train", &config.train, config)?,
            valid: read("data.valid", &config.valid, config)?,
            test: config.test.as_ref().map(|test| read("data.test", test, config)).transpose()?,
        })
    }
}

/// The pairs of `files`, transformed as the configuration says. `key` is what an error calls them.
///
/// # Errors
///
/// If a file cannot be read, is no text, or is not in its format.
pub fn read(key: &str, files: &PairFiles, config: &DataConfig) -> anyhow::Result<Vec<Pair>> {
    let pairs = files.read().with_context(|| format!("`{key}`"))?;
    Ok(config.transform.apply(pairs).context("`data.transform`")?.pairs)
}

/// See [`args::Train`].
///
/// # Errors
///
/// If something is wrong with the configuration, the data, the folder or the machine, if a number
/// is not finite, or if it is stopped. What was good so far is kept.
pub fn run(arguments: &args::Train, out: &mut dyn Write) -> anyhow::Result<()> {
    let experiment: Experiment = settings::read_valid(&arguments.config, &arguments.sets)?;
    let device = arguments.device.name.open()?;
    let data = Data::read(&experiment.data)?;
    let path = arguments.folder();
    let start = if arguments.resume { folder::Start::Resume } else { folder::Start::New };
    let job = Job { arguments, experiment: &experiment, data: &data, path: &path, start };
    match &experiment.model {
        ModelConfig::Seq2seq(config) => {
            let task = Translation::new(config, &experiment, &data.train)?;
            job.train(task, &device, out)
        }
        ModelConfig::LanguageModel(config) => {
            let task = Language::new(config, &experiment, &data.train)?;
            job.train(task, &device, out)
        }
    }
}

struct Job<'a> {
    arguments: &'a args::Train,
    experiment: &'a Experiment,
    data: &'a Data,
    path: &'a Path,
    start: folder::Start,
}

impl Job<'_> {
    fn train<T: Task>(&self, task: T, device: &Device, out: &mut dyn Write) -> anyhow::Result<()> {
        let batches = task.batches(&self.data.train, "data.train")?;
        let valid = task.validation(&self.data.valid)?;
        let mut folder = ModelFolder::create(self.path, self.start)?;
        if self.start == folder::Start::Resume && folder.has(Part::Training) {
            same_experiment(&folder, self.experiment)?;
        }
        task.save(&mut folder)?;
        folder.write(Part::Training, settings::to_toml(self.experiment)?.as_bytes())?;

        let device = device.clone().autodiff();
        device.seed(self.experiment.training.seed);
        let fresh = task.init(&device);
        let began = Instant::now();
        let interrupter = Interrupter::new();
        let stopper = interrupter.clone();
        interrupt::on_ctrl_c(move || stopper.stop(None))?;
        let training = Training {
            model: fresh.clone(),
            batches,
            validate: Box::new(valid),
            config: self.experiment.training.clone(),
            folder: folder.checkpoints(),
            start: match self.start {
                folder::Start::New => Start::Fresh,
                folder::Start::Resume => Start::Resume,
            },
            progress: self.progress(),
            interrupter,
        };
        let trained = match training.run() {
            Ok(trained) => trained,
            Err(error) => {
                // The best epoch so far is a model that works: it is kept.
                let metric = &self.experiment.training.metric;
                if let Ok(Some((best, _))) = load_best(fresh, &folder.checkpoints(), metric) {
                    folder.save_weights(&best)?;
                }
                return Err(error.into());
            }
        };
        if trained.best.is_some() {
            folder.save_weights(&trained.model)?;
        }
        self.finish(&task, &trained, &mut folder, began.elapsed(), out)
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

    fn finish<T: Task>(
        &self,
        task: &T,
        trained: &Trained<T::Model>,
        folder: &mut ModelFolder,
        time: Duration,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let metric = &self.experiment.training.metric;
        folder
            .write_picture("learning_curve", &report::learning_curve(&trained.history, metric)?)?;
        if trained.ended == Ended::Interrupted {
            let resume = format!("recurrent train {} --resume", self.arguments.config.display());
            writeln!(
                io::stderr(),
                "stopped and saved; go on with `{resume} --out {}`",
                self.path.display()
            )?;
            return Err(Interrupted.into());
        }
        let (name, pairs) = match &self.data.test {
            Some(test) => ("test", test),
            None => ("valid", &self.data.valid),
        };
        let moment = Moment { seed: self.experiment.training.seed, epoch: 0, step: 0 };
        let result = task.report(&trained.model, pairs, &moment, folder)?;
        let report = Report {
            set: name,
            scores: result.scores,
            examples: result.examples,
            best_epoch: trained.best.as_ref().map(|best| best.epoch),
            epochs: trained.history.len(),
            steps: trained.steps,
            parameters: trained.model.num_params(),
            seconds: time.as_secs_f64(),
            history: trained.history.iter().map(EpochRecord::to_json).collect(),
        };
        folder.write(Part::Metrics, serde_json::to_string_pretty(&report)?.as_bytes())?;
        if self.arguments.format.json {
            let json = serde_json::json!({ "event": "report", "report": report });
            return Ok(writeln!(out, "{json}")?);
        }
        Ok(report.show(folder.path(), out)?)
    }
}

/// Refuses to go on with a training under a configuration that makes it another one. How it is
/// trained is compared where the checkpoints are.
fn same_experiment(folder: &ModelFolder, now: &Experiment) -> anyhow::Result<()> {
    let then = super::evaluate::trained_with(folder)?;
    let changed = [
        ("data", then.data != now.data),
        ("tokens", then.tokens != now.tokens),
        ("batches", then.batches != now.batches),
        ("model", then.model != now.model),
    ];
    match changed.iter().find(|(_, changed)| *changed) {
        None => Ok(()),
        Some((key, _)) => bail!(
            "`{key}` is not what {}/training.toml says: a training goes on with what it began with",
            folder.path().display()
        ),
    }
}
