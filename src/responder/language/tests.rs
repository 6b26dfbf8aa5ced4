//! The table of questions in `questions.txt`: each with what it is understood to ask.
//!
//! A line is `turn || turn => reading`; a reading is written by [`say`]. To add a question, write it
//! with what it should mean.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::petstore::Vocabulary;
use crate::petstore::filter::Sort;
use crate::responder::query::{Conditions, Intent, Query, Question, Range, Take};

fn inventory() -> Inventory {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Inventory::new(&Vocabulary {
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
    let low = range.low.map(|low| format!("{label}>{}{}", if low.strict { "" } else { "=" }, low.value.normalize()));
    let high =
        range.high.map(|high| format!("{label}<{}{}", if high.strict { "" } else { "=" }, high.value.normalize()));
    low.into_iter().chain(high).collect()
}

fn query(query: &Query) -> String {
    let mut text = query.any.iter().map(conditions).collect::<Vec<_>>().join(" | ");
    for none in &query.none {
        let _ = write!(text, " -({})", conditions(none));
    }
    if query.any_status {
        text.push_str(" any-status");
    }
    if query.sort != Sort::Created {
        let _ = write!(text, " by {:?}", query.sort);
    }
    match query.take {
        None => {}
        Some(Take::Extreme) => text.push_str(" top"),
        Some(Take::First(number)) => {
            let _ = write!(text, " first {number}");
        }
        Some(Take::Nth(place)) => {
            let _ = write!(text, " #{place}");
        }
    }
    if let Some(within) = &query.within {
        let _ = write!(text, " within [{}]", self::query(within));
    }
    text.trim().to_owned()
}

fn say(reading: &Reading) -> String {
    match reading {
        Reading::Social(social) => format!("{social:?}"),
        Reading::Declined(decline) => format!("declined {decline:?}"),
        Reading::Question(Question { intent, query: asked, single }) => {
            let intent = match intent {
                Intent::Check { any, none } => {
                    let any = any.iter().map(conditions).collect::<Vec<_>>().join(" | ");
                    let none: String = none.iter().map(|none| format!(" -({})", conditions(none))).collect();
                    format!("Check({})", format!("{any}{none}").trim())
                }
                other => format!("{other:?}"),
            };
            format!("{intent}{} {}", if *single { " single" } else { "" }, query(asked)).trim().to_owned()
        }
    }
}

fn read(conversation: &str) -> String {
    let turns: Vec<Turn> = conversation.split(" || ").map(|turn| Turn::User(turn.to_owned())).collect();
    understand(&turns, &inventory()).readings.iter().map(say).collect::<Vec<_>>().join(" + ")
}

#[test]
fn questions_mean_what_they_say() {
    let mut wrong = String::new();
    let mut number = 0;
    for line in include_str!("questions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (conversation, expected) = line.split_once(" => ").expect("a line has ' => '");
        number += 1;
        let found = read(conversation);
        if found != expected {
            let _ = writeln!(wrong, "{conversation} => {found}\n    expected {expected}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(number >= 120, "only {number} questions");
}

#[test]
fn names_shown_in_bold_are_what_the_second_one_is() {
    let turns = [
        Turn::User("dogs".to_owned()),
        Turn::Assistant("- **Zelda**: dog\n- **Sir Barks**: dog\n- **nobody**".to_owned()),
        Turn::User("tell me about the second one".to_owned()),
    ];
    let readings = understand(&turns, &inventory()).readings;
    assert_eq!(say(&readings[0]), "About(None) single name:sir barks any-status");
}

#[test]
fn a_message_that_is_too_long_is_declined_whole() {
    let text = format!("dogs {}", "please ".repeat(MAX_MESSAGE_LEN));
    let readings = understand(&[Turn::User(text)], &inventory()).readings;
    assert_eq!(readings, [Reading::Declined(Unsupported::TooLong)]);
}

#[test]
fn of_a_long_message_its_question_is_read_wherever_it_stands() {
    let story = "We moved into a new flat last summer, and the whole family has been dreaming of company ever since. ";
    let long = story.repeat(30);
    let ask = |text: &str| understand(&[Turn::User(text.to_owned())], &inventory());
    for text in [
        format!("{long}\n\nWhich small dogs do you have?"),
        format!("Which small dogs do you have?\n\n{long}"),
        format!("{long}\nsmall dogs please"),
        format!("{long}Which small dogs do you have? {story}"),
        format!("Hello! Which small dogs do you have? {long}"),
        // Short, with more sentences than are taken together.
        format!("{}Which small dogs do you have?", "It is late. ".repeat(20)),
    ] {
        let understood = ask(&text);
        assert_eq!((say(&understood.readings[0]).as_str(), understood.part), ("List SMALL DOG", true), "{text:.60}");
    }
    for text in [long.clone(), format!("{long}\n\nWhat is the capital of France?"), format!("{long}\n\nHello!")] {
        assert_eq!(ask(&text).readings, [Reading::Declined(Unsupported::TooLong)]);
    }
    // What follows goes on from it.
    let turns = [format!("{long}\n\nWhich small dogs do you have?"), "and cats?".to_owned()].map(Turn::User);
    let understood = understand(&turns, &inventory());
    assert_eq!((say(&understood.readings[0]).as_str(), understood.part), ("List SMALL CAT", false));
}

/// An instruction is taken out as a whole, or what is left of it is not understood: no word of a question is lost.
#[test]
fn words_of_form_are_conditions_where_they_stand_in_a_question() {
    for question in [
        "friendly dogs in one line",
        "short dogs",
        "dogs with two lines on their back",
        "dogs with one word names",
        "brief dogs",
    ] {
        assert!(read(question).starts_with("declined"), "{question} => {}", read(question));
    }
}

#[test]
fn json_in_words_is_asked_for() {
    let ask = |text: &str| understand(&[Turn::User(text.to_owned())], &inventory());
    for text in [
        "List all dogs as JSON. Respond in JSON.",
        "list dogs in valid json",
        "Dogs. Return your answer as a JSON array.",
    ] {
        let understood = ask(text);
        assert_eq!((say(&understood.readings[0]).as_str(), understood.json), ("List DOG", true), "{text}");
    }
    assert!(!ask("list dogs").json && !ask("sing in JSON").json);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(texts in prop::collection::vec("\\PC{0,120}|[ -~\\n]{0,200}", 1..4)) {
        let turns: Vec<Turn> = texts.into_iter().map(Turn::User).collect();
        prop_assert!(!understand(&turns, &inventory()).readings.is_empty());
    }

    /// Words of the lexicon in any order reach deeper than random letters.
    #[test]
    fn any_words_are_read_without_a_panic(picks in prop::collection::vec(0_usize..1_000_000, 1..14)) {
        let phrases: std::collections::BTreeSet<&str> = super::lexicon::LEXICON.keys().map(String::as_str).collect();
        let phrases: Vec<&str> = phrases.into_iter().chain(["$200", "3", "2.5", "baxter", "golden retriever", "?", ".", ","]).collect();
        let text: Vec<&str> = picks.iter().map(|pick| phrases[pick % phrases.len()]).collect();
        let turns = [Turn::User("dogs".to_owned()), Turn::User(text.join(" "))];
        prop_assert!(!understand(&turns, &inventory()).readings.is_empty());
    }

    /// A word that is nowhere known is never passed over.
    #[test]
    fn an_unknown_word_is_never_dropped(before in "(small |cheap |)", after in "( under \\$200| good with kids|)") {
        let reading = read(&format!("{before}hypoallergenic dogs{after}"));
        prop_assert!(reading.starts_with("declined"), "{}", reading);
    }
}
