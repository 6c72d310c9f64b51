//! Quantities over another: how a training went, how searches compare.

use std::ops::Range;

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use super::PictureError;

/// Okabe & Ito's colours, which stay apart for colour-blind readers; yellow is left out as too
/// faint on white.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

const WIDTH: u32 = 760;
const PANEL_HEIGHT: u32 = 300;
const TITLE_HEIGHT: u32 = 40;
const LEGEND_WIDTH: u32 = 170;

/// With more points than this, lines alone are drawn.
const MOST_DOTS: usize = 40;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend: "training".
    pub name: String,
    /// Place, such as an epoch, and value, from left to right. What is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

/// Curves of the same quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The quantity: "loss", "BLEU".
    pub label: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// A picture of a training: one panel below the other, epochs to the right.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn learning_curve(title: &str, panels: &[Panel]) -> Result<String, PictureError> {
    curves(title, "epoch", panels)
}

/// One panel below the other, all with the same quantity `x` to the right.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn curves(title: &str, x: &str, panels: &[Panel]) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(&mut svg, title, x, panels).map_err(|reason| PictureError::Drawing(reason.to_string()))?;
    Ok(svg)
}

type Failure = Box<dyn std::error::Error>;

fn draw(svg: &mut String, title: &str, x: &str, panels: &[Panel]) -> Result<(), Failure> {
    let height = TITLE_HEIGHT + PANEL_HEIGHT * panels.len() as u32;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (20, 14), ("sans-serif", 18)))?;
    let (_, below) = root.split_vertically(TITLE_HEIGHT);
    let places = span(panels.iter().flat_map(|panel| &panel.curves).flat_map(Curve::places));
    for (panel, area) in panels.iter().zip(below.split_evenly((panels.len().max(1), 1))) {
        panel.draw(&area, (x, places.clone()))?;
    }
    root.present()?;
    Ok(())
}

impl Curve {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }

    fn places(&self) -> impl Iterator<Item = f64> {
        self.finite().map(|(place, _)| place)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.finite().map(|(_, value)| value)
    }
}

impl Panel {
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        (x, places): (&str, Range<f64>),
    ) -> Result<(), Failure> {
        let values = span(self.curves.iter().flat_map(Curve::values));
        let digits = digits(&values);
        let (left, right) = area.split_horizontally(WIDTH - LEGEND_WIDTH);
        let mut chart = ChartBuilder::on(&left)
            .margin(10)
            .margin_left(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(places, values)?;
        chart
            .configure_mesh()
            .x_desc(x)
            .y_desc(self.label.as_str())
            .x_label_formatter(&|x| {
                format!("{x:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
            })
            .y_label_formatter(&|y| format!("{y:.digits$}"))
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 15))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (number, curve) in self.curves.iter().enumerate() {
            draw_curve(&mut chart, curve, PALETTE[number % PALETTE.len()])?;
            draw_legend(&right, number, &curve.name)?;
        }
        Ok(())
    }
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw_curve(chart: &mut Chart<'_, '_>, curve: &Curve, colour: RGBColor) -> Result<(), Failure> {
    chart.draw_series(LineSeries::new(curve.finite(), colour.stroke_width(2)))?;
    if curve.finite().count() <= MOST_DOTS {
        let dots = curve.finite().map(|point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    Ok(())
}

fn draw_legend(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    row: usize,
    name: &str,
) -> Result<(), Failure> {
    let y = 20 + 22 * row as i32;
    let colour = PALETTE[row % PALETTE.len()];
    area.draw(&PathElement::new([(4, y), (28, y)], colour.stroke_width(3)))?;
    area.draw(&Text::new(name.to_owned(), (36, y - 7), ("sans-serif", 14)))?;
    Ok(())
}

/// From the least to the greatest, with some room; never empty.
pub(super) fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, greatest) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), value| {
            (least.min(value), greatest.max(value))
        });
    if least > greatest {
        return 0.0..1.0;
    }
    let room = match (greatest - least) * 0.05 {
        room if room > 0.0 && room.is_finite() => room,
        _ => (least.abs() * 0.05).max(0.5),
    };
    (least - room)..(greatest + room)
}

/// How many decimals tell the labels of an axis apart.
fn digits(values: &Range<f64>) -> usize {
    let step = (values.end - values.start) / 10.0;
    (-step.log10().floor()).clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
        Curve { name: name.to_owned(), points: points.to_vec() }
    }

    fn panel(label: &str, curves: Vec<Curve>) -> Panel {
        Panel { label: label.to_owned(), curves }
    }

    #[test]
    fn every_curve_has_a_line_and_a_name() {
        let curves =
            vec![curve("training", &[(1.0, 3.0), (2.0, 2.0)]), curve("valid <1>", &[(1.0, 3.5)])];
        let panels = [panel("loss", curves), panel("BLEU", vec![curve("test", &[(2.0, 30.0)])])];
        let svg = learning_curve("a & b", &panels).unwrap();
        for text in ["a &amp; b", "training", "valid &lt;1&gt;", "loss", "BLEU", "epoch"] {
            assert!(svg.contains(text), "no {text}");
        }
        assert_eq!(svg.matches("<circle").count(), 4);
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let points = [(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 1.0)];
        let svg = learning_curve("", &[panel("loss", vec![curve("training", &points)])]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(learning_curve("", &[]).unwrap().contains("<svg"));
        assert!(learning_curve("", &[panel("loss", Vec::new())]).unwrap().contains("<svg"));
    }

    #[test]
    fn an_axis_is_never_empty() {
        assert_eq!(span([].into_iter()), 0.0..1.0);
        assert_eq!(span([2.0].into_iter()), 1.5..2.5);
        assert_eq!(span([0.0, 10.0].into_iter()), -0.5..10.5);
        assert_eq!([0.0..1.0, 0.0..100.0, 0.0..0.01].map(|values| digits(&values)), [1, 0, 3]);
    }
}
