//! Checks the table `questions.txt`: conversations with the expected interpretation of their last message.
//!
//! A line is `turn || turn => interpretation`, in the notation that [`notation`] writes. To add a question, write it
//! with its expected interpretation.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::responder::conversation::Turn;
use crate::responder::query::{Conditions, Intent, Query, Question, Range, Selection};
use crate::wire::resource::filter::Sort;
use crate::wire::resource::vocabulary::Vocabulary;

fn inventory() -> InventoryLexicon {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    InventoryLexicon::new(&Vocabulary {
        breeds: owned(&[
            "Golden Retriever",
            "Labrador Retriever",
            "German Shepherd",
            "Beagle",
            "Siamese",
            "Maine Coon",
            "Holland Lop",
            "Corn Snake",
            "Cockatiel",
            "Russian Blue",
        ]),
        colors: owned(&["black", "white", "black and white", "golden", "orange tabby", "gray", "apricot"]),
        names: owned(&["Baxter", "Zelda", "Figaro", "Max", "Sir Barks", "May"]),
    })
}

fn conditions(all: &Conditions) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend((!all.status.is_empty()).then(|| all.status.iter().map(|v| v.name()).collect::<Vec<_>>().join("/")));
    words.extend((!all.size.is_empty()).then(|| all.size.iter().map(|v| v.name()).collect::<Vec<_>>().join("/")));
    words.extend((!all.gender.is_empty()).then(|| all.gender.iter().map(|v| v.name()).collect::<Vec<_>>().join("/")));
    words.extend((!all.species.is_empty()).then(|| all.species.iter().map(|v| v.name()).collect::<Vec<_>>().join("/")));
    for (label, list) in [("color", &all.color), ("breed", &all.breed), ("name", &all.name)] {
        words.extend((!list.is_empty()).then(|| format!("{label}:{}", list.join("/"))));
    }
    for (label, range) in [("$", &all.price), ("age", &all.age)] {
        words.extend(bounds(label, range));
    }
    words.extend(all.kids.map(|kids| if kids { "kids" } else { "no-kids" }.to_owned()));
    words.join(" ")
}

fn bounds(label: &str, range: &Range) -> Vec<String> {
    let low = range.low.map(|low| format!("{label}>{}{}", if low.exclusive { "" } else { "=" }, low.value.normalize()));
    let high =
        range.high.map(|high| format!("{label}<{}{}", if high.exclusive { "" } else { "=" }, high.value.normalize()));
    low.into_iter().chain(high).collect()
}

fn query(query: &Query) -> String {
    let mut text = query.any_of.iter().map(conditions).collect::<Vec<_>>().join(" | ");
    for none in &query.none_of {
        let _ = write!(text, " -({})", conditions(none));
    }
    if query.any_status {
        text.push_str(" any-status");
    }
    if query.sort != Sort::Created {
        let _ = write!(text, " by {:?}", query.sort);
    }
    match query.selection {
        None => {}
        Some(Selection::FirstWithTies) => text.push_str(" top"),
        Some(Selection::First(number)) => {
            let _ = write!(text, " first {number}");
        }
        Some(Selection::Nth(place)) => {
            let _ = write!(text, " #{place}");
        }
    }
    if let Some(within) = &query.within {
        let _ = write!(text, " within [{}]", self::query(within));
    }
    text.trim().to_owned()
}

fn notation(interpretation: &Interpretation) -> String {
    match interpretation {
        Interpretation::Social(social) => format!("{social:?}"),
        Interpretation::Declined(reason) => format!("declined {reason:?}"),
        Interpretation::Question(Question { intent, query: asked, single }) => {
            let intent = match intent {
                Intent::Check { any_of, none_of } => {
                    let any_of = any_of.iter().map(conditions).collect::<Vec<_>>().join(" | ");
                    let none_of: String = none_of.iter().map(|none| format!(" -({})", conditions(none))).collect();
                    format!("Check({})", format!("{any_of}{none_of}").trim())
                }
                other => format!("{other:?}"),
            };
            format!("{intent}{} {}", if *single { " single" } else { "" }, query(asked)).trim().to_owned()
        }
    }
}

fn interpret(conversation: &str) -> String {
    let turns: Vec<Turn> = conversation.split(" || ").map(|turn| Turn::User(turn.to_owned())).collect();
    understand(&turns, &inventory()).interpretations.iter().map(notation).collect::<Vec<_>>().join(" + ")
}

#[test]
fn questions_have_the_expected_interpretation() {
    let mut wrong = String::new();
    let mut number = 0;
    for line in include_str!("questions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (conversation, expected) = line.split_once(" => ").expect("a line has ' => '");
        number += 1;
        let found = interpret(conversation);
        if found != expected {
            let _ = writeln!(wrong, "{conversation} => {found}\n    expected {expected}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(number >= 120, "only {number} questions");
}

#[test]
fn the_second_one_is_the_second_name_in_bold() {
    let turns = [
        Turn::User("dogs".to_owned()),
        Turn::Assistant("- **Zelda**: dog\n- **Sir Barks**: dog\n- **nobody**".to_owned()),
        Turn::User("tell me about the second one".to_owned()),
    ];
    let interpretations = understand(&turns, &inventory()).interpretations;
    assert_eq!(notation(&interpretations[0]), "About(None) single name:sir barks any-status");
}

#[test]
fn a_long_message_without_a_question_is_declined() {
    let text = format!("dogs {}", "please ".repeat(MAX_MESSAGE_LEN));
    let interpretations = understand(&[Turn::User(text)], &inventory()).interpretations;
    assert_eq!(interpretations, [Interpretation::Declined(Unsupported::TooLong)]);
}

#[test]
fn the_question_of_a_long_message_is_found_wherever_it_is() {
    let story = "We moved into a new flat last summer, and the whole family has been dreaming of company ever since. ";
    let long = story.repeat(30);
    let ask = |text: &str| understand(&[Turn::User(text.to_owned())], &inventory());
    for text in [
        format!("{long}\n\nWhich small dogs do you have?"),
        format!("Which small dogs do you have?\n\n{long}"),
        format!("{long}\nsmall dogs please"),
        format!("{long}Which small dogs do you have? {story}"),
        format!("Hello! Which small dogs do you have? {long}"),
        // Short, but with more than the maximum number of sentences.
        format!("{}Which small dogs do you have?", "It is late. ".repeat(20)),
    ] {
        let parsed = ask(&text);
        assert_eq!(
            (notation(&parsed.interpretations[0]).as_str(), parsed.partial),
            ("List SMALL DOG", true),
            "{text:.60}"
        );
    }
    for text in [long.clone(), format!("{long}\n\nWhat is the capital of France?"), format!("{long}\n\nHello!")] {
        assert_eq!(ask(&text).interpretations, [Interpretation::Declined(Unsupported::TooLong)]);
    }
    // A follow-up refers to it.
    let turns = [format!("{long}\n\nWhich small dogs do you have?"), "and cats?".to_owned()].map(Turn::User);
    let parsed = understand(&turns, &inventory());
    assert_eq!((notation(&parsed.interpretations[0]).as_str(), parsed.partial), ("List SMALL CAT", false));
}

/// An instruction is removed as a whole, or the rest of it is an unknown word: no word of a question is lost.
#[test]
fn format_words_inside_a_question_are_unknown_conditions() {
    for question in [
        "friendly dogs in one line",
        "short dogs",
        "dogs with two lines on their back",
        "dogs with one word names",
        "brief dogs",
    ] {
        assert!(interpret(question).starts_with("declined"), "{question} => {}", interpret(question));
    }
}

#[test]
fn a_request_for_json_in_words_is_recognized() {
    let ask = |text: &str| understand(&[Turn::User(text.to_owned())], &inventory());
    for text in [
        "List all dogs as JSON. Respond in JSON.",
        "list dogs in valid json",
        "Dogs. Return your answer as a JSON array.",
    ] {
        let parsed = ask(text);
        assert_eq!((notation(&parsed.interpretations[0]).as_str(), parsed.json), ("List DOG", true), "{text}");
    }
    assert!(!ask("list dogs").json && !ask("sing in JSON").json);
}

proptest! {
    #[test]
    fn any_text_is_interpreted_without_a_panic(texts in prop::collection::vec("\\PC{0,120}|[ -~\\n]{0,200}", 1..4)) {
        let turns: Vec<Turn> = texts.into_iter().map(Turn::User).collect();
        prop_assert!(!understand(&turns, &inventory()).interpretations.is_empty());
    }

    /// Words of the lexicon in any order reach more code than random letters do.
    #[test]
    fn any_lexicon_words_are_interpreted_without_a_panic(picks in prop::collection::vec(0_usize..1_000_000, 1..14)) {
        let phrases: std::collections::BTreeSet<&str> = super::lexicon::LEXICON.keys().map(String::as_str).collect();
        let phrases: Vec<&str> = phrases.into_iter().chain(["$200", "3", "2.5", "baxter", "golden retriever", "?", ".", ","]).collect();
        let text: Vec<&str> = picks.iter().map(|pick| phrases[pick % phrases.len()]).collect();
        let turns = [Turn::User("dogs".to_owned()), Turn::User(text.join(" "))];
        prop_assert!(!understand(&turns, &inventory()).interpretations.is_empty());
    }

    /// A question with an unknown word is declined.
    #[test]
    fn an_unknown_word_is_never_ignored(before in "(small |cheap |)", after in "( under \\$200| good with kids|)") {
        let found = interpret(&format!("{before}hypoallergenic dogs{after}"));
        prop_assert!(found.starts_with("declined"), "{}", found);
    }
}
