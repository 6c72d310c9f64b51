//! What a latent variable says, to be looked at.

use recurrent_generative::{LatentReport, TurnKl};

use crate::{
    gallery::{Drawing, Drawings},
    picture::{Curve, Panel, PictureError, curves},
};

/// The divergence dimension by dimension, from the largest to the smallest; and where it is known, that of
/// the first turns of conversations, of the second ones, and so on.
///
/// # Errors
///
/// If it cannot be drawn.
pub fn drawings(latent: &LatentReport) -> Result<Drawings, PictureError> {
    let mut by_dimension = latent.kl_by_dimension.clone();
    by_dimension.sort_by(|a, b| b.total_cmp(a));
    let active = format!("{} of {} are active", latent.active_units, by_dimension.len());
    let panels = [panel("nats", &active, &by_dimension)];
    let title = "Divergence of the posterior by dimension, the largest first";
    let mut drawings =
        vec![("kl_by_dimension", Drawing::Svg(curves(title, "dimension", &panels)?))];
    if !latent.kl_by_turn.is_empty() {
        let of = |value: fn(&TurnKl) -> f64| -> Vec<f64> {
            latent.kl_by_turn.iter().map(value).collect()
        };
        let panels = [
            panel("nats", "divergence", &of(|turn| turn.kl)),
            panel("conversations", "that get so far", &of(|turn| turn.turns as f64)),
        ];
        let title = "Divergence of the posterior by the number of the turn";
        drawings.push(("kl_by_turn", Drawing::Svg(curves(title, "turn", &panels)?)));
    }
    Ok(drawings)
}

/// Values at 1, 2, and so on.
fn panel(label: &str, name: &str, values: &[f64]) -> Panel {
    let points = values.iter().enumerate().map(|(n, value)| ((n + 1) as f64, *value)).collect();
    Panel { label: label.to_owned(), curves: vec![Curve { name: name.to_owned(), points }] }
}

#[cfg(test)]
mod tests {
    use recurrent_generative::Collapse;

    use super::*;

    /// Dimensions go down from the largest; turns stay where they are, and are left out where there are none.
    #[test]
    fn dimensions_are_sorted_and_turns_are_not() {
        let turn = |kl| TurnKl { turns: 7, kl };
        let mut latent = LatentReport {
            examples: 14,
            kl: 3.0,
            kl_by_dimension: vec![0.5, 2.0, 0.0, 0.5],
            kl_by_turn: vec![turn(1.0), turn(5.0), turn(3.0)],
            active_units: 3,
            mutual_information: 1.0,
            collapse: Collapse::Partial,
        };
        let heights = |drawings: &Drawings, n: usize| -> Vec<i32> {
            let Drawing::Svg(svg) = &drawings[n].1 else { panic!("lines are drawn") };
            let heights = svg.split("cy=\"").skip(1);
            heights.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
        };
        let drawn = drawings(&latent).unwrap();
        let names: Vec<&str> = drawn.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["kl_by_dimension", "kl_by_turn"]);
        let dimensions = heights(&drawn, 0);
        // Higher up is less far from the top.
        assert!(dimensions.len() == 4 && dimensions.is_sorted(), "{dimensions:?}");
        assert!(dimensions[0] < dimensions[1] && dimensions[2] < dimensions[3], "{dimensions:?}");
        let turns = heights(&drawn, 1);
        assert_eq!(turns.len(), 3 + 3);
        assert!(turns[1] < turns[2] && turns[2] < turns[0], "{turns:?}");
        let Drawing::Svg(svg) = &drawn[0].1 else { panic!("lines are drawn") };
        assert!(svg.contains("3 of 4 are active"), "{svg}");
        latent.kl_by_turn.clear();
        assert_eq!(drawings(&latent).unwrap().len(), 1);
    }
}
