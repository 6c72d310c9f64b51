use rstest::rstest;
use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    name: String,
    data: Data,
    #[serde(default)]
    training: Training,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Data {
    Tsv { path: String },
    Lines { path: String, max: Option<usize> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Training {
    epochs: usize,
    clip_norm: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    size: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self { epochs: 10, clip_norm: 1.0 }
    }
}

impl Validate for Training {
    fn validate(&self) -> Result<(), OutOfRange> {
        OutOfRange::check("epochs", self.epochs, |&x| x > 0, "at least 1")?;
        OutOfRange::check("clip_norm", self.clip_norm, |&x| x > 0.0, "above 0")
    }
}

impl Validate for Run {
    fn validate(&self) -> Result<(), OutOfRange> {
        self.training.validate().map_err(|error| error.under("training"))
    }
}

const GOOD: &str =
    "name = \"a\"\ndata = { tsv = { path = \"a.tsv\" } }\n\n[training]\nepochs = 3\n";

fn sets(texts: &[&str]) -> Vec<Set> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn read_run(text: &str, texts: &[&str]) -> Result<Run, SettingsError> {
    let path = Path::new("run.toml");
    let sets = sets(texts);
    let (run, places) = parse::<Run>(text, path, &sets)?;
    match run.validate() {
        Ok(()) => Ok(run),
        Err(error) => Err(SettingsError::Range { at: places.of_key(&error.field), error }),
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let run = read_run(GOOD, &[]).unwrap();
    assert_eq!(run.training, Training { epochs: 3, clip_norm: 1.0 });
}

#[rstest]
#[case("name = \"a\"\nnam = 1\n", "run.toml:2: `nam`: unknown field `nam`, expected one of `name`")]
#[case(
    "name = \"a\"\n[training]\n\nepoch = 3\n",
    "run.toml:4: `training.epoch`: unknown field `epoch`"
)]
#[case(
    "name = \"a\"\n[training]\nepochs = \"3\"\n",
    "run.toml:3: `training.epochs`: invalid type: string \"3\", expected usize"
)]
#[case("[training]\nepochs = -3\n", "run.toml:2: `training.epochs`: invalid value: integer `-3`")]
#[case(
    "name = \"a\"\n[data]\ncsv = {}\n",
    "run.toml:3: `data.csv`: unknown variant `csv`, expected"
)]
#[case("[data.lines]\nmax = 3\n", "run.toml:1: `data.lines`: missing field `path`")]
#[case("name = \"a\"\n", "run.toml: missing field `data`")]
#[case("", "run.toml: missing field `name`")]
#[case(
    "[[layers]]\nsize = 1\n[[layers]]\nsizes = 1\n",
    "run.toml:4: `layers[1].sizes`: unknown field"
)]
#[case("name = \"a\nb = 1\n", "run.toml:1: invalid basic string")]
#[case("name = \"a\"\nname = \"b\"\n", "run.toml:2: duplicate key")]
fn an_error_names_line_and_key(#[case] text: &str, #[case] expected: &str) {
    let message = read_run(text, &[]).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn a_set_replaces_and_adds() {
    let values = ["training.epochs=7", "training.clip_norm = 0.5", "name=b c", "data.tsv.path=x=y"];
    let run = read_run(GOOD, &values).unwrap();
    assert_eq!(run.training, Training { epochs: 7, clip_norm: 0.5 });
    assert_eq!(run.name, "b c");
    assert_eq!(run.data, Data::Tsv { path: "x=y".to_owned() });
    let run = read_run(GOOD, &["data={lines={path='p'}}", "layers=[{size=2}]"]).unwrap();
    assert_eq!(run.data, Data::Lines { path: "p".to_owned(), max: None });
    assert_eq!(run.layers, [Layer { size: 2 }]);
}

#[test]
fn the_last_set_holds() {
    let run = read_run(GOOD, &["training.epochs=7", "training.epochs=8"]).unwrap();
    assert_eq!(run.training.epochs, 8);
}

/// The file may lack what the command line gives.
#[test]
fn a_set_fills_a_gap() {
    let run = read_run("name = \"a\"\n", &["data.tsv.path=a.tsv"]).unwrap();
    assert_eq!(run.data, Data::Tsv { path: "a.tsv".to_owned() });
}

#[rstest]
#[case(
    "training.epoch=3",
    "--set training.epoch=3: `training.epoch`: unknown field `epoch`, expected"
)]
#[case("trainin.epochs=3", "--set trainin.epochs=3: `trainin`: unknown field `trainin`")]
#[case(
    "training.epochs=many",
    "--set training.epochs=many: `training.epochs`: invalid type: string"
)]
#[case("name.first=a", "--set name.first=a: `name` is of type string and has no keys")]
#[case("training..epochs=1", "--set training..epochs=1: ")]
#[case("training.epochs=0", "--set training.epochs=0: `training.epochs` must be at least 1, got 0")]
fn a_wrong_set_is_named(#[case] set: &str, #[case] expected: &str) {
    let message = read_run(GOOD, &["name=b", set]).unwrap_err().to_string();
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn an_error_of_the_file_keeps_its_line_beside_sets() {
    let text = GOOD.replace("epochs", "epoch");
    let message = read_run(&text, &["name=b"]).unwrap_err().to_string();
    assert!(message.starts_with("run.toml:5: `training.epoch`"), "{message}");
}

#[test]
fn a_value_out_of_range_is_named_with_its_line() {
    let message = read_run(&GOOD.replace('3', "0"), &[]).unwrap_err().to_string();
    assert_eq!(message, "run.toml:5: `training.epochs` must be at least 1, got 0");
}

#[test]
fn what_was_set_is_written_and_read_again() {
    let run = read_run(GOOD, &["training.epochs=7"]).unwrap();
    let text = to_toml(&run).unwrap();
    assert_eq!(read_run(&text, &[]).unwrap(), run);
    let message = to_toml(&u64::MAX).unwrap_err().to_string();
    assert!(message.contains("cannot be written as TOML"), "{message}");
}

#[test]
fn files_that_are_no_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    let message = || read_valid::<Run>(&path, &[]).unwrap_err().to_string();
    assert!(message().starts_with(&format!("cannot read {}: No such file", path.display())));
    fs::write(&path, b"name = \"a\"\nb = \"\xff\"\n").unwrap();
    assert_eq!(message(), format!("{}:2: the file is not UTF-8", path.display()));
    fs::write(&path, GOOD.replace('3', "0")).unwrap();
    assert!(message().ends_with(":5: `training.epochs` must be at least 1, got 0"));
    fs::write(&path, GOOD).unwrap();
    assert_eq!(read::<Run>(&path, &[]).unwrap(), read_run(GOOD, &[]).unwrap());
}
