//! The sides beside each other: a row a case, time to the right in the logarithm; and how each of them grows.

use std::ops::Range;

use plotters::{coord::Shift, prelude::*};
use thiserror::Error;

use crate::report::{Line, Row, seconds};

/// Okabe & Ito's colours, which stay apart for colour-blind readers.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

const WIDTH: u32 = 900;
const LABELS: i32 = 300;
const ROW: i32 = 18;
/// Where names of sides begin.
const LEGEND: i32 = 48;
/// The names of sides in a line.
const ABREAST: usize = 6;
const BOTTOM: i32 = 40;

const PANEL: u32 = 280;
/// Where the names of lines are.
const NAMES: u32 = 230;

/// The library cannot draw it.
#[derive(Debug, Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(String);

/// A picture of the rows that are meant to be in it, as SVG.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn picture(rows: &[Row]) -> Result<String, PictureError> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.pictured).collect();
    let mut svg = String::new();
    draw(&mut svg, &rows).map_err(|reason| PictureError(reason.to_string()))?;
    Ok(svg)
}

/// How time grows along each line, a panel an axis, both ways in the logarithm and with the exponent of every side,
/// as SVG.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn growth(lines: &[Line]) -> Result<String, PictureError> {
    let panels: Vec<&[Line]> = lines.chunk_by(|a, b| a.axis == b.axis).collect();
    let mut svg = String::new();
    draw_growth(&mut svg, &panels).map_err(|reason| PictureError(reason.to_string()))?;
    Ok(svg)
}

type Failure = Box<dyn std::error::Error>;

fn draw_growth(svg: &mut String, panels: &[&[Line]]) -> Result<(), Failure> {
    let count = panels.len().max(1);
    let root = SVGBackend::with_string(svg, (WIDTH, PANEL * count as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (lines, area) in panels.iter().zip(root.split_evenly((count, 1))) {
        draw_lines(lines, &area)?;
    }
    root.present()?;
    Ok(())
}

/// The lines of one axis.
fn draw_lines(lines: &[Line], area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Failure> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let places = around(points().map(|point| point.at as f64));
    let times = around(points().map(|point| point.seconds));
    let (left, right) = area.split_horizontally(WIDTH - NAMES);
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(places.log_scale(), times.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(lines[0].axis)
        .y_desc("a run")
        .x_labels(5)
        .y_labels(5)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| seconds(*y))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 15))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for ((line, colour), y) in lines.iter().zip(PALETTE.iter().cycle()).zip((24..).step_by(22)) {
        let points = || line.points.iter().map(|point| (point.at as f64, point.seconds));
        chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
        chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
        right.draw(&PathElement::new([(4, y), (28, y)], colour.stroke_width(3)))?;
        let exponent = line.time_exponent.map_or("–".to_owned(), |power| format!("{power:.2}"));
        let text = format!("{}: exponent {exponent}", line.side);
        right.draw(&Text::new(text, (36, y - 7), ("sans-serif", 14)))?;
    }
    Ok(())
}

/// From the least to the greatest with some room, on an axis in the logarithm.
fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, greatest) =
        values.fold((f64::INFINITY, 0.0), |(least, greatest), x| (x.min(least), x.max(greatest)));
    match least > 0.0 && least <= greatest {
        true => least / 1.3..greatest * 1.3,
        false => 0.1..1.0,
    }
}

fn draw(svg: &mut String, rows: &[&Row]) -> Result<(), Failure> {
    let all = || rows.iter().flat_map(|row| &row.sides);
    let mut sides: Vec<&str> = Vec::new();
    for side in all() {
        if !sides.contains(&side.side.as_str()) {
            sides.push(&side.side);
        }
    }
    let top = LEGEND + 4 + ROW * sides.len().div_ceil(ABREAST) as i32;
    let bottom = top + ROW * rows.len() as i32;
    let root = SVGBackend::with_string(svg, (WIDTH, (bottom + BOTTOM) as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let text =
        |text: String, x: i32, y: i32, size: i32| Text::new(text, (x, y), ("sans-serif", size));
    root.draw(&text("Seconds for one run; shorter is better".to_owned(), 20, 12, 18))?;
    let least = all().map(|side| side.seconds).fold(f64::INFINITY, f64::min).log10().floor();
    let most = all().map(|side| side.seconds).fold(f64::NEG_INFINITY, f64::max).log10().ceil();
    let span = (most - least).max(1.0);
    let right = WIDTH as i32 - 40;
    let place = |value: f64| {
        LABELS + ((value.log10() - least) / span * f64::from(right - LABELS)).round() as i32
    };
    if !rows.is_empty() {
        for power in least as i32..=most as i32 {
            let x = place(10f64.powi(power));
            root.draw(&PathElement::new([(x, top - 4), (x, bottom)], BLACK.mix(0.2)))?;
            root.draw(&text(seconds(10f64.powi(power)), x - 16, bottom + 8, 13))?;
        }
    }
    for (row, y) in rows.iter().zip((0..).map(|n| top + ROW * n + ROW / 2)) {
        root.draw(&text(row.case.clone(), 20, y - 7, 13))?;
        root.draw(&PathElement::new([(LABELS, y), (right, y)], BLACK.mix(0.08)))?;
        for side in &row.sides {
            let number = sides.iter().position(|name| *name == side.side).unwrap_or_default();
            root.draw(&Circle::new((place(side.seconds), y), 5, style(number)))?;
        }
    }
    for (number, name) in sides.iter().enumerate() {
        let (x, y) = entry(number);
        root.draw(&Circle::new((x, y), 5, style(number)))?;
        root.draw(&text((*name).to_owned(), x + 10, y - 7, 14))?;
    }
    root.present()?;
    Ok(())
}

/// Where the dot of a side stands in front of its name.
fn entry(number: usize) -> (i32, i32) {
    let column = (WIDTH as i32 - 40) / ABREAST as i32;
    (25 + column * (number % ABREAST) as i32, LEGEND + ROW * (number / ABREAST) as i32)
}

/// How the dots of a side look: of one colour, and beyond the last colour rings.
fn style(number: usize) -> ShapeStyle {
    let colour = PALETTE[number % PALETTE.len()];
    match number / PALETTE.len() {
        0 => colour.filled(),
        _ => colour.stroke_width(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::Turns, model::Model, report::Point, step};

    #[test]
    fn every_side_of_every_row_has_a_dot_and_a_name() {
        let turns = ["ours on flex", "PyTorch"]
            .map(|side| Turns { side: side.to_owned(), seconds: vec![0.02, 0.03] });
        let rows: Vec<Row> = step::all().map(|case| Row::new(&case, &turns)).collect();
        let svg = picture(&rows).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2 * rows.len() + 2);
        for text in ["ours on flex", "PyTorch", &Model::GNMT.name()] {
            assert!(svg.contains(text), "no {text}");
        }
    }

    /// Two axes, on one of them two sides: a dot a point, an exponent a line.
    #[test]
    fn every_line_has_its_exponent() {
        let line = |axis, side: &str, power: i32| {
            let at = [100_usize, 200, 400];
            let point =
                |at: usize| Point { at, seconds: 1e-9 * (at as f64).powi(power), bytes: None };
            Line::new(axis, side.to_owned(), at.map(point).to_vec())
        };
        let lines = [
            line("harvest T", "ours", 1),
            line("harvest T", "ReservoirPy", 2),
            line("fit N", "ours", 3),
        ];
        let svg = growth(&lines).unwrap();
        assert_eq!(svg.matches("<circle").count(), 9);
        for text in [
            "harvest T",
            "fit N",
            "ours: exponent 1.00",
            "ReservoirPy: exponent 2.00",
            "ours: exponent 3.00",
        ] {
            assert!(svg.contains(text), "no {text}");
        }
        let one = Line::new("T", "ours".to_owned(), lines[0].points[..1].to_vec());
        assert!(growth(&[one]).unwrap().contains("ours: exponent –"));
    }

    /// Three backends with three sides each and a peer: all names are inside, and no two sides look alike.
    #[test]
    fn many_sides_stand_in_lines() {
        let turns: Vec<Turns> = (0..10)
            .map(|n| Turns { side: format!("side {n}"), seconds: vec![0.02, 0.03] })
            .collect();
        let row = Row::new(&step::all().next().unwrap(), &turns);
        let svg = picture(&[row]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 20);
        let room = |n| WIDTH as i32 - entry(n).0;
        assert!((0..10).all(|n| room(n) >= 140), "a name fits");
        let entries: std::collections::HashSet<_> = (0..10).map(entry).collect();
        assert_eq!(entries.len(), 10);
        let looks: std::collections::HashSet<_> =
            (0..10).map(|n| format!("{:?}", style(n))).collect();
        assert_eq!(looks.len(), 10);
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(picture(&[]).unwrap().contains("<svg"));
        assert!(growth(&[]).unwrap().contains("<svg"));
    }
}
