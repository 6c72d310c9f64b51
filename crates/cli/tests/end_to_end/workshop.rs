//! A folder with data, a configuration and the program.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
};

use serde_json::Value;
use tempfile::TempDir;

/// A GRU that attends, all its keys in places that a test can replace.
pub(crate) const CONFIG: &str = r#"[data]
train = { tsv = { path = "train.tsv" } }
valid = { tsv = { path = "valid.tsv" } }
test = { tsv = { path = "test.tsv" } }

[tokens.separate]
source = { segmentation = { characters = {} } }
target = { segmentation = { characters = {} } }

[batches]
size = { sentences = 5 }

[model.seq2seq]
d_embedding = 8
cell = "gru"
encoder = { d_hidden = 8 }
decoder = { d_hidden = 16, kind = { luong = { attention = "general", d_readout = 16, feeding = "input" } } }

[training]
epochs = 3
learning_rate = 1e-2
clip_norm = 5.0

[evaluation]
metrics = ["exact_match", "cer"]
"#;

/// The same with an LSTM that does not attend.
pub(crate) const BLIND: [(&str, &str); 2] = [
    ("cell = \"gru\"", "cell = \"lstm\""),
    (
        "{ luong = { attention = \"general\", d_readout = 16, feeding = \"input\" } }",
        "{ thought = { context = \"every_step\" } }",
    ),
];

/// A language model of the words.
pub(crate) const LANGUAGE: &str = r#"[data]
train = { plain = { path = "words.txt" } }
valid = { tsv = { path = "valid.tsv" } }

[tokens.shared]
segmentation = { characters = {} }

[batches]
size = { sentences = 5 }

[model.language_model]
d_embedding = 8
d_hidden = 16
cell = "gru"

[training]
epochs = 2
learning_rate = 1e-2
"#;

/// A folder with data and a configuration.
pub(crate) struct Workshop {
    folder: TempDir,
}

/// Words and the same backward, always the same ones.
pub(crate) fn pairs(count: usize, seed: u64) -> String {
    let mut state = seed;
    let mut below = |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut text = String::new();
    for _ in 0..count {
        let letters: Vec<char> =
            (0..1 + below(5)).map(|_| (b'a' + below(6) as u8) as char).collect();
        let backward: String = letters.iter().rev().collect();
        text += &format!("{}\t{backward}\n", letters.iter().collect::<String>());
    }
    text
}

fn fill(folder: &Path) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("train.tsv", &pairs(120, 1));
    write("valid.tsv", &pairs(15, 2));
    write("test.tsv", &pairs(15, 3));
    let words: Vec<String> =
        pairs(60, 4).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    write("words.txt", &words.join("\n"));
    write("run.toml", CONFIG);
    write("language.toml", LANGUAGE);
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// `run.toml` with something in place of something else.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("run.toml")).unwrap();
        assert!(text.contains(from), "there is no `{from}`");
        self.write("run.toml", text.replace(from, to));
    }

    /// The line of `run.toml` with this in it.
    pub(crate) fn line_of(&self, text: &str) -> usize {
        let config = fs::read_to_string(self.path("run.toml")).unwrap();
        1 + config.lines().position(|line| line.contains(text)).unwrap()
    }

    pub(crate) fn train(&self, more: &[&str]) -> Said {
        self.run(&[&["train", "run.toml", "--out", "model"], more].concat(), "")
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Said {
        run_in(self.folder.path(), arguments, input)
    }

    /// The program at work, its standard output to be read.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = program(self.folder.path(), arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// All files below the folder of this name, sorted; none if it is not there.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let root = self.path(name);
        let mut files = Vec::new();
        list(&root, &root, &mut files);
        files.sort();
        files
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => list(root, &path, files),
            false => files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
        }
    }
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    // Whoever started the tests may have them ignore the signal, as a script's `&` does.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(env!("CARGO_BIN_EXE_recurrent"));
    command.args(arguments).current_dir(folder).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null());
    command
}

fn run_in(folder: &Path, arguments: &[&str], input: &str) -> Said {
    let mut command = program(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that refuses does not read.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Said::new(output)
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Its output, where it has done what it was asked for.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Its complaint, where it has refused.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains("error: "), "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }

    /// The complaint has all this in it.
    #[track_caller]
    pub(crate) fn refused_for(self, named: &[&str]) {
        let said = self.refused();
        for named in named {
            assert!(said.contains(named), "`{named}` is not in: {said}");
        }
    }
}

/// Models that no test changes: `gru` and `other`, which differ by their seed, `blind`, which has
/// no attention, `strange`, whose data have other letters, and `language`.
pub(crate) struct Models {
    folder: PathBuf,
}

impl Models {
    /// A program that is being talked to.
    pub(crate) fn talk(&self, arguments: &[&str]) -> Child {
        let mut command = program(&self.folder, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Said {
        run_in(&self.folder, arguments, input)
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.folder.join(name)).unwrap()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

pub(crate) static MODELS: LazyLock<Models> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fill(&folder);
    let blind = BLIND.iter().fold(CONFIG.to_owned(), |text, (from, to)| text.replace(from, to));
    fs::write(folder.join("blind.toml"), blind).unwrap();
    fs::write(folder.join("strange.tsv"), pairs(120, 5).replace('a', "ä")).unwrap();
    let models = Models { folder };
    let train = |config: &str, out: &str, sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> =
            ["train", config, "--out", out].into_iter().chain(sets).collect();
        models.run(&arguments, "").done();
    };
    train("run.toml", "gru", &["training.epochs=5"]);
    train("run.toml", "other", &["training.seed=2"]);
    train("blind.toml", "blind", &["training.epochs=1"]);
    let strange = "data.train.tsv.path=strange.tsv";
    train("run.toml", "strange", &[strange, "training.epochs=1"]);
    train("language.toml", "language", &[]);
    models
});
