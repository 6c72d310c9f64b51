//! The Japanese vowels, as their files have them.

use std::{error::Error, fs::File, io::Read, path::Path, str::FromStr};

use flate2::read::GzDecoder;

/// Numbers of a step.
pub const FEATURES: usize = 12;

/// Who is to be told apart.
pub const SPEAKERS: usize = 9;

/// The steps of an utterance one after the other, and who said it, from 0.
pub type Spoken<N> = (Vec<N>, usize);

/// The utterances of a file in the format of <https://www.timeseriesclassification.com>: behind `@data` a line
/// each, features between `:`, the steps of one between `,`, the speaker last.
///
/// # Errors
///
/// If the file cannot be read or has another format.
pub fn read<N: FromStr + Copy>(path: &Path) -> Result<Vec<Spoken<N>>, Box<dyn Error>> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).map_err(|error| format!("{shown}: {error}"))?;
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != "@data").skip(1);
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            utterance(line).map_err(|reason| format!("{shown}:{}: {reason}", n + 1).into())
        })
        .collect()
}

fn utterance<N: FromStr + Copy>(line: &str) -> Result<Spoken<N>, String> {
    let fields: Vec<&str> = line.split(':').collect();
    let [features @ .., speaker] = fields.as_slice() else { return Err("it is empty".to_owned()) };
    if features.len() != FEATURES {
        return Err(format!("{} features, expected {FEATURES}", features.len()));
    }
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    let series = |feature: &&str| feature.split(',').map(number).collect();
    let series: Vec<Vec<N>> = features.iter().map(series).collect::<Result<_, String>>()?;
    let steps = series[0].len();
    if series.iter().any(|feature| feature.len() != steps) {
        return Err("its features are not equally long".to_owned());
    }
    let speaker: usize =
        speaker.trim().parse().map_err(|_| format!("`{speaker}` is no speaker"))?;
    if !(1..=SPEAKERS).contains(&speaker) {
        return Err(format!("speaker {speaker} is not one of {SPEAKERS}"));
    }
    let steps = (0..steps).flat_map(|t| series.iter().map(move |feature| feature[t])).collect();
    Ok((steps, speaker - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_utterance_step_by_step() {
        let series = (0..FEATURES).map(|n| format!("{n},{n}.5")).collect::<Vec<_>>().join(":");
        let (steps, speaker) = utterance::<f32>(&format!("{series}:3")).unwrap();
        assert_eq!(speaker, 2);
        assert_eq!(steps[..3], [0.0, 1.0, 2.0]);
        assert_eq!(steps[FEATURES..FEATURES + 2], [0.5, 1.5]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let wrong = |line: &str| utterance::<f32>(line).unwrap_err();
        assert_eq!(wrong("1:2"), "1 features, expected 12");
        let series = ["1"; FEATURES].join(":");
        assert_eq!(wrong(&format!("{series}:10")), "speaker 10 is not one of 9");
        let ragged = format!("1,2:{}", ["1"; FEATURES - 1].join(":"));
        assert_eq!(wrong(&format!("{ragged}:1")), "its features are not equally long");
        assert_eq!(wrong(&format!("x:{}:1", ["1"; 11].join(":"))), "`x` is no number");
    }
}
