//! What came of many settings: a panel for each of them, a dot for each trial.

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use super::{PictureError, curve::span};

const WIDTH: u32 = 380;
const HEIGHT: u32 = 280;
const TITLE_HEIGHT: u32 = 40;
const ACROSS: usize = 2;

/// How a quantity is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// As it is.
    Even,
    /// By its logarithm, to base ten.
    Logarithm,
}

/// One quantity of many trials.
#[derive(Clone, Debug, PartialEq)]
pub struct DotPanel {
    /// The quantity.
    pub label: String,
    /// How it is laid out.
    pub axis: Axis,
    /// Its value and what came of it. What has no place on the axes is left out.
    pub points: Vec<(f64, f64)>,
}

impl Axis {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Even => value,
            Self::Logarithm => value.log10(),
        }
    }

    fn describe(self, label: &str) -> String {
        match self {
            Self::Even => label.to_owned(),
            Self::Logarithm => format!("log10 {label}"),
        }
    }
}

/// Panels of dots, upwards what came of a trial, by its logarithm: the best tenth is red, and what is more than ten times
/// as bad as three quarters of all lies at the upper edge.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn dots(title: &str, result: &str, panels: &[DotPanel]) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(&mut svg, title, result, panels)
        .map_err(|reason| PictureError::Drawing(reason.to_string()))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    result: &str,
    panels: &[DotPanel],
) -> Result<(), Box<dyn std::error::Error>> {
    let rows = panels.len().div_ceil(ACROSS).max(1);
    let size = (WIDTH * ACROSS as u32, TITLE_HEIGHT + HEIGHT * rows as u32);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (20, 14), ("sans-serif", 18)))?;
    let (_, below) = root.split_vertically(TITLE_HEIGHT);
    for (panel, area) in panels.iter().zip(below.split_evenly((rows, ACROSS))) {
        panel.draw(&area, result)?;
    }
    root.present()?;
    Ok(())
}

impl DotPanel {
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        result: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let places = self.points.iter().map(|(x, y)| (self.axis.place(*x), y.log10()));
        let mut places: Vec<(f64, f64)> =
            places.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        // What has run away does not press the others flat: it lies at the upper edge, a decade above three quarters.
        let mut heights: Vec<f64> = places.iter().map(|(_, y)| *y).collect();
        heights.sort_by(f64::total_cmp);
        let edge = heights.get(heights.len() * 3 / 4).map_or(0.0, |height| height + 1.0);
        places.iter_mut().for_each(|(_, y)| *y = y.min(edge));
        // The best last, so that they are on top.
        places.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best = places.len() - places.len().div_ceil(10);
        let mut chart: ChartContext<'_, _, Cartesian2d<RangedCoordf64, RangedCoordf64>> =
            ChartBuilder::on(area)
                .margin(10)
                .x_label_area_size(44)
                .y_label_area_size(64)
                .build_cartesian_2d(
                    span(places.iter().map(|(x, _)| *x)),
                    span(places.iter().map(|(_, y)| *y)),
                )?;
        chart
            .configure_mesh()
            .x_desc(self.axis.describe(&self.label))
            .y_desc(format!("log10 {result}"))
            .x_labels(6)
            .label_style(("sans-serif", 12))
            .axis_desc_style(("sans-serif", 14))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let colour = |n: usize| match n < best {
            true => RGBColor(0x00, 0x72, 0xB2).mix(0.5),
            false => RGBColor(0xD5, 0x5E, 0x00).mix(1.0),
        };
        let circle = |(n, place): (usize, &(f64, f64))| Circle::new(*place, 3, colour(n).filled());
        chart.draw_series(places.iter().enumerate().map(circle))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_a_dot_in_every_panel() {
        let panel = |label: &str, axis, points: &[(f64, f64)]| DotPanel {
            label: label.to_owned(),
            axis,
            points: points.to_vec(),
        };
        let panels = [
            panel("radius", Axis::Even, &[(0.5, 0.1), (0.9, 0.01), (1.2, f64::NAN)]),
            panel("λ", Axis::Logarithm, &[(1e-8, 0.1), (0.0, 0.5)]),
            panel("leak", Axis::Even, &[]),
        ];
        let svg = dots("Search <1>", "nrmse", &panels).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        for text in ["Search &lt;1&gt;", "radius", "log10 λ", "leak", "log10 nrmse"] {
            assert!(svg.contains(text), "no {text}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(dots("", "", &[]).unwrap().contains("<svg"));
    }
}
