//! What a model learns from and is measured on: files of a configuration, read and prepared.

use std::{collections::BTreeMap, fmt};

use anyhow::Context;
use recurrent_generative::Pictures;
use recurrent_text::{
    Dialogue, Noise, Pair, PairFiles, PairTransform, TargetLanguages, oversampled,
};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::{
    dialogue_files::DialoguesConfig, picture_files::PicturesConfig, series_files::SeriesConfig,
};

/// Which files. Paths are relative to where the program is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Temperature at which the sets of `pairs` are sampled, at least 1: the higher, the more often
    /// the pairs of small sets are seen.
    #[serde(default = "as_they_are", skip_serializing_if = "is_as_they_are")]
    pub temperature: f64,
    /// What the model learns from. Required, unless there are `pairs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<PairFiles>,
    /// What chooses the best epoch. Required, unless there are `pairs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PairFiles>,
    /// What the model is measured on after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PairFiles>,
    /// What is done to all of them.
    #[serde(default)]
    pub transform: PairTransform,
    /// For one model of many languages: which are learned from which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<LanguagePair>,
    /// For a model of pictures, in the place of all that is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PicturesConfig>,
    /// For a model of conversations, in the place of all that is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogues: Option<DialoguesConfig>,
    /// For a model of series, in the place of all that is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesConfig>,
}

/// What a model learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExampleKind {
    /// Pairs of texts; a language model from their targets.
    Pairs,
    /// Pictures.
    Pictures,
    /// Conversations.
    Dialogues,
    /// A series of numbers.
    Series,
}

impl ExampleKind {
    /// What a model of them is called, and the key of its data; none of pairs, which have several.
    fn name(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Pairs => ("texts", None),
            Self::Pictures => ("pictures", Some("pictures")),
            Self::Dialogues => ("conversations", Some("dialogues")),
            Self::Series => ("series", Some("series")),
        }
    }
}

/// Two languages, and files of texts in both; or one, whose texts are learned from themselves with
/// noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePair {
    /// The code of the language that is read.
    pub from: String,
    /// The code of the language that is written.
    pub to: String,
    /// What the model learns from.
    pub train: PairFiles,
    /// What chooses the best epoch. Required, unless the two languages are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<PairFiles>,
    /// What the model is measured on after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PairFiles>,
    /// What happens to the words of the sources of `train`, once. Required where the two languages are
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
}

fn as_they_are() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_as_they_are(temperature: &f64) -> bool {
    *temperature == as_they_are()
}

impl DataConfig {
    /// The languages that are written; none where a model is of one pair.
    ///
    /// # Errors
    ///
    /// If a code cannot stand in a token.
    pub fn languages(&self) -> Result<TargetLanguages, recurrent_text::TargetLanguageError> {
        self.pairs.iter().try_for_each(|pair| TargetLanguages::new([&pair.from]).map(|_| ()))?;
        TargetLanguages::new(self.pairs.iter().map(|pair| &pair.to))
    }

    /// Checks that there is what a model of this kind learns from, and nothing else.
    pub(crate) fn validate(&self, kind: ExampleKind) -> Result<(), OutOfRange> {
        let (name, own) = kind.name();
        let instead = own.map_or(String::new(), |own| format!(", which has `data.{own}`"));
        let range = format!("left out for a model of {name}{instead}");
        let sections = [
            ("pictures", self.pictures.is_some()),
            ("dialogues", self.dialogues.is_some()),
            ("series", self.series.is_some()),
        ];
        for (key, given) in sections {
            match (given, own == Some(key)) {
                (true, false) => {
                    return Err(OutOfRange::new(format!("data.{key}"), "files", range));
                }
                (false, true) => {
                    let range = format!("given for a model of {name}");
                    return Err(OutOfRange::new(format!("data.{key}"), "nothing", range));
                }
                (true, true) | (false, false) => {}
            }
        }
        if own.is_none() {
            return self.validate_pairs();
        }
        self.validate_no_pairs(&range)?;
        let checked = [
            ("pictures", self.pictures.as_ref().map(PicturesConfig::validate)),
            ("dialogues", self.dialogues.as_ref().map(DialoguesConfig::validate)),
            ("series", self.series.as_ref().map(SeriesConfig::validate)),
        ];
        let checked = checked.into_iter().filter_map(|(key, checked)| Some((key, checked?)));
        checked.into_iter().try_for_each(|(key, checked)| {
            checked.map_err(|wrong| wrong.under(&format!("data.{key}")))
        })
    }

    fn validate_no_pairs(&self, range: &str) -> Result<(), OutOfRange> {
        let given = [
            ("train", self.train.is_some()),
            ("valid", self.valid.is_some()),
            ("test", self.test.is_some()),
            ("pairs", !self.pairs.is_empty()),
            ("transform", self.transform != PairTransform::default()),
            ("temperature", !is_as_they_are(&self.temperature)),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((key, _)) => Err(OutOfRange::new(format!("data.{key}"), "something", range)),
        }
    }

    fn validate_pairs(&self) -> Result<(), OutOfRange> {
        let sets = [("train", &self.train), ("valid", &self.valid), ("test", &self.test)];
        for (key, files) in sets {
            let several = !self.pairs.is_empty();
            if several && files.is_some() {
                let range = "left to `data.pairs` where there are any";
                return Err(OutOfRange::new(format!("data.{key}"), "files", range));
            }
            if !several && files.is_none() && key != "test" {
                let range = "given, unless `data.pairs` has pairs of languages";
                return Err(OutOfRange::new(format!("data.{key}"), "nothing", range));
            }
        }
        if self.pairs.is_empty() && !is_as_they_are(&self.temperature) {
            let range = "left out where there are no `data.pairs`";
            return Err(OutOfRange::new("data.temperature", self.temperature, range));
        }
        let above = |temperature: &f64| *temperature >= 1.0;
        OutOfRange::check("data.temperature", self.temperature, above, "at least 1")?;
        for (n, pair) in self.pairs.iter().enumerate() {
            for (key, code) in [("from", &pair.from), ("to", &pair.to)] {
                let range = "a code of letters, digits, `-` and `_`";
                let holds = |code: &&String| TargetLanguages::new([code]).is_ok();
                OutOfRange::check(&format!("data.pairs[{n}].{key}"), code, holds, range)?;
            }
            let twice = self.pairs[..n].iter().any(|p| (&p.from, &p.to) == (&pair.from, &pair.to));
            if twice {
                let value = format!("{} to {}", pair.from, pair.to);
                let range = "no two languages that are there already";
                return Err(OutOfRange::new(format!("data.pairs[{n}]"), value, range));
            }
            pair.validate().map_err(|wrong| wrong.under(&format!("data.pairs[{n}]")))?;
        }
        if !self.pairs.is_empty() && self.pairs.iter().all(|pair| pair.valid.is_none()) {
            let range = "two languages for one pair at least, with a `valid`";
            return Err(OutOfRange::new("data.pairs", "each of one language", range));
        }
        Ok(())
    }
}

impl LanguagePair {
    fn validate(&self) -> Result<(), OutOfRange> {
        let one = self.from == self.to;
        let value = format!("nothing for {} to {}", self.from, self.to);
        if one && self.noise.is_none() {
            let range = "given where a language is learned from itself, which would be copying";
            return Err(OutOfRange::new("noise", value, range));
        }
        if !one && self.valid.is_none() {
            return Err(OutOfRange::new("valid", value, "given for two languages"));
        }
        let Some(Noise { left_out, moved }) = self.noise else { return Ok(()) };
        let share = |left_out: &f64| (0.0..1.0).contains(left_out);
        OutOfRange::check("noise.left_out", left_out, share, "from 0 to below 1")?;
        if left_out == 0.0 && moved == 0 {
            let range = "above 0 in `left_out` or `moved`";
            return Err(OutOfRange::new("noise", "neither", range));
        }
        Ok(())
    }
}

/// What is learned from and measured on: sets of examples of one kind.
#[derive(Debug)]
pub struct Data<S> {
    /// What the model learns from.
    pub train: S,
    /// What chooses the best epoch.
    pub valid: S,
    /// What the model is measured on after training.
    pub test: Option<S>,
}

/// Examples of one kind.
pub trait ExampleSet {
    /// How many there are, and of what.
    fn count(&self) -> Count;

    /// Shows all of them to `hasher`, in their order.
    fn hash(&self, hasher: &mut crc32fast::Hasher);
}

/// A number of examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Of pairs of texts.
    Pairs(usize),
    /// Of pictures.
    Pictures(usize),
    /// Of conversations.
    Dialogues(usize),
    /// Steps of a series.
    Steps(usize),
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairs(count) => write!(f, "{count} pairs"),
            Self::Pictures(count) => write!(f, "{count} pictures"),
            Self::Dialogues(count) => write!(f, "{count} conversations"),
            Self::Steps(count) => write!(f, "{count} steps"),
        }
    }
}

impl ExampleSet for Vec<Pair> {
    fn count(&self) -> Count {
        Count::Pairs(self.len())
    }

    fn hash(&self, hasher: &mut crc32fast::Hasher) {
        for Pair { source, target } in self {
            // No text has a zero byte.
            for bytes in [source.as_bytes(), &[0], target.as_bytes(), &[0]] {
                hasher.update(bytes);
            }
        }
    }
}

impl ExampleSet for Vec<Dialogue> {
    fn count(&self) -> Count {
        Count::Dialogues(self.len())
    }

    fn hash(&self, hasher: &mut crc32fast::Hasher) {
        for dialogue in self {
            // No text has a zero byte, and no turn is empty.
            for turn in &dialogue.turns {
                hasher.update(turn.as_bytes());
                hasher.update(&[0]);
            }
            hasher.update(&[0]);
        }
    }
}

impl ExampleSet for Pictures {
    fn count(&self) -> Count {
        Count::Pictures(Self::count(self))
    }

    fn hash(&self, hasher: &mut crc32fast::Hasher) {
        for number in [self.rows, self.columns] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        for grey in &self.values {
            hasher.update(&grey.to_le_bytes());
        }
        for label in self.labels.iter().flatten() {
            hasher.update(&(*label as u64).to_le_bytes());
        }
    }
}

/// By which a set of examples is known again, as `data.json` has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many there are: `"pairs": 120`.
    #[serde(flatten)]
    pub count: Count,
    /// Of all examples in their order, as eight hexadecimal digits.
    pub crc32: String,
}

impl Fingerprint {
    fn of(set: &impl ExampleSet) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        set.hash(&mut hasher);
        Self { count: set.count(), crc32: format!("{:08x}", hasher.finalize()) }
    }
}

impl<S: ExampleSet> Data<S> {
    /// What the sets are known by.
    pub fn fingerprints(&self) -> BTreeMap<String, Fingerprint> {
        let sets = [("train", Some(&self.train)), ("valid", Some(&self.valid))];
        let sets = sets.into_iter().chain([("test", self.test.as_ref())]);
        sets.filter_map(|(key, set)| Some((key.to_owned(), Fingerprint::of(set?)))).collect()
    }
}

impl Data<Vec<Pair>> {
    /// Reads all files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is no text, or is not in its format, or a text has the token of a
    /// language in it.
    pub fn read(config: &DataConfig) -> anyhow::Result<Self> {
        if !config.pairs.is_empty() {
            return Self::read_pairs(config);
        }
        let required = |key: &str, files: &Option<PairFiles>| {
            let files = files.as_ref().with_context(|| format!("`{key}` is missing"))?;
            read(key, files, config)
        };
        Ok(Self {
            train: required("data.train", &config.train)?,
            valid: required("data.valid", &config.valid)?,
            test: config.test.as_ref().map(|test| read("data.test", test, config)).transpose()?,
        })
    }

    fn read_pairs(config: &DataConfig) -> anyhow::Result<Self> {
        let languages = config.languages()?;
        let set = |n: usize, name: &str, files: &PairFiles, noise: Option<Noise>| {
            let key = format!("data.pairs[{n}].{name}");
            let pairs = read(&key, files, config)?.into_iter().enumerate();
            let to = &config.pairs[n].to;
            let asked = pairs.map(|(row, Pair { source, target })| {
                let source = match noise {
                    Some(noise) => noise.disturb(&source, row as u64),
                    None => source,
                };
                let source = languages
                    .ask(to, &source)
                    .with_context(|| format!("`{key}` cannot be used: pair {}", row + 1))?;
                Ok(Pair { source, target })
            });
            asked.collect::<anyhow::Result<Vec<Pair>>>()
        };
        let (mut train, mut valid, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for (n, pair) in config.pairs.iter().enumerate() {
            train.push(set(n, "train", &pair.train, pair.noise)?);
            if let Some(files) = &pair.valid {
                valid.extend(set(n, "valid", files, None)?);
            }
            if let Some(files) = &pair.test {
                test.extend(set(n, "test", files, None)?);
            }
        }
        Ok(Self {
            train: oversampled(train, config.temperature),
            valid,
            test: (!test.is_empty()).then_some(test),
        })
    }
}

/// The pairs of `files`, transformed as the configuration says. `key` is what an error calls them.
///
/// # Errors
///
/// If a file cannot be read, is no text, or is not in its format.
pub fn read(key: &str, files: &PairFiles, config: &DataConfig) -> anyhow::Result<Vec<Pair>> {
    let pairs = files.read().with_context(|| format!("`{key}` cannot be used"))?;
    Ok(config.transform.apply(pairs).context("`data.transform`")?.pairs)
}
