//! What the commands do, each in a file of its name.

pub mod chat;
pub mod convert;
pub mod devices;
pub mod dialogues;
pub mod evaluate;
pub mod forecast;
pub mod generate;
pub mod inspect;
pub mod pictures;
pub mod quantize;
pub mod score;
pub mod search;
pub mod series;
pub mod tokenize;
pub mod train;
pub mod translate;

use std::io::Write;

use crate::args::{Arguments, Command};

/// Does what is asked for. Results go to `out`.
///
/// # Errors
///
/// Whatever is wrong with the input, and with the machine.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    match arguments.command {
        None => Ok(out.write_all(START.as_bytes())?),
        Some(Command::Train(arguments)) => train::run(&arguments, out),
        Some(Command::Evaluate(arguments)) => evaluate::run(&arguments, out),
        Some(Command::Translate(arguments)) => translate::run(&arguments, out),
        Some(Command::Score(arguments)) => score::run(&arguments, out),
        Some(Command::Generate(arguments)) => generate::run(&arguments, out),
        Some(Command::Forecast(arguments)) => forecast::run(&arguments, out),
        Some(Command::Search(arguments)) => search::run(&arguments, out),
        Some(Command::Chat(arguments)) => chat::run(&arguments, out),
        Some(Command::Tokenize(arguments)) => tokenize::run(&arguments, out),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments, out),
        Some(Command::Devices(arguments)) => devices::run(&arguments, out),
        Some(Command::Quantize(arguments)) => quantize::run(&arguments, out),
        Some(Command::Convert(arguments)) => convert::run(&arguments, out),
    }
}

/// How to start.
const START: &str = "\
Train a model that knows how English words are pronounced, in some minutes:

    recurrent train configs/quickstart.toml

Type words into it, a line at a time:

    recurrent translate models/quickstart

Train on your own pairs: a file with two columns, separated by a tab.

    docs/your-own-data.md

Another value for a key of a configuration, for one run; configs/reference.toml has all keys:

    recurrent train configs/quickstart.toml --set training.epochs=2 --out models/short

`recurrent --help` lists all commands, `recurrent train --help` the options of one.
";
