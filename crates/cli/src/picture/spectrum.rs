//! Eigenvalues in the plane of complex numbers.

use plotters::prelude::*;

use super::{PictureError, curve::span};

const SIDE: u32 = 520;

/// Eigenvalues, real and imaginary part of each, and the circle of size one: of a network without
/// leak small states shrink from step to step along those within it, and grow along those outside. What is not finite is left out.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn spectrum(values: &[[f64; 2]]) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(&mut svg, values).map_err(|reason| PictureError::Drawing(reason.to_string()))?;
    Ok(svg)
}

fn draw(svg: &mut String, values: &[[f64; 2]]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (SIDE, SIDE)).into_drawing_area();
    root.fill(&WHITE)?;
    let finite = || values.iter().filter(|[re, im]| re.is_finite() && im.is_finite());
    let sizes = finite().map(|[re, im]| re.hypot(*im)).chain([1.0]);
    let side = span(sizes.flat_map(|size| [-size, size]));
    let mut chart = ChartBuilder::on(&root)
        .caption("Eigenvalues of the reservoir", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(54)
        .build_cartesian_2d(side.clone(), side)?;
    chart
        .configure_mesh()
        .x_desc("real part")
        .y_desc("imaginary part")
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 15))
        .bold_line_style(BLACK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let circle = (0..=180).map(|n| f64::from(n).to_radians() * 2.0).map(|a| (a.cos(), a.sin()));
    chart.draw_series(LineSeries::new(circle, BLACK.mix(0.5).stroke_width(1)))?;
    let dot = RGBColor(0x00, 0x72, 0xB2);
    chart.draw_series(finite().map(|[re, im]| Circle::new((*re, *im), 2, dot.filled())))?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_eigenvalue_is_a_dot() {
        let svg = spectrum(&[[0.5, 0.2], [0.5, -0.2], [-1.3, 0.0], [f64::NAN, 0.0]]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("polyline") && !svg.contains("NaN"));
        assert!(spectrum(&[]).unwrap().contains("<svg"));
    }
}
