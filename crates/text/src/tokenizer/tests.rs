use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::{BOS, PAD, Step, UNK};

/// Two languages, all characters of [`ALPHABET`] among them.
const TEXTS: [&str; 7] = [
    "the cat sat on the mat with the other cats",
    "the dog chased the cat and the cat ran",
    "le chat est sur le tapis avec les chats",
    "el gato duerme; ¿dónde está el perro?",
    "the cat, the dog & the 3 mice <s>ran</s> away!\n\tthen_ran",
    "qu'il vienne vite, kilo zulu fox jumps bravo",
    "猫は魚を食べる。 猫 は",
];

/// Seen characters: letters, blanks of several kinds, the marker of subwords, parts of specials.
const ALPHABET: &str = "[ ▁a-p<>/s\n\tóá猫は。¿,]{0,30}";

fn characters() -> Segmentation {
    Segmentation::Characters { min_count: 1, max_size: None }
}

fn whitespace() -> Segmentation {
    Segmentation::Whitespace { min_count: 1, max_size: None }
}

fn words() -> Segmentation {
    Segmentation::Words { pattern: r"\w+|[^\w\s]".to_owned(), min_count: 1, max_size: None }
}

fn bpe() -> Segmentation {
    Segmentation::Bpe { size: 85, min_count: 1 }
}

fn unigram() -> Segmentation {
    Segmentation::Unigram { size: 90, min_count: 1 }
}

fn all() -> [Segmentation; 5] {
    [characters(), whitespace(), words(), bpe(), unigram()]
}

fn config(segmentation: Segmentation) -> TokenizerConfig {
    let extra = vec!["<2es>".to_owned(), "<2en>".to_owned()];
    TokenizerConfig { extra, ..TokenizerConfig::new(segmentation) }
}

fn train(segmentation: Segmentation) -> Tokenizer {
    config(segmentation).train(TEXTS).unwrap()
}

/// Texts of extra tokens and of what `between` makes.
fn with_extras(between: &'static str) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => between.prop_map(String::from),
        1 => Just("<2es>".to_owned()),
        1 => Just("</s>".to_owned()),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

/// S2-10, GN-9: every text of seen characters comes back.
#[test]
fn characters_and_subwords_lose_nothing() {
    for segmentation in [characters(), bpe(), unigram()] {
        let tokenizer = train(segmentation.clone());
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let law = |text: String| {
            let ids = tokenizer.encode(&text);
            prop_assert!(!ids.contains(&UNK), "{:?}: {:?}", text, ids);
            prop_assert_eq!(tokenizer.decode(&ids), tokenizer.normalize(&text));
            if !matches!(segmentation, Segmentation::Characters { .. }) {
                prop_assert_eq!(tokenizer.normalize(&text), text.replace('▁', " "));
            }
            Ok(())
        };
        let alphabet = match segmentation {
            Segmentation::Characters { .. } => "[ a-p<>/s\n\tóá猫は。¿,]{0,30}",
            _ => ALPHABET,
        };
        runner.run(&with_extras(alphabet), law).unwrap();
    }
}

/// S2-10: every text of seen words comes back, one blank between tokens.
#[test]
fn words_come_back_with_one_blank_between_them() {
    for segmentation in [whitespace(), words()] {
        let tokenizer = train(segmentation);
        for text in TEXTS.into_iter().chain(["<2en>the  cat \n dog<2es>", "", "  "]) {
            let decoded = tokenizer.decode(&tokenizer.encode(text));
            assert_eq!(decoded, tokenizer.normalize(text));
            assert_eq!(tokenizer.normalize(&decoded), decoded);
        }
        assert_eq!(tokenizer.normalize("<2en>the  cat \n dog<2es>"), "<2en> the cat dog <2es>");
    }
}

/// S2-10.
#[test]
fn token_to_id_to_token_is_the_identity() {
    for segmentation in all() {
        let tokenizer = train(segmentation);
        let vocabulary = tokenizer.vocabulary();
        for id in 4..tokenizer.size() as u32 {
            assert_eq!(vocabulary.id(vocabulary.token(id).unwrap()), id);
        }
    }
}

/// S2-10.
#[test]
fn what_is_unknown_is_unk_and_left_out_of_the_text() {
    for segmentation in all() {
        let tokenizer = train(segmentation);
        let ids = tokenizer.encode("Ω");
        assert_eq!(ids.iter().filter(|id| **id == UNK).count(), 1, "{ids:?}");
        assert_eq!(tokenizer.decode(&[UNK]), "");
    }
}

#[test]
fn a_special_that_is_spelled_out_is_text() {
    for segmentation in all() {
        let ids = train(segmentation).encode("<s> </s> <pad> <unk>");
        assert!(ids.iter().all(|id| *id == UNK || *id > EOS), "{ids:?}");
    }
}

#[test]
fn decoding_stops_at_the_first_end_and_leaves_specials_out() {
    for segmentation in all() {
        let tokenizer = train(segmentation);
        let cat = tokenizer.encode("the cat");
        let ids = [&[BOS, PAD], cat.as_slice(), &[PAD, EOS], cat.as_slice(), &[EOS]].concat();
        assert_eq!(tokenizer.decode(&ids), "the cat");
    }
}

#[test]
fn extra_tokens_have_the_first_ids_and_are_never_split() {
    for segmentation in all() {
        let tokenizer = train(segmentation);
        let ids = tokenizer.encode("<2en> the cat");
        assert_eq!(ids[0], 5);
        assert_eq!(tokenizer.vocabulary().token(5), Some("<2en>"));
        assert_eq!(tokenizer.decode(&ids), "<2en> the cat");
    }
}

/// GN-9: the marker belongs to the word, so the first word is the same tokens as later ones.
#[test]
fn words_are_the_same_tokens_wherever_they_stand() {
    for segmentation in [bpe(), unigram()] {
        let tokenizer = train(segmentation);
        let cat = tokenizer.encode("cat");
        assert_eq!(tokenizer.encode("cat cat"), cat.repeat(2));
        assert_eq!(tokenizer.encode("<2es> cat")[1..], cat);
    }
    let tokenizer = train(bpe());
    assert_eq!(tokenizer.encode("the"), [tokenizer.vocabulary().id("▁the")]);
}

#[test]
fn rare_characters_are_unknown_to_subwords() {
    for segmentation in [
        Segmentation::Bpe { size: 90, min_count: 2 },
        Segmentation::Unigram { size: 90, min_count: 2 },
    ] {
        let tokenizer = train(segmentation);
        assert_eq!(tokenizer.encode("魚").last(), Some(&UNK));
        assert!(!tokenizer.encode("猫").contains(&UNK));
    }
}

/// GN-9: no vocabulary is larger than it was asked to be.
#[test]
fn sizes_and_counts_are_kept() {
    for segmentation in [
        Segmentation::Characters { min_count: 1, max_size: Some(20) },
        Segmentation::Whitespace { min_count: 1, max_size: Some(20) },
        Segmentation::Bpe { size: 85, min_count: 1 },
    ] {
        let size = if matches!(segmentation, Segmentation::Bpe { .. }) { 85 } else { 20 };
        assert_eq!(train(segmentation).size(), size);
    }
    assert!(train(unigram()).size() <= 90);
    let rare = Segmentation::Whitespace { min_count: 3, max_size: None };
    assert_eq!(train(rare).vocabulary().tokens(), ["<2es>", "<2en>", "the", "cat"]);
}

/// GN-9: neither hash tables nor threads nor the order of the texts leave a trace.
#[test]
fn the_same_texts_give_the_same_tokenizer() {
    for segmentation in all() {
        let json = train(segmentation.clone()).to_json();
        let mut texts = TEXTS;
        for _ in 0..5 {
            texts.rotate_left(2);
            assert_eq!(config(segmentation.clone()).train(texts).unwrap().to_json(), json);
        }
    }
}

#[test]
fn normalisation_comes_before_everything_and_is_saved() {
    let steps = vec![Step::Lowercase, Step::CollapseSpaces];
    let config = TokenizerConfig { normalization: Normalization { steps }, ..config(bpe()) };
    let tokenizer = config.train(TEXTS).unwrap();
    let tokenizer = Tokenizer::from_json(&tokenizer.to_json()).unwrap();
    assert_eq!(tokenizer.decode(&tokenizer.encode(" The  CAT\n")), "the cat");
}

#[test]
fn a_saved_tokenizer_is_the_same() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokenizer.json");
    for segmentation in all() {
        let tokenizer = train(segmentation);
        tokenizer.save(&path).unwrap();
        let loaded = Tokenizer::load(&path).unwrap();
        assert_eq!(loaded.to_json(), tokenizer.to_json());
        for text in TEXTS {
            assert_eq!(loaded.encode(text), tokenizer.encode(text));
        }
    }
}

const FILE: &str = r#"{"version":1,"normalization":[],"extra":[],"model":MODEL}"#;

#[rstest]
#[case(r#"{"characters":{"tokens":["a"],"lang":"en"}}"#, "no tokeniser: unknown field `lang`")]
#[case(r#"{"wordpiece":{"tokens":["a"]}}"#, "no tokeniser: unknown variant `wordpiece`")]
#[case(r#"{"characters":{"tokens":["a","a"]}}"#, "token `a` is twice in the vocabulary")]
#[case(r#"{"words":{"pattern":"(","tokens":[]}}"#, "`(` is no regular expression for words: ")]
#[case(r#"{"bpe":{"tokens":["a"],"merges":[["a","b"]]}}"#, "these pieces are no subword model: ")]
#[case(r#"{"unigram":{"tokens":[["a",null]]}}"#, "no tokeniser: invalid type: null")]
#[case(r#"{"unigram":{"tokens":[["",-1.0]]}}"#, "the token of id 4 is empty")]
fn a_file_that_does_not_fit_together_is_refused(#[case] model: &str, #[case] message: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, FILE.replace("MODEL", model)).unwrap();
    let error = Tokenizer::load(&path).unwrap_err().to_string();
    let expected = format!("{}: {message}", path.display());
    assert!(error.starts_with(&expected), "{error}");
}

#[rstest]
#[case(r#"{"version":2,"other":0}"#, "the version of a tokeniser must be 1, got 2")]
#[case(r#"{"version":1,"speed":9}"#, "no tokeniser: unknown field `speed`")]
#[case("{}", "no tokeniser: missing field `version`")]
#[case("tokens", "no tokeniser: expected ident at line 1 column 2")]
fn a_file_of_another_kind_is_refused(#[case] json: &str, #[case] message: &str) {
    let error = Tokenizer::from_json(json).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let path = Path::new("no/such/tokenizer.json");
    for error in [Tokenizer::load(path).unwrap_err(), train(words()).save(path).unwrap_err()] {
        let error = error.to_string();
        assert!(error.starts_with("cannot read or write no/such/tokenizer.json: "), "{error}");
    }
}

#[rstest]
#[case(bpe())]
#[case(unigram())]
#[case(characters())]
fn no_text_is_refused(#[case] segmentation: Segmentation) {
    let error = TokenizerConfig::new(segmentation).train(["", ""]).unwrap_err().to_string();
    assert_eq!(error, "there is no text to make a tokeniser from");
}

/// Four specials, two extra tokens, and the characters `▁ a b`.
#[test]
fn a_subword_vocabulary_has_room_for_characters() {
    for segmentation in [
        Segmentation::Bpe { size: 8, min_count: 1 },
        Segmentation::Unigram { size: 8, min_count: 1 },
    ] {
        let error = config(segmentation).train(["ab"]).unwrap_err().to_string();
        assert_eq!(error, "the size of a subword vocabulary must be at least 9 here, got 8");
    }
}

#[test]
fn an_extra_token_that_normalisation_changes_is_refused() {
    let normalization = Normalization { steps: vec![Step::Lowercase] };
    let config = TokenizerConfig {
        normalization,
        extra: vec!["<ES>".to_owned()],
        ..TokenizerConfig::new(characters())
    };
    let error = config.train(["a"]).unwrap_err().to_string();
    let expected = "extra token `<ES>` becomes `<es>` by normalisation and would not be found";
    assert_eq!(error, expected);
}

#[test]
#[should_panic(expected = "id 1000 is not in the vocabulary, which has 85 ids")]
fn an_id_beyond_the_vocabulary_is_refused() {
    train(bpe()).decode(&[1000]);
}

#[test]
fn a_configuration_has_no_unknown_keys() {
    let json = r#"{"segmentation":{"bpe":{"size":2000}},"extra":["<2es>"]}"#;
    let config: TokenizerConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.segmentation, Segmentation::Bpe { size: 2000, min_count: 1 });
    for (json, key) in [
        (r#"{"segmentation":{"bpe":{"size":2000,"merges":3}}}"#, "merges"),
        (r#"{"segmentation":{"whitespace":{}},"lower":true}"#, "lower"),
    ] {
        let error = serde_json::from_str::<TokenizerConfig>(json).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

/// The words of a text are those between its blanks, however they are cut.
#[test]
fn subwords_share_their_word() {
    for segmentation in [bpe(), unigram()] {
        let tokenizer = TokenizerConfig::new(segmentation).train(TEXTS).unwrap();
        let ids = tokenizer.encode("the cats  chased le chat");
        let words = tokenizer.words(&ids);
        let mut pieces = vec![String::new(); 5];
        for (id, word) in ids.iter().zip(&words) {
            let token = tokenizer.vocabulary().token(*id).unwrap().replace('▁', "");
            match word {
                Some(word) => pieces[*word] += &token,
                None => assert_eq!(token, "", "a blank of its own"),
            }
        }
        assert_eq!(pieces, ["the", "cats", "chased", "le", "chat"]);
    }
}

#[test]
fn every_other_token_is_a_word() {
    for segmentation in [characters(), whitespace(), words()] {
        let tokenizer = TokenizerConfig::new(segmentation).train(TEXTS).unwrap();
        let ids = tokenizer.encode("the cat");
        assert_eq!(tokenizer.words(&ids), (0..ids.len()).map(Some).collect::<Vec<_>>());
    }
}

/// The words of a text are counted as its ids count them, whatever they are made of; what is unknown is
/// still there, and can be put in the place of an unknown token.
#[test]
fn written_words_are_those_of_the_ids() {
    for segmentation in [
        Segmentation::Characters { min_count: 1, max_size: None },
        Segmentation::Whitespace { min_count: 1, max_size: None },
        Segmentation::Bpe { size: 20, min_count: 1 },
        Segmentation::Unigram { size: 20, min_count: 1 },
    ] {
        let tokenizer = TokenizerConfig::new(segmentation).train(["the cat", "a hat"]).unwrap();
        let text = "the  Zürich hat";
        let ids = tokenizer.encode(text);
        let words = tokenizer.written_words(text);
        let count = tokenizer.words(&ids).into_iter().flatten().max().unwrap() + 1;
        assert_eq!(words.len(), count, "{ids:?}");
        let place = ids.iter().position(|id| *id == UNK).unwrap();
        let word = tokenizer.words(&ids)[place].unwrap();
        assert!("Zürich".contains(&words[word]), "{words:?}");
        let filled = tokenizer.decode_with(&ids, |at| (at == place).then_some("[here]"));
        assert!(filled.contains("[here]") && !tokenizer.decode(&ids).contains("[here]"));
    }
}
