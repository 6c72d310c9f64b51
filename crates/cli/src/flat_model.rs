//! A language model of conversations as running text: what models with turns are compared with.

use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_generative::{DialogueOrder, FlatDialogues, Turn};
use recurrent_seq2seq::{LanguageModel, LanguageModelConfig};
use recurrent_text::Dialogue;
use recurrent_training::{Moment, validation_loss};

use crate::{
    dialogue_files::{CutTurns, DialoguesConfig},
    dialogue_model::tokenizer,
    experiment::Experiment,
    folder::ModelFolder,
    report::Measured,
    task::{Learned, Task, Validation},
    text_model::{self, About, TextModel},
    tokens::TokenSource,
};

/// Tokens that stand for a turn where running text is cut.
const TOKENS: usize = 12;

/// Conversations as running text.
#[derive(Clone, Debug)]
pub struct FlatTask {
    text: TextModel,
    files: DialoguesConfig,
}

impl FlatTask {
    /// Learns from what the model is to learn from how long turns are, and tokens unless there are any.
    ///
    /// # Errors
    ///
    /// If the model or the tokens do not fit the data.
    pub fn new(
        config: &LanguageModelConfig,
        experiment: &Experiment,
        train: &[Dialogue],
        tokens: TokenSource,
    ) -> anyhow::Result<Self> {
        let tokenizer = tokenizer(experiment, train, tokens, &[text_model::KIND])?;
        let turns = train.iter().flat_map(|dialogue| &dialogue.turns);
        let longest = turns.map(|turn| tokenizer.encode(turn).len()).max().unwrap_or(0);
        let about = About { config: config.clone(), vocabulary: tokenizer.size(), longest };
        config.validate(about.vocabulary)?;
        Self::of(TextModel { about, tokenizer }, experiment)
    }

    /// Of a model that was trained before.
    ///
    /// # Errors
    ///
    /// If the configuration is not of conversations.
    pub fn of(text: TextModel, experiment: &Experiment) -> anyhow::Result<Self> {
        Ok(Self { text, files: experiment.dialogues()?.clone() })
    }

    fn turns(&self, dialogues: &[Dialogue]) -> Vec<Vec<Turn>> {
        let turn = |turn: &String| self.text.tokenizer.encode(turn);
        dialogues.iter().map(|dialogue| dialogue.turns.iter().map(turn).collect()).collect()
    }

    fn flat(&self, said: &[Vec<Turn>], order: DialogueOrder) -> FlatDialogues {
        let DialoguesConfig { batch, turns, .. } = self.files;
        FlatDialogues::new(said, batch, turns * TOKENS, order)
    }

    fn fixed(&self, dialogues: &[Dialogue]) -> FlatDialogues {
        self.flat(&self.turns(dialogues), DialogueOrder::Sorted)
    }
}

impl Task for FlatTask {
    type Model = LanguageModel<AnyCell>;
    type Set = Vec<Dialogue>;
    type Batches = FlatDialogues;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        self.text.save(folder)
    }

    fn init(&self, device: &Device) -> Self::Model {
        self.text.init(device)
    }

    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<Self::Model> {
        self.text.init_from(other, device)
    }

    fn batches(&self, train: &Vec<Dialogue>) -> anyhow::Result<Learned<FlatDialogues>> {
        let mut said = self.turns(train);
        let cut = self.files.longest.map(|longest| CutTurns::cut(&mut said, longest));
        Ok(Learned { cut, ..self.flat(&said, DialogueOrder::Shuffled).into() })
    }

    fn validation(&self, valid: &Vec<Dialogue>) -> anyhow::Result<Validation<Self::Model>> {
        let batches = self.fixed(valid);
        Ok(Box::new(move |model, at| Ok(validation_loss(model, &batches, at).scores())))
    }

    fn report(
        &self,
        model: &Self::Model,
        test: &Vec<Dialogue>,
        at: &Moment,
        _: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let batches = self.fixed(test);
        let scores = validation_loss(model, &batches, at).scores();
        Ok(Measured { scores, ..Measured::default() })
    }
}
