//! Line charts, as SVG.

use std::{error::Error, ops::Range, path::Path};

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    prelude::*,
};

/// Okabe & Ito's colours, which stay apart for colour-blind readers; yellow is left out as too
/// faint on white, grey added.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x88, 0x88, 0x88),
];

/// How the y axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By powers of ten; every number shown is above 0.
    Logarithmic,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Without gaps.
    Solid,
    /// With gaps.
    Dashed,
}

/// One line of a chart.
#[derive(Debug)]
pub struct Line {
    /// Its entry in the legend.
    pub name: String,
    /// Which colour of the palette.
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Debug)]
pub struct Chart {
    /// Stands above it.
    pub title: String,
    /// Names the x axis.
    pub x_label: &'static str,
    /// Names the y axis.
    pub y_label: &'static str,
    /// How the y axis is divided.
    pub scale: Scale,
    /// What the y axis shows; what is outside is left out.
    pub y: Range<f64>,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
}

impl Chart {
    /// Writes the chart to a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn draw(&self, file: &Path) -> Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(file, (860, 480)).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(660);
        match self.scale {
            Scale::Linear => self.draw_plot(&left, self.y.clone())?,
            Scale::Logarithmic => self.draw_plot(&left, self.y.clone().log_scale())?,
        }
        self.draw_legend(&right)?;
        root.present()?;
        Ok(())
    }

    fn draw_plot<Y>(
        &self,
        area: &DrawingArea<SVGBackend, Shift>,
        y: Y,
    ) -> Result<(), Box<dyn Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let ends = self.lines.iter().filter_map(|line| line.points.last());
        let right = ends.map(|point| point.0).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(68)
            .build_cartesian_2d(0.0..right, y)?;
        // Adding 0 takes the sign off a negative zero.
        let power = |y: &f64| format!("1e{}", y.log10().round() + 0.0);
        let plain = |y: &f64| format!("{y:.1}");
        chart
            .configure_mesh()
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(match self.scale {
                Scale::Linear => &plain,
                Scale::Logarithmic => &power,
            })
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 15))
            .bold_line_style(BLACK.mix(0.15))
            .light_line_style(BLACK.mix(0.04))
            .draw()?;
        for line in &self.lines {
            let points = line.points.iter().copied().filter(|(_, y)| self.y.contains(y));
            match line.stroke {
                Stroke::Solid => chart.draw_series(LineSeries::new(points, line.style()))?,
                Stroke::Dashed => {
                    chart.draw_series(DashedLineSeries::new(points, 6, 4, line.style()))?
                }
            };
        }
        Ok(())
    }

    fn draw_legend(&self, area: &DrawingArea<SVGBackend, Shift>) -> Result<(), Box<dyn Error>> {
        for (row, line) in self.lines.iter().enumerate() {
            let y = 60 + 24 * row as i32;
            let ends = [(4, y), (34, y)];
            match line.stroke {
                Stroke::Solid => area.draw(&PathElement::new(ends, line.style()))?,
                Stroke::Dashed => {
                    for dashes in DashedLineSeries::new(ends, 6, 4, line.style()) {
                        area.draw(&dashes)?;
                    }
                }
            }
            area.draw(&Text::new(line.name.clone(), (42, y - 7), ("sans-serif", 14)))?;
        }
        Ok(())
    }
}

impl Line {
    fn style(&self) -> ShapeStyle {
        PALETTE[self.colour % PALETTE.len()].stroke_width(2)
    }
}
