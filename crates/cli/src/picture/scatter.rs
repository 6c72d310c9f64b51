//! Points in a plane, coloured by what they are.

use plotters::prelude::*;

use super::{PictureError, curve::span};

/// Ten colours that stay apart (Tableau's).
const PALETTE: [RGBColor; 10] = [
    RGBColor(0x1F, 0x77, 0xB4),
    RGBColor(0xFF, 0x7F, 0x0E),
    RGBColor(0x2C, 0xA0, 0x2C),
    RGBColor(0xD6, 0x27, 0x28),
    RGBColor(0x94, 0x67, 0xBD),
    RGBColor(0x8C, 0x56, 0x4B),
    RGBColor(0xE3, 0x77, 0xC2),
    RGBColor(0x7F, 0x7F, 0x7F),
    RGBColor(0xBC, 0xBD, 0x22),
    RGBColor(0x17, 0xBE, 0xCF),
];

const SIDE: u32 = 640;
const LEGEND_WIDTH: u32 = 80;

/// A map of points, each with a label; `labels` is empty if nobody says what they are. What is not
/// finite is left out.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn scatter(title: &str, points: &[[f64; 2]], labels: &[usize]) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(&mut svg, title, points, labels)
        .map_err(|reason| PictureError::Drawing(reason.to_string()))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    points: &[[f64; 2]],
    labels: &[usize],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (SIDE + LEGEND_WIDTH, SIDE)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIDE);
    let finite = || points.iter().filter(|[x, y]| x.is_finite() && y.is_finite());
    let mut chart = ChartBuilder::on(&left)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(span(finite().map(|[x, _]| *x)), span(finite().map(|[_, y]| *y)))?;
    chart
        .configure_mesh()
        .label_style(("sans-serif", 13))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let colour = |label: usize| PALETTE[label % PALETTE.len()];
    let dots = points.iter().enumerate().filter(|(_, [x, y])| x.is_finite() && y.is_finite());
    chart.draw_series(dots.map(|(n, [x, y])| {
        let label = labels.get(n).copied().unwrap_or(0);
        Circle::new((*x, *y), 2, colour(label).filled())
    }))?;
    let mut there = labels.to_vec();
    there.sort_unstable();
    there.dedup();
    for (row, label) in there.into_iter().enumerate() {
        let y = 50 + 22 * row as i32;
        right.draw(&Circle::new((14, y), 5, colour(label).filled()))?;
        right.draw(&Text::new(label.to_string(), (28, y - 7), ("sans-serif", 15)))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_a_colour_and_an_entry() {
        let points = [[0.0, 1.0], [1.0, 0.0], [f64::NAN, 0.0], [2.0, 2.0]];
        let svg = scatter("a <map>", &points, &[3, 0, 0, 3]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3 + 2);
        assert!(svg.contains("a &lt;map&gt;") && svg.contains("#D62728"), "{svg}");
        assert!(!svg.contains("NaN"));
        assert_eq!(scatter("", &points, &[]).unwrap().matches("<circle").count(), 3);
        assert!(scatter("", &[], &[]).unwrap().contains("<svg"));
    }
}
