//! What `recurrent evaluate` does with models of series.

use std::io::Write;

use super::{evaluate::show_set, forecast::AnySeriesModel, pictures::refuse_texts};
use crate::{
    args,
    data::ExampleSet,
    experiment::Experiment,
    report::{Measured, Unit},
    series_files::{Steps, read_file},
    series_model::{measure, said},
};
use anyhow::bail;

/// Measures a model of series on another series: all of its steps but those it has to hear first.
///
/// # Errors
///
/// If the model or the file is not whole, one does not fit the other, or an option is for texts.
pub fn evaluate(
    arguments: &args::Evaluate,
    experiment: &Experiment,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let [path] = arguments.models.as_slice() else {
        bail!("models of series are evaluated one at a time");
    };
    refuse_texts(arguments, path, "series")?;
    let shown = path.display();
    let given = [
        ("--labels", arguments.labels.is_some()),
        ("--vectors", arguments.vectors.is_some()),
        ("--pictures", arguments.pictures.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        bail!("{flag} is not for {shown}, a model of series");
    }
    let model = AnySeriesModel::load(path, &arguments.device)?;
    let (heard, free) = (model.heard(), experiment.evaluation.free_run);
    let file = arguments.data.display().to_string();
    let series = read_file(&arguments.data)?;
    let (u, d) = (heard.inputs_of(&series, &file)?, heard.targets_of(&series, &file)?);
    let lead_in = model.lead_in(free);
    let (steps, washout) = (u.steps(), lead_in + heard.ahead);
    if steps <= washout {
        bail!(
            "{file} has {steps} rows, expected more than the {washout} that are heard before anything is measured"
        );
    }
    let (u, d) = (u.slice(0..steps - heard.ahead), d.slice(heard.ahead..steps));
    let steps = Steps { u, d, lead_in };
    free.map_or(Ok(()), |free| free.check(heard, &steps))?;
    steps.check_change(&heard.targets)?;
    let scores = match &model {
        AnySeriesModel::EchoState(_, network) => {
            let y = said(network.as_ref(), &steps)?;
            measure(network.as_ref(), heard, (&steps, &y), free.as_ref())?
        }
        AnySeriesModel::Forecaster(_, model) => {
            let y = said(model.as_ref(), &steps)?;
            measure(model.as_ref(), heard, (&steps, &y), free.as_ref())?
        }
    };
    let measured = Measured { scores, unit: Unit::Deviations, ..Measured::default() };
    show_set(&measured, ExampleSet::count(&steps), arguments, out)
}
