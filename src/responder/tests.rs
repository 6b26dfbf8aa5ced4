//! The whole model over the seeded store: answers are compared with the rows themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_openai::types::chat::FinishReason;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::store::Store;
use crate::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};
use crate::wire::tokens::Tokenizer;

async fn seeded() -> (Responder, Store, Vec<Pet>) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let pets = PetStore::new(store.clone());
    pets.seed().await.unwrap();
    let all = pets.find(&PetFilter::default(), Sort::Created, 1000, None).await.unwrap().pets;
    assert!(all.len() >= 40);
    (Responder::new(pets, Offload::new(false)), store, all)
}

async fn complete(responder: &Responder, request: Value) -> Result<Completion, ResponderError> {
    responder.complete(&"key".into(), &parsed(request)).await
}

/// A request, with some message if `request` has none. Its ranges are not checked.
pub(super) fn parsed(mut request: Value) -> InferenceRequest {
    request["model"] = json!("m");
    if request["messages"].is_null() {
        request["messages"] = json!([{"role": "user", "content": "hi"}]);
    }
    let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: Some(MODEL) };
    InferenceRequest::chat(request.to_string().into(), &rules).unwrap()
}

fn text(completion: &Completion) -> String {
    completion.choices[0].pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// The answer to the last of several turns, each answered in between.
async fn ask(responder: &Responder, turns: &[&str]) -> String {
    let mut messages = Vec::new();
    let mut answer = String::new();
    for turn in turns {
        messages.push(json!({ "role": "user", "content": turn }));
        answer = text(&complete(responder, json!({ "messages": messages })).await.unwrap());
        messages.push(json!({ "role": "assistant", "content": answer }));
    }
    answer
}

/// The names in bold, which must be all names that occur in the answer.
fn named(answer: &str, all: &[Pet]) -> BTreeSet<String> {
    let bold: BTreeSet<String> = answer.split("**").skip(1).step_by(2).map(str::to_owned).collect();
    let words: BTreeSet<&str> = answer.split(|c: char| !c.is_alphanumeric()).collect();
    let mentioned: BTreeSet<String> =
        all.iter().filter(|pet| words.contains(pet.name.as_str())).map(|pet| pet.name.clone()).collect();
    assert_eq!(bold, mentioned, "{answer}");
    mentioned
}

fn matching(all: &[Pet], wanted: impl Fn(&Pet) -> bool) -> BTreeSet<String> {
    all.iter().filter(|pet| wanted(pet)).map(|pet| pet.name.clone()).collect()
}

#[tokio::test]
async fn an_answer_names_exactly_the_pets_it_is_about() {
    type Wanted = fn(&Pet) -> bool;
    let (responder, _, all) = seeded().await;
    let cases: &[(&[&str], Wanted)] = &[
        (&["list all dogs"], |pet| is_available(pet) && pet.species == Species::Dog),
        (&["small dogs under $200 that are good with kids"], |pet| {
            is_available(pet)
                && pet.species == Species::Dog
                && pet.size == Size::Small
                && pet.price < 200.into()
                && pet.good_with_kids
        }),
        (&["female cats over 2 years old"], |pet| {
            is_available(pet) && pet.species == Species::Cat && pet.gender == Gender::Female && pet.age_months > 24
        }),
        (&["black or white cats"], |pet| {
            is_available(pet)
                && pet.species == Species::Cat
                && (pet.color.contains("black") || pet.color.contains("white"))
        }),
        (&["pets between $50 and $100"], |pet| is_available(pet) && pet.price >= 50.into() && pet.price <= 100.into()),
        (&["kittens"], |pet| is_available(pet) && pet.species == Species::Cat && pet.age_months < 12),
        (&["dogs that are not good with kids"], |pet| {
            is_available(pet) && pet.species == Species::Dog && !pet.good_with_kids
        }),
        (&["dogs that are not small"], |pet| {
            is_available(pet) && pet.species == Species::Dog && pet.size != Size::Small
        }),
        (&["birds, rabbits and fish"], |pet| {
            is_available(pet) && matches!(pet.species, Species::Bird | Species::Rabbit | Species::Fish)
        }),
        (&["pending pets"], |pet| pet.status == Status::Pending),
        (&["which pets have been adopted?"], |pet| pet.status == Status::Adopted),
        (&["small dogs", "and cats?"], |pet| {
            is_available(pet) && pet.species == Species::Cat && pet.size == Size::Small
        }),
        (&["dogs", "which of those are under $200?"], |pet| {
            is_available(pet) && pet.species == Species::Dog && pet.price < 200.into()
        }),
        (&["unicorns"], |_| false),
        (&["purple dogs"], |_| false),
        (&["what's the capital of France?"], |_| false),
        (&["help"], |_| false),
        (&["hello"], |_| false),
        (&["what breeds of dogs do you have?"], |_| false),
        (&["is Rover available?"], |_| false),
    ];
    for (turns, wanted) in cases {
        let answer = ask(&responder, turns).await;
        assert_eq!(named(&answer, &all), matching(&all, wanted), "{turns:?}: {answer}");
    }
}

fn is_available(pet: &Pet) -> bool {
    pet.status == Status::Available
}

#[tokio::test]
async fn every_pet_is_found_by_name_with_its_facts() {
    let (responder, _, all) = seeded().await;
    for pet in &all {
        let answer = ask(&responder, &[&format!("tell me about {}", pet.name.to_lowercase())]).await;
        for fact in [&pet.name, &pet.breed, &pet.color, &pet.description, &format!("${}", pet.price)] {
            assert!(answer.contains(fact.as_str()), "{fact}: {answer}");
        }
        let answer = ask(&responder, &[&format!("Is {} still available?", pet.name)]).await;
        assert_eq!(answer.starts_with("Yes"), is_available(pet), "{answer}");
        let answer = ask(&responder, &[&format!("how much is {}", pet.name)]).await;
        assert_eq!(answer, format!("**{}** costs ${}.", pet.name, pet.price));
        let answer = ask(&responder, &[&format!("tell me about {}", pet.name), "is it good with kids?"]).await;
        assert_eq!(answer.starts_with("Yes"), pet.good_with_kids, "{answer}");
    }
}

#[tokio::test]
async fn superlatives_select_the_first_in_the_sort_order() {
    let (responder, _, all) = seeded().await;
    let dogs: Vec<&Pet> = all.iter().filter(|pet| is_available(pet) && pet.species == Species::Dog).collect();
    let lowest = dogs.iter().map(|pet| pet.price).min().unwrap();
    let answer = ask(&responder, &["what's the cheapest dog?"]).await;
    assert_eq!(named(&answer, &all), matching(&all, |pet| dogs.contains(&pet) && pet.price == lowest));
    let oldest = dogs.iter().map(|pet| pet.age_months).max().unwrap();
    let answer = ask(&responder, &["who is the oldest dog?"]).await;
    assert_eq!(named(&answer, &all), matching(&all, |pet| dogs.contains(&pet) && pet.age_months == oldest));
    assert_eq!(named(&ask(&responder, &["the three cheapest dogs"]).await, &all).len(), 3);
}

#[tokio::test]
async fn long_lists_show_the_first_twenty_and_the_total() {
    let (responder, _, all) = seeded().await;
    let available = all.iter().filter(|pet| is_available(pet)).count();
    let answer = ask(&responder, &["what pets are available?"]).await;
    assert_eq!(named(&answer, &all).len(), 20);
    assert!(answer.contains(&format!("20 of {available}")), "{answer}");
    let answer = ask(&responder, &["how many pets do you have?"]).await;
    assert_eq!(answer, format!("There are {available} available pets."));
    let answer = ask(&responder, &["how many unknown gender fish do you have?"]).await;
    assert!(answer.starts_with("There "), "{answer}");
}

#[tokio::test]
async fn answers_follow_changes_of_the_data() {
    let (responder, store, all) = seeded().await;
    let dog = all.iter().find(|pet| is_available(pet) && pet.species == Species::Dog).unwrap();
    store.execute_raw(&format!("UPDATE pets SET status = 'ADOPTED' WHERE id = '{}'", dog.id)).await.unwrap();
    assert!(!ask(&responder, &["list all dogs"]).await.contains(&dog.name));
    assert!(ask(&responder, &[&format!("is {} available?", dog.name)]).await.starts_with("No"));
}

#[tokio::test]
async fn markup_in_a_name_is_shown_as_text() {
    let (responder, store, _) = seeded().await;
    let name = "x\n\n# **Evil** | <img src=x> `c` [a](http://b)";
    let update = format!(
        "UPDATE pets SET name = '{name}', breed = '**Lop**\n- y', status = 'PENDING' \
         WHERE id = (SELECT id FROM pets WHERE species = 'RABBIT' LIMIT 1)"
    );
    store.execute_raw(&update).await.unwrap();
    for question in ["list pending rabbits", "what breeds of rabbits are pending?"] {
        let answer = ask(&responder, &[question]).await;
        assert!(!answer.contains("**Evil") && !answer.contains("\n#") && !answer.contains(" <img"), "{answer}");
        assert!(!answer.contains("**Lop") && !answer.contains("\n- y"), "{answer}");
    }
}

#[tokio::test]
async fn a_json_answer_is_one_object_with_the_pets() {
    let (responder, _, all) = seeded().await;
    let request = |question: &str| {
        let messages =
            json!([{ "role": "system", "content": "Answer in JSON." }, { "role": "user", "content": question }]);
        json!({ "messages": messages, "response_format": { "type": "json_object" } })
    };
    let completion = complete(&responder, request("list all cats as JSON")).await.unwrap();
    let answer: Value = serde_json::from_str(&text(&completion)).unwrap();
    let cats: Vec<&Pet> = all.iter().filter(|pet| is_available(pet) && pet.species == Species::Cat).collect();
    assert_eq!(answer, json!({ "pets": cats, "total": cats.len() }));
    let completion = complete(&responder, request("what's the weather?")).await.unwrap();
    let answer: Value = serde_json::from_str(&text(&completion)).unwrap();
    assert!(answer["error"].is_string(), "{answer}");
}

#[tokio::test]
async fn token_counts_are_exact_and_all_choices_are_equal() {
    let (responder, _, _) = seeded().await;
    let messages = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "name": "ann", "content": [{ "type": "text", "text": "list dogs" }] },
    ]);
    let completion = complete(&responder, json!({ "messages": messages, "n": 3 })).await.unwrap();
    let tokenizer = Tokenizer::load().unwrap();
    let count = |text: &str| tokenizer.count(text);
    let prompt =
        3 + (3 + count("system") + count("Be brief.")) + (3 + count("user") + count("list dogs") + count("ann") + 1);
    assert_eq!(completion.prompt_tokens, prompt);
    assert_eq!(completion.choices.len(), 3);
    for choice in &completion.choices {
        assert!(Arc::ptr_eq(&choice.pieces, &completion.choices[0].pieces));
        assert_eq!(choice.completion_tokens, count(&text(&completion)));
        assert_eq!(choice.finish_reason, FinishReason::Stop);
    }
    let short = complete(&responder, json!({ "messages": messages, "max_tokens": 5 })).await.unwrap();
    assert_eq!((short.choices[0].completion_tokens, short.choices[0].finish_reason), (5, FinishReason::Length));
    assert!(text(&completion).starts_with(&text(&short)));
}

#[tokio::test]
async fn a_long_message_is_counted_and_declined() {
    let (responder, _, _) = seeded().await;
    let long = "dogs and cats ".repeat(20_000);
    let completion = complete(&responder, json!({ "messages": [{ "role": "user", "content": long }] })).await.unwrap();
    assert_eq!(completion.prompt_tokens, 3 + 3 + 1 + Tokenizer::load().unwrap().count(&long));
    assert!(text(&completion).starts_with("I can't answer that"));
}

#[tokio::test]
async fn format_instructions_are_ignored_except_for_json() {
    let (responder, _, all) = seeded().await;
    let cats = matching(&all, |pet| is_available(pet) && pet.species == Species::Cat);
    for question in
        ["Which cats do you have? One line.", "Briefly: list cats, no markdown", "list cats. Answer in French."]
    {
        assert_eq!(named(&ask(&responder, &[question]).await, &all), cats, "{question}");
    }
    let answer: Value = serde_json::from_str(&ask(&responder, &["List all cats in JSON."]).await).unwrap();
    assert_eq!(answer["total"], cats.len());
    // The next answer is text again; it refers to the JSON answer.
    let answer = ask(&responder, &["list all cats in JSON", "how many are they?"]).await;
    assert_eq!(answer, format!("There are {} available cats.", cats.len()));
}

#[tokio::test]
async fn long_conversations_and_long_system_messages_are_answered() {
    let (responder, _, all) = seeded().await;
    let cats = matching(&all, |pet| is_available(pet) && pet.species == Species::Cat);
    let story = "We have been looking for company for the whole family since last summer. ".repeat(40);
    let mut messages = vec![json!({ "role": "system", "content": "You are a shop assistant. ".repeat(5_000) })];
    for turn in 0..300 {
        messages.push(json!({ "role": "user", "content": format!("{story} {turn}") }));
        messages.push(json!({ "role": "assistant", "content": story }));
    }
    messages.push(json!({ "role": "user", "content": "Which cats do you have?" }));
    let answer = text(&complete(&responder, json!({ "messages": messages })).await.unwrap());
    assert_eq!(named(&answer, &all), cats);
    // Of a long last message only the question is answered, and the answer states so.
    let answer = ask(&responder, &[&format!("{story}\n\nWhich cats do you have?")]).await;
    assert!(answer.starts_with("Your message is long; of it I answer this question only:\n\n"), "{answer}");
    assert_eq!(named(&answer, &all), cats);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any question gets a text without a panic, and names in it are bold and belong to pets.
    #[test]
    fn any_question_gets_an_answer_that_names_only_existing_pets(
        words in prop::collection::vec("[a-z]{1,8}|dogs|cats|under|\\$[0-9]{1,3}|not|black|cheapest|how many|is|good with kids|tell me about|or|and|,", 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (responder, _, all) = seeded().await;
            let question = words.join(" ");
            let answer = ask(&responder, &[&question]).await;
            assert!(!answer.is_empty());
            let mentioned = named(&answer, &all);
            if answer.starts_with("I can't") || answer.starts_with("I found no") {
                assert!(mentioned.is_empty(), "{question}: {answer}");
            }
        });
    }
}
