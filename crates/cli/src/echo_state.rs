//! An echo state network with all it takes to fit, measure and use it.

use std::{io::Write, time::Instant};

use anyhow::{Context, bail};
use recurrent_kernels::sparse::Weights;
use recurrent_reservoir::{
    EchoStateNetwork, EchoStates, EsnConfig, EsnState, Reservoir, ReservoirError, Series, Spectrum,
    spectrum::eigenvalues,
};
use recurrent_training::{OutOfRange, Scores};
use serde::Serialize;

use crate::{
    args,
    data::Data,
    device::DeviceName,
    experiment::Experiment,
    folder::{ModelFolder, Part, Start},
    picture::{self, Curve, Panel},
    report::{Unit, as_object, show_scores},
    reservoir_weights,
    series_files::{Heard, Steps},
    series_model::{About, FreeRun, SeriesModel, draw_forecast, finite, measure, said},
    settings,
    terminal::{Align, Stream, Table, grouped},
};

/// What `config.json` calls it.
pub const KIND: &str = "echo_state";

/// Units and steps of the picture of states.
const UNITS: usize = 6;
const SHOWN: usize = 200;

/// Up to so many units a reservoir's eigenvalues are drawn.
const MOST_EIGENVALUES: usize = 1000;

/// A network that was fitted, as `metrics.json` has it.
#[derive(Debug, Serialize)]
pub struct Fitted {
    /// What was measured on: `test` or `train`.
    pub set: &'static str,
    /// What was measured.
    #[serde(serialize_with = "as_object")]
    pub scores: Scores,
    /// Numbers in the network.
    pub parameters: usize,
    /// Those of them that were learned.
    pub learned: usize,
    /// Steps that were learned from.
    pub steps: usize,
    /// `λ`.
    pub regularization: f64,
    /// Seconds that drawing and fitting took.
    pub seconds: f64,
    /// What each reservoir is like.
    pub reservoirs: Vec<Described>,
}

/// What a reservoir is like.
#[derive(Debug, Serialize)]
pub struct Described {
    /// Units, `N`.
    pub units: usize,
    /// Weights of `W` that are there.
    pub weights: usize,
    /// `ρ(W)` and `σ_max(W)`.
    #[serde(flatten)]
    pub spectrum: Spectrum,
    /// Whether it forgets what it started from, as far as is known.
    pub echo_states: EchoStates,
}

/// A setting out of its range as the settings of a file have it.
pub(crate) fn out_of_range(wrong: ReservoirError) -> OutOfRange {
    match wrong {
        ReservoirError::OutOfRange { field, value, range } => OutOfRange::new(field, value, range),
        other => OutOfRange::new("reservoirs", other.to_string(), "a network that can be drawn"),
    }
}

impl SeriesModel for EchoStateNetwork {
    type State = EsnState;

    fn start(&self) -> EsnState {
        self.start()
    }

    fn hear(&self, u: &Series, d: &Series, state: &mut EsnState) -> anyhow::Result<Series> {
        finite(self.run_taught(u, d, state)?)
    }

    fn say(&self, u: &Series, state: &mut EsnState) -> anyhow::Result<Series> {
        finite(self.run(u, state)?)
    }

    fn go_on(&self, from: &[f64], steps: usize, state: &mut EsnState) -> anyhow::Result<Series> {
        Ok(self.generate(from, steps, state)?)
    }
}

/// Fits a network to the series of an experiment and writes its folder.
///
/// # Errors
///
/// If the series cannot be read, nothing can be learned of it, or the folder cannot be written.
pub fn train(
    arguments: &args::Train,
    experiment: &Experiment,
    config: &EsnConfig,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if arguments.resume {
        bail!("--resume: an echo state network is fitted at once, there is nothing to go on with");
    }
    if arguments.init.is_some() {
        bail!(
            "--init: an echo state network is drawn and fitted, it begins with no other's weights"
        );
    }
    let free = experiment.evaluation.free_run;
    let lead_in = lead_in(config, free);
    let (heard, data) = experiment.series()?.read(lead_in)?;
    let (set, measured) = measured_on(&data, lead_in);
    let measured = &measured;
    free.map_or(Ok(()), |free| free.check(&heard, measured))?;
    measured.check_change(&heard.targets)?;
    refuse_feedback(config, &heard)?;

    let began = Instant::now();
    let mut network = config.init(heard.inputs.len(), heard.targets.len())?;
    let lambda = network.fit(&[(data.train.u.clone(), data.train.d.clone())])?;
    let seconds = began.elapsed().as_secs_f64();
    let scores = measure(&network, &heard, (measured, &said(&network, measured)?), free.as_ref())?;
    let fitted = Fitted::of(&network, (set, scores), (data.train.count(), lambda), seconds)?;

    let mut folder = ModelFolder::create(arguments.folder(), Start::New)?;
    let about = About { config: config.clone(), heard };
    folder.describe(KIND, &about)?;
    folder.write(Part::Data, serde_json::to_string_pretty(&data.fingerprints())?.as_bytes())?;
    folder.write(Part::Training, settings::to_toml(experiment)?.as_bytes())?;
    folder.write(Part::Weights, &reservoir_weights::to_bytes(&network)?)?;
    folder.write(Part::Metrics, serde_json::to_string_pretty(&fitted)?.as_bytes())?;
    draw_forecast(&network, &about.heard, measured, &folder)?;
    draw_states(&network, measured, &folder)?;
    draw_spectrum(&network, &folder)?;
    match arguments.format.json {
        true => writeln!(out, "{}", serde_json::json!({ "event": "report", "report": fitted }))?,
        false => fitted.show(&folder, out)?,
    }
    Ok(())
}

/// What is fed back stands for what came a step before, and is forced upon the network while it hears.
fn refuse_feedback(config: &EsnConfig, heard: &Heard) -> Result<(), OutOfRange> {
    let feedback = config.reservoirs.iter().map(|reservoir| reservoir.feedback_scaling);
    let strongest = feedback.fold(0.0, f64::max);
    let range = "0 where `data.series.ahead` is above 1";
    let holds = |scaling: &f64| *scaling == 0.0 || heard.ahead <= 1;
    OutOfRange::check("model.echo_state.reservoirs.feedback_scaling", strongest, holds, range)
}

/// Steps that a network hears before it is measured.
pub fn lead_in(config: &EsnConfig, free: Option<FreeRun>) -> usize {
    free.map_or(0, |free| free.lead_in).max(config.washout)
}

/// The last of the sets that there are. Of the one that is learned from the first steps are heard alone.
fn measured_on(data: &Data<Steps>, lead_in: usize) -> (&'static str, Steps) {
    match &data.test {
        Some(test) => ("test", test.clone()),
        None => ("train", Steps { lead_in, ..data.train.clone() }),
    }
}

/// A network from a folder.
///
/// # Errors
///
/// If a file of it is missing, damaged, or does not fit the others, or it is of another kind.
pub fn load(folder: &ModelFolder) -> anyhow::Result<(About<EsnConfig>, EchoStateNetwork)> {
    folder.expect_kind(&[KIND])?;
    let about: About<EsnConfig> = folder.model()?;
    let columns = [about.heard.inputs.len(), about.heard.targets.len()];
    let bytes = folder.read(Part::Weights)?;
    let network = reservoir_weights::from_bytes(&about.config, columns, &bytes);
    let network = network.with_context(|| {
        format!("{}/{} cannot be used", folder.path().display(), Part::Weights.file_name())
    })?;
    Ok((about, network))
}

impl Described {
    fn of(reservoir: &Reservoir) -> Result<Self, ReservoirError> {
        Ok(Self {
            units: reservoir.size(),
            weights: reservoir.units.w.entries().count(),
            spectrum: reservoir.spectrum()?,
            echo_states: reservoir.echo_states()?,
        })
    }
}

impl Fitted {
    fn of(
        network: &EchoStateNetwork,
        (set, scores): (&'static str, Scores),
        (steps, regularization): (usize, f64),
        seconds: f64,
    ) -> Result<Self, ReservoirError> {
        let count = |weights: &Weights<f64>| weights.entries().count();
        let drawn = |reservoir: &Reservoir| {
            let units = &reservoir.units;
            count(&units.w) + count(&units.w_in) + units.b.len()
        };
        let learned = network.readout().map_or(0, |readout| readout.weights.len());
        let reservoirs = network.reservoirs();
        Ok(Self {
            set,
            scores,
            parameters: learned + reservoirs.iter().map(drawn).sum::<usize>(),
            learned,
            steps,
            regularization,
            seconds,
            reservoirs: reservoirs.iter().map(Described::of).collect::<Result<_, _>>()?,
        })
    }

    fn show(&self, folder: &ModelFolder, out: &mut dyn Write) -> std::io::Result<()> {
        let styles = Stream::Stdout.styles();
        writeln!(
            out,
            "{} numbers, {} of them learned from {} steps with λ = {:e} in {:.2} s",
            grouped(self.parameters),
            grouped(self.learned),
            grouped(self.steps),
            self.regularization,
            self.seconds
        )?;
        let mut table =
            Table::new([Align::Right, Align::Right, Align::Right, Align::Right, Align::Left])
                .with_header([
                    "units",
                    "weights",
                    "spectral radius",
                    "largest singular value",
                    "echo states",
                ])
                .with_styles(styles);
        for described in &self.reservoirs {
            let Described { units, weights, spectrum, echo_states } = described;
            let known = match echo_states {
                EchoStates::Always => "for every input",
                EchoStates::Unknown => "not known: they depend on the input",
                EchoStates::Never => "not for zero input",
            };
            table.row([
                grouped(*units),
                grouped(*weights),
                format!("{:.4}", spectrum.spectral_radius),
                format!("{:.4}", spectrum.largest_singular_value),
                known.to_owned(),
            ]);
        }
        write!(out, "\n{table}")?;
        writeln!(out, "\n{}", styles.bold(&format!("On the {} set", self.set)))?;
        show_scores(&self.scores, Unit::Deviations, out)?;
        let shown = folder.path().display();
        writeln!(out, "\nThe model is in {shown}, pictures of it in {shown}/pictures.")
    }
}

/// A few units of the first reservoir, step by step.
fn draw_states(
    network: &EchoStateNetwork,
    steps: &Steps,
    folder: &ModelFolder,
) -> anyhow::Result<()> {
    let shown = steps.count().min(SHOWN);
    let mut state = network.start();
    let (u, d) = (&steps.u, &steps.d);
    network.warm_up(&u.slice(0..steps.lead_in), &d.slice(0..steps.lead_in), &mut state)?;
    let mut curves: Vec<Curve> = (0..UNITS.min(network.reservoirs()[0].size()))
        .map(|unit| Curve { name: format!("unit {}", unit + 1), points: Vec::new() })
        .collect();
    for (t, place) in (steps.lead_in..steps.lead_in + shown).zip((1..).map(f64::from)) {
        network.warm_up(&u.slice(t..t + 1), &d.slice(t..t + 1), &mut state)?;
        for (curve, x) in curves.iter_mut().zip(&state.states()[0]) {
            curve.points.push((place, *x));
        }
    }
    let panels = [Panel { label: "state".to_owned(), curves }];
    folder
        .write_picture("states", &picture::curves("States of the reservoir", "step", &panels)?)?;
    Ok(())
}

/// The eigenvalues of the first reservoir, with the circle of one.
fn draw_spectrum(network: &EchoStateNetwork, folder: &ModelFolder) -> anyhow::Result<()> {
    let reservoir = &network.reservoirs()[0];
    if reservoir.size() > MOST_EIGENVALUES {
        return Ok(());
    }
    let values = eigenvalues(&reservoir.units.w)?;
    folder.write_picture("spectrum", &picture::spectrum(&values)?)?;
    Ok(())
}

/// Refuses every device but the processor.
///
/// # Errors
///
/// If another one is asked for, or less than double precision.
pub(crate) fn on_cpu(on: &args::OnDevice) -> anyhow::Result<()> {
    if on.name != DeviceName::default() {
        bail!("--device {}: an echo state network runs on the CPU, in double precision", on.name);
    }
    on.open()?;
    Ok(())
}
