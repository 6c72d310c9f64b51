//! What is shown of the results: charts, a table, or JSON.

use recurrent_examples::plot::{Chart, Line, Scale, Stroke};

use crate::{
    Results,
    gradient::{STEPS, Trace},
    options::Options,
    tasks::Task,
    train::Fit,
};

/// How far back the gradient is printed, in steps.
const BACK: [usize; 4] = [10, 50, 100, STEPS];

/// The held-out losses of one task.
pub(crate) fn learning_curves(task: Task, fits: &[Fit]) -> Chart {
    let (title, y_label, scale) = match task {
        Task::Adding => {
            ("Adding two marked numbers out of 50", "mean squared error", Scale::Logarithmic)
        }
        Task::Copying => {
            ("Copying ten symbols over 20 steps", "cross-entropy, nats a step", Scale::Linear)
        }
        Task::Parity { .. } => {
            ("Parity of the bits so far", "cross-entropy, nats a step", Scale::Logarithmic)
        }
    };
    let losses = fits.iter().flat_map(|fit| &fit.curve).map(|(_, score)| score.loss);
    let least = losses.fold(f64::MAX, f64::min);
    let y = match scale {
        Scale::Linear => 0.0..1.5 * task.baseline(),
        Scale::Logarithmic => least.max(1e-5) * 0.8..2.0 * task.baseline(),
    };
    let updates = fits.iter().filter_map(|fit| fit.curve.last()).map(|point| point.0).max();
    let line = |(colour, fit): (usize, &Fit)| Line {
        name: fit.name.to_owned(),
        colour,
        stroke: Stroke::Solid,
        points: fit.curve.iter().map(|(updates, s)| (*updates as f64, s.loss)).collect(),
    };
    let mut lines: Vec<Line> = fits.iter().enumerate().map(line).collect();
    lines.push(Line {
        name: "without memory".to_owned(),
        colour: 7,
        stroke: Stroke::Dashed,
        points: [0, updates.unwrap_or(1)].map(|x| (x as f64, task.baseline())).to_vec(),
    });
    Chart { title: title.to_owned(), x_label: "updates", y_label, scale, y, lines }
}

/// The gradients of all cells. The last lies on another, so it is dashed.
pub(crate) fn gradient_chart(traces: &[Trace]) -> Chart {
    let line = |(colour, trace): (usize, &Trace)| Line {
        name: trace.name.to_owned(),
        colour,
        stroke: if colour + 1 == traces.len() { Stroke::Dashed } else { Stroke::Solid },
        points: trace.norms.iter().enumerate().map(|(tau, norm)| (tau as f64, *norm)).collect(),
    };
    Chart {
        title: "How far back an error reaches, before training".to_owned(),
        x_label: "steps back from the loss, τ",
        y_label: "norm of the gradient, relative",
        scale: Scale::Logarithmic,
        y: 1e-14..1e4,
        lines: traces.iter().enumerate().map(line).collect(),
    }
}

/// For people.
pub(crate) fn table(options: &Options, results: &[Results], traces: &[Trace]) -> String {
    let share =
        |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let mut rows = vec![format!(
        "seed {}\n\n{:<8}{:<14}{:>10}{:>10}{:>10}{:>15}{:>14}{:>9}",
        options.seed,
        "task",
        "model",
        "parameters",
        "loss",
        "accuracy",
        "twice as long",
        "solved after",
        "seconds",
    )];
    for (task, fits) in results {
        for fit in fits {
            rows.push(format!(
                "{:<8}{:<14}{:>10}{:>10.5}{:>10}{:>15}{:>14}{:>9.1}",
                task.name(),
                fit.name,
                fit.parameters,
                fit.last().loss,
                share(fit.last().accuracy),
                share(fit.twice_as_long),
                fit.solved_after().map_or("-".to_owned(), |updates| updates.to_string()),
                fit.seconds,
            ));
        }
        rows.push(format!("{:<8}{:<24}{:>10.5}", task.name(), "without memory", task.baseline()));
    }
    let heads: Vec<String> =
        BACK.iter().map(|tau| format!("{:>10}", format!("τ = {tau}"))).collect();
    rows.push(format!("\n{:<24}{}", "gradient, relative", heads.concat()));
    for trace in traces {
        let norms: Vec<_> =
            BACK.iter().map(|tau| format!("{:>10.1e}", trace.norms[*tau])).collect();
        rows.push(format!("{:<24}{}", trace.name, norms.concat()));
    }
    rows.push(format!("\npictures: {}", options.out.display()));
    rows.join("\n")
}

/// One object.
pub(crate) fn json(options: &Options, results: &[Results], traces: &[Trace]) -> String {
    let number = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => value.to_string(),
        _ => "null".to_owned(),
    };
    let fit = |task: &Task, fit: &Fit| {
        format!(
            "{{\"task\":\"{}\",\"model\":\"{}\",\"parameters\":{},\"loss\":{},\"accuracy\":{},\
             \"twice_as_long\":{},\"solved_after\":{},\"seconds\":{:.3}}}",
            task.name(),
            fit.name,
            fit.parameters,
            number(Some(fit.last().loss)),
            number(fit.last().accuracy),
            number(fit.twice_as_long),
            number(fit.solved_after().map(|updates| updates as f64)),
            fit.seconds,
        )
    };
    let fits: Vec<String> = results
        .iter()
        .flat_map(|(task, fits)| fits.iter().map(move |one| fit(task, one)))
        .collect();
    let gradients = traces.iter().map(|trace| {
        let norms = BACK.iter().map(|tau| format!("\"{tau}\":{}", number(Some(trace.norms[*tau]))));
        format!("{{\"cell\":\"{}\",{}}}", trace.name, norms.collect::<Vec<_>>().join(","))
    });
    let gradients: Vec<String> = gradients.collect();
    format!(
        "{{\"seed\":{},\"fits\":[{}],\"gradients\":[{}]}}",
        options.seed,
        fits.join(","),
        gradients.join(","),
    )
}
