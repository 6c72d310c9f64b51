//! `recurrent chat`: a conversation with a model, a line a turn.

use std::{
    io::{self, Read, Write},
    num::NonZeroUsize,
};

use anyhow::Context;
use burn::prelude::*;
use recurrent_cells::AnyState;
use recurrent_generative::{DialogueModel, HredConfig, VhredConfig};
use recurrent_seq2seq::search::Beam;
use recurrent_training::Moment;

use crate::{
    args,
    commands::evaluate::trained_with,
    decode::Search,
    dialogue_model::{DialogueConfig, HRED, Talker, VHRED},
    experiment::EvaluationConfig,
    folder::ModelFolder,
    lines::Lines,
    terminal::Stream,
};

/// What a line can say to the program instead of to the model.
const HELP: &str = "\
/z          show other replies, `/z 3` three: each from another draw of the latent variable, and of
            words with --sample; where nothing is drawn, the next best of the beam
/take N     say the one with this number instead
/seed N     draw from here on as this number says
/reset      begin a new conversation
/help       show this
/quit       end, as the end of the input does";

/// The most replies that `/z` can be asked for.
const MOST: usize = 100;

/// See [`args::Chat`].
///
/// # Errors
///
/// If the model is not whole or of another kind, a line is not UTF-8, or something cannot be written.
pub fn run(arguments: &args::Chat, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let folder = ModelFolder::open(&arguments.model)?;
    folder.expect_kind(&[HRED, VHRED])?;
    let search = search(arguments, &folder)?;
    let input = Lines::new(io::stdin().lock());
    match folder.kind() {
        Some(VHRED) => {
            let (talker, model) = Talker::<VhredConfig>::load(&folder, &device)?;
            Chat::new(&talker, &model, search, arguments).all(input, out)
        }
        _ => {
            let (talker, model) = Talker::<HredConfig>::load(&folder, &device)?;
            Chat::new(&talker, &model, search, arguments).all(input, out)
        }
    }
}

fn search(arguments: &args::Chat, folder: &ModelFolder) -> anyhow::Result<Search> {
    if arguments.sample {
        return Ok(Search::Sample(arguments.drawing.sampling()));
    }
    let evaluation = trained_with(folder)?.evaluation;
    let beam = arguments.beam.map_or(evaluation.beam, std::num::NonZero::get);
    Ok(EvaluationConfig { beam, ..evaluation }.search())
}

/// A conversation.
struct Chat<'a, C: DialogueConfig> {
    talker: &'a Talker<C>,
    model: &'a C::Model,
    search: Search,
    arguments: &'a args::Chat,
    /// All that was said, as the model keeps it: its size does not depend on how much that was.
    state: AnyState,
    /// What the model said last.
    last: Option<Replied>,
    seed: u64,
    /// Turns that were replied to since the seed was set.
    step: usize,
}

impl<'a, C: DialogueConfig> Chat<'a, C> {
    fn new(
        talker: &'a Talker<C>,
        model: &'a C::Model,
        search: Search,
        arguments: &'a args::Chat,
    ) -> Self {
        let (state, seed) = (model.hred().start(1), arguments.drawing.seed);
        Self { talker, model, search, arguments, state, last: None, seed, step: 0 }
    }

    fn all(mut self, mut input: Lines<impl Read>, out: &mut dyn Write) -> anyhow::Result<()> {
        let person = Stream::Stdout.is_terminal() && !self.arguments.format.json;
        if person {
            writeln!(out, "A line is a turn; /help shows what else there is.")?;
        }
        loop {
            if person {
                write!(out, "> ")?;
                out.flush()?;
            }
            let Some((n, line)) = input.line()? else { break };
            match self
                .line(line.trim(), out)
                .with_context(|| format!("standard input, line {n}"))?
            {
                Next::Line => out.flush()?,
                Next::End => break,
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str, out: &mut dyn Write) -> anyhow::Result<Next> {
        let Some(command) = line.strip_prefix('/') else {
            match line.is_empty() {
                true => self.say(
                    out,
                    "nothing was said: a line is a turn, /help shows what else there is",
                )?,
                false => self.turn(line, out)?,
            }
            return Ok(Next::Line);
        };
        let (command, argument) = command.split_once(' ').unwrap_or((command, ""));
        match command {
            "z" => self.others(argument, out)?,
            "take" => self.take(argument, out)?,
            "seed" => match argument.trim().parse() {
                Ok(seed) => {
                    (self.seed, self.step) = (seed, 0);
                    self.say(out, &format!("seed {seed}"))?;
                }
                Err(_) => {
                    self.say(
                        out,
                        &format!("/seed must be followed by a whole number, got `{argument}`"),
                    )?;
                }
            },
            "reset" => {
                (self.state, self.last) = (self.model.hred().start(1), None);
                self.say(out, "a new conversation")?;
            }
            "help" => self.say(out, HELP)?,
            "quit" => return Ok(Next::End),
            other => self.say(out, &format!("there is no `/{other}`\n{HELP}"))?,
        }
        Ok(Next::Line)
    }

    /// What is said to the person, and is no turn.
    fn say(&self, out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
        if self.arguments.format.json {
            return Ok(writeln!(out, "{}", serde_json::json!({ "note": text }))?);
        }
        Ok(writeln!(out, "{text}")?)
    }

    fn turn(&mut self, said: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        self.hear(said);
        let (before, step) = (self.state.clone(), self.step);
        let reply = self.reply(&before, [0, step])?;
        self.step += 1;
        if self.arguments.format.json {
            let json = serde_json::json!({ "heard": said, "reply": reply });
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{reply}")?;
        }
        self.hear(&reply);
        self.last = Some(Replied { before, step, offered: vec![reply] });
        Ok(())
    }

    fn hear(&mut self, said: &str) {
        let turn = self.talker.tokenizer.encode(said);
        self.state = self.model.hred().hear(&[turn], self.state.clone());
    }

    /// What the model says, by one of the draws of a turn.
    fn reply(&self, state: &AnyState, draw: [usize; 2]) -> anyhow::Result<String> {
        let best = self.found(state, draw, &self.search)?.into_iter().next();
        best.context("a reply for every context")
    }

    /// All that `search` finds by one of the draws of a turn, best first.
    fn found(
        &self,
        state: &AnyState,
        [draw, step]: [usize; 2],
        search: &Search,
    ) -> anyhow::Result<Vec<String>> {
        let at = Moment { seed: self.seed, epoch: draw, step };
        let context: Tensor<2> = self.model.hred().vector(state);
        let how = (search, self.arguments.longest.get());
        let found = self.talker.all_replies(self.model, &context, how, &at)?;
        found.into_iter().next().context("replies for every context")
    }

    /// Other replies to the last turn.
    fn others(&mut self, argument: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let count = match argument.trim() {
            "" => Some(self.arguments.replies),
            count => count.parse().ok().filter(|count: &NonZeroUsize| count.get() <= MOST),
        };
        let Some(count) = count.map(NonZeroUsize::get) else {
            let text = format!("/z may be followed by a number from 1 to {MOST}, got `{argument}`");
            return self.say(out, &text);
        };
        let Some(Replied { before, step, mut offered }) = self.last.clone() else {
            return self.say(out, "nothing was said yet that could be replied to");
        };
        offered.truncate(1);
        if self.draws() {
            for draw in 1..count {
                offered.push(self.reply(&before, [draw, step])?);
            }
        } else {
            for other in self.found(&before, [0, step], &self.wide_enough_for(count))? {
                if offered.len() < count && !offered.contains(&other) {
                    offered.push(other);
                }
            }
        }
        if self.arguments.format.json {
            writeln!(out, "{}", serde_json::json!({ "replies": offered }))?;
        } else {
            for (n, reply) in offered.iter().enumerate() {
                writeln!(out, "{:>3}  {reply}", n + 1)?;
            }
        }
        self.last = Some(Replied { before, step, offered });
        Ok(())
    }

    /// Whether the model can say something else to the same.
    fn draws(&self) -> bool {
        C::KIND == VHRED || matches!(self.search, Search::Sample(_))
    }

    /// The search, as a beam that finds so many replies.
    fn wide_enough_for(&self, count: usize) -> Search {
        let beam = match &self.search {
            Search::Beam(beam) => beam.clone(),
            Search::Greedy | Search::Sample(_) => Beam::new(1),
        };
        let width = beam.width.max(count);
        Search::Beam(Beam { width, n_best: width, ..beam })
    }

    /// One of the other replies in the place of the last.
    fn take(&mut self, argument: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let Some(Replied { before, offered, .. }) = self.last.clone() else {
            return self.say(out, "nothing was said yet that could be replied to");
        };
        let number = argument.trim().parse::<usize>().ok();
        let taken = number.and_then(|n| Some((n, offered.get(n.checked_sub(1)?)?)));
        match taken {
            Some((number, reply)) => {
                self.state = before;
                self.hear(reply);
                if self.arguments.format.json {
                    let json = serde_json::json!({ "taken": number, "reply": reply });
                    return Ok(writeln!(out, "{json}")?);
                }
                self.say(out, reply)
            }
            None => {
                let count = offered.len();
                let text = format!(
                    "/take must be followed by a number from 1 to {count}, got `{argument}`"
                );
                self.say(out, &text)
            }
        }
    }
}

/// A turn of the model.
#[derive(Clone)]
struct Replied {
    /// What was said before it.
    before: AnyState,
    /// Which turn it was since the seed was set.
    step: usize,
    /// What was offered for it, what the model said at once first.
    offered: Vec<String>,
}

/// What comes after a line.
enum Next {
    Line,
    End,
}
