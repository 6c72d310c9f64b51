//! What a model learns from and is measured on: files of a configuration, read and prepared.

use std::collections::BTreeMap;

use anyhow::Context;
use recurrent_text::{Pair, PairFiles, PairTransform, TargetLanguages, oversampled};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

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
}

/// Two languages, and files of texts in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagePair {
    /// The code of the language that is read.
    pub from: String,
    /// The code of the language that is written.
    pub to: String,
    /// What the model learns from.
    pub train: PairFiles,
    /// What chooses the best epoch.
    pub valid: PairFiles,
    /// What the model is measured on after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PairFiles>,
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

    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
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
        let above = |temperature: &f64| *temperature >= 1.0;
        OutOfRange::check("data.temperature", self.temperature, above, "at least 1")?;
        for (n, pair) in self.pairs.iter().enumerate() {
            for (key, code) in [("from", &pair.from), ("to", &pair.to)] {
                let range = "a code of letters, digits, `-` and `_`";
                let holds = |code: &&String| TargetLanguages::new([code]).is_ok();
                OutOfRange::check(&format!("data.pairs[{n}].{key}"), code, holds, range)?;
            }
            let twice = self.pairs[..n].iter().any(|p| (&p.from, &p.to) == (&pair.from, &pair.to));
            if twice || pair.from == pair.to {
                let value = format!("{} to {}", pair.from, pair.to);
                let range = "two languages, and no two that are there already";
                return Err(OutOfRange::new(format!("data.pairs[{n}]"), value, range));
            }
        }
        Ok(())
    }
}

/// What is learned from and measured on.
#[derive(Debug)]
pub struct Data {
    /// What the model learns from.
    pub train: Vec<Pair>,
    /// What chooses the best epoch.
    pub valid: Vec<Pair>,
    /// What the model is measured on after training.
    pub test: Option<Vec<Pair>>,
}

/// By which data are known again, as `data.json` has it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many there are.
    pub pairs: usize,
    /// Of all pairs in their order, as eight hexadecimal digits.
    pub crc32: String,
}

impl Fingerprint {
    fn of(pairs: &[Pair]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        for Pair { source, target } in pairs {
            // No text has a zero byte.
            for bytes in [source.as_bytes(), &[0], target.as_bytes(), &[0]] {
                hasher.update(bytes);
            }
        }
        Self { pairs: pairs.len(), crc32: format!("{:08x}", hasher.finalize()) }
    }
}

impl Data {
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
        let set = |n: usize, name: &str, files: &PairFiles| {
            let key = format!("data.pairs[{n}].{name}");
            let pairs = read(&key, files, config)?.into_iter().enumerate();
            let to = &config.pairs[n].to;
            let asked = pairs.map(|(row, Pair { source, target })| {
                let source = languages
                    .ask(to, &source)
                    .with_context(|| format!("`{key}` cannot be used: pair {}", row + 1))?;
                Ok(Pair { source, target })
            });
            asked.collect::<anyhow::Result<Vec<Pair>>>()
        };
        let (mut train, mut valid, mut test) = (Vec::new(), Vec::new(), Vec::new());
        for (n, pair) in config.pairs.iter().enumerate() {
            train.push(set(n, "train", &pair.train)?);
            valid.extend(set(n, "valid", &pair.valid)?);
            if let Some(files) = &pair.test {
                test.extend(set(n, "test", files)?);
            }
        }
        Ok(Self {
            train: oversampled(train, config.temperature),
            valid,
            test: (!test.is_empty()).then_some(test),
        })
    }

    /// What the sets are known by.
    pub fn fingerprints(&self) -> BTreeMap<String, Fingerprint> {
        let sets = [("train", Some(&self.train)), ("valid", Some(&self.valid))];
        let sets = sets.into_iter().chain([("test", self.test.as_ref())]);
        let known = sets.filter_map(|(key, pairs)| Some((key.to_owned(), Fingerprint::of(pairs?))));
        known.collect()
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
