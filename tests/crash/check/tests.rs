//! Each check must report wrong data, and accept right data.

use petstream::wire::event::{Topic, Topics};
use serde_json::{Value, json};

use super::{States, delivery, log as committed, replica, writes};
use crate::history::{Event, History, List, Step};
use crate::log::Log;
use crate::writer::{Outcome, What, Write};

fn pet(id: &str, version: u64, said: &str) -> Value {
    json!({"id": id, "version": version, "description": said})
}

fn counts(version: u64, total: u64) -> Value {
    json!({"total": total, "version": version})
}

/// A log about two pets: one exists before the log, is edited and deleted; the other is created and ordered.
fn log() -> Log {
    let events = [
        ("pet-update", "new", 1, pet("new", 1, "w-0")),
        ("inventory-changed", "inventory", 1, counts(1, 2)),
        ("order-created", "order", 1, json!({"id": "order", "version": 1, "petId": "new"})),
        ("pet-status-changed", "new", 2, pet("new", 2, "w-0")),
        ("inventory-changed", "inventory", 2, counts(2, 2)),
        ("pet-update", "old", 2, pet("old", 2, "w-2")),
        ("pet-update", "old", 3, Value::Null),
        ("inventory-changed", "inventory", 3, counts(3, 1)),
        ("notification", "news", 1, json!({})),
    ];
    let event = |(seq, (kind, id, version, resource)): (usize, (&str, &str, u64, Value))| {
        let data = json!({"type": kind, "id": id, "version": version, "prev": seq - 1, "resource": resource});
        Event::new(&format!("e.{seq}"), data)
    };
    let events: Vec<_> = (1..).zip(events).map(event).collect();
    let list = |topic, resources| List { topic, cursor: "e.0".to_owned(), pages: 1, resources };
    let base = vec![list(Topic::Pets, vec![pet("old", 1, "")]), list(Topic::Inventory, vec![counts(0, 1)])];
    let lasts = vec![None; events.len()];
    Log { epoch: "e".to_owned(), base, events, lasts }
}

fn writes() -> Vec<Write> {
    let write = |what, number, target: &str, outcome| {
        let (tag, target) = (format!("w-{number}"), Some(target.to_owned()));
        Write { what, tag, target, outcome, repeated: false, replayed: false }
    };
    let done = |resource| Outcome::Done(Some(resource));
    vec![
        write(What::Create, 0, "", done(pet("new", 1, "w-0"))),
        write(What::Place, 1, "new", done(json!({"id": "order", "version": 1, "petId": "new"}))),
        write(What::Edit, 2, "old", done(pet("old", 2, "w-2"))),
        write(What::Delete, 3, "old", Outcome::Doubt),
        write(What::Edit, 4, "old", Outcome::Refused(409)),
    ]
}

/// An event in the form of a stream of `topics`.
fn told(seq: u64, topics: Topics) -> Step {
    let log = log();
    let mut event = log.events[seq as usize - 1].clone();
    event.prev = log.of(topics).map(Event::seq).take_while(|before| *before < seq).last().unwrap_or(0);
    let name = event.kind().name().to_owned();
    Step::Event(event, name)
}

fn open(asked: Option<&str>, resumed: bool, id: Option<&str>) -> Step {
    Step::Open { asked: asked.map(str::to_owned), resumed, id: id.map(str::to_owned), head: Some(9) }
}

fn history(topics: &[Topic], steps: impl FnOnce(Topics) -> Vec<Step>) -> History {
    let topics = topics.iter().copied().collect();
    History { name: "a subscriber", topics, named: true, steps: steps(topics) }
}

/// A history with all events.
fn everything() -> History {
    history(&Topic::ALL, |all| {
        let begin = open(Some("earliest"), true, Some("e.0"));
        [begin].into_iter().chain((1..=9).map(|seq| told(seq, all))).collect()
    })
}

/// A history of pets, with a reconnection.
fn pets() -> History {
    history(&[Topic::Pets], |pets| {
        let mut steps = vec![open(None, false, Some("e.0")), told(1, pets), Step::Moved("e.3".to_owned()), Step::Cut];
        steps.extend([open(Some("e.3"), true, Some("e.3")), told(4, pets), Step::Left]);
        steps.extend([open(Some("e.4"), true, Some("e.4")), told(6, pets), told(7, pets)]);
        steps
    })
}

fn state(cursor: &str, pages: usize, resources: Vec<Value>) -> Step {
    Step::Read(vec![List { topic: Topic::Pets, cursor: cursor.to_owned(), pages, resources }])
}

/// A history of pets with a reset, after which a list was read.
fn reset() -> History {
    history(&[Topic::Pets], |pets| {
        let mut steps = vec![open(None, false, Some("e.0")), Step::Cut, open(Some("e.0"), false, None)];
        let data = json!({"reason": "too-old", "epoch": "e", "oldest": 4, "head": 5, "snapshot": "/api/pets"});
        steps.push(Step::Reset { id: "e.5".to_owned(), data });
        steps.push(state("e.5", 1, vec![pet("old", 1, ""), pet("new", 2, "w-0")]));
        steps.extend([told(6, pets), told(7, pets)]);
        steps
    })
}

/// A history of pets that begins with a list, read in pages between which a pet was edited.
fn listed() -> History {
    history(&[Topic::Pets], |pets| {
        let mut steps = vec![state("e.4", 2, vec![pet("old", 2, "w-2"), pet("new", 2, "w-0")])];
        steps.extend([open(Some("e.4"), true, Some("e.4")), told(6, pets), told(7, pets)]);
        steps
    })
}

fn objections(history: &History) -> Vec<String> {
    let log = log();
    let mut found = delivery::check(&log, history, true);
    found.extend(replica::check(&log, &States::of(&log), history));
    found
}

#[test]
fn correct_data_is_accepted() {
    assert_eq!(committed::check(&log()), [""; 0]);
    assert_eq!(writes::check(&log(), &writes()), [""; 0]);
    for history in [everything(), pets(), reset(), listed()] {
        assert_eq!(objections(&history), [""; 0]);
    }
}

/// Changes a history; the checks must report a violation that contains `word`.
#[track_caller]
fn objects(mut history: History, word: &str, falsify: impl FnOnce(&mut Vec<Step>)) {
    falsify(&mut history.steps);
    let found = objections(&history);
    assert!(found.iter().any(|what| what.contains(word)), "{word:?}: {found:#?}");
}

#[track_caller]
fn event(step: &mut Step) -> &mut Event {
    let Step::Event(event, _) = step else { panic!("not an event: {step:?}") };
    event
}

#[test]
fn lost_events_are_reported() {
    for at in 1..=9 {
        objects(everything(), "lost e.", |steps| drop(steps.remove(at)));
    }
    objects(everything(), "lost e.1", |steps| steps.truncate(1));
    for at in [1, 5, 8, 9] {
        objects(pets(), "lost e.", |steps| drop(steps.remove(at)));
    }
    objects(reset(), "lost e.6", |steps| drop(steps.remove(5)));
    // Lost at a disconnection, which the cursor of the next request hides.
    objects(pets(), "lost e.4", |steps| {
        steps.remove(5);
        steps.insert(3, Step::Moved("e.4".to_owned()));
        steps[5] = open(Some("e.4"), true, Some("e.4"));
    });
}

#[test]
fn repeated_and_reordered_events_are_reported() {
    for at in 1..=9 {
        objects(everything(), "twice", |steps| steps.insert(at, steps[at].clone()));
        objects(everything(), "twice", |steps| steps.push(steps[at].clone()));
    }
    for at in 1..=8 {
        objects(everything(), "too late", |steps| steps.swap(at, at + 1));
    }
    // Received before the disconnection, and again after it.
    objects(pets(), "twice", |steps| steps.insert(5, steps[1].clone()));
    objects(pets(), "went back", |steps| steps[2] = Step::Moved("e.0".to_owned()));
    objects(reset(), "twice", |steps| steps.insert(5, told(4, [Topic::Pets].into_iter().collect())));
}

#[test]
fn broken_chains_are_reported() {
    for at in 1..=9 {
        objects(everything(), "as the one before it", |steps| event(&mut steps[at]).prev += 1);
    }
    // The `prev` of all topics is not that of this stream.
    objects(pets(), "as the one before it", |steps| event(&mut steps[5]).prev = 3);
    objects(reset(), "as the one before it", |steps| event(&mut steps[5]).prev = 0);
}

#[test]
fn changed_events_are_reported() {
    objects(everything(), "not what was committed", |steps| event(&mut steps[1]).data["resource"]["x"] = json!(1));
    objects(everything(), "not what was committed", |steps| event(&mut steps[1]).data["version"] = json!(2));
    objects(everything(), "of no event", |steps| event(&mut steps[9]).id = "e.10".to_owned());
    objects(everything(), "of no event", |steps| event(&mut steps[9]).id = "f.9".to_owned());
    objects(pets(), "none of its topics", |steps| {
        steps.insert(2, told(2, Topics::ALL));
    });
    objects(pets(), "dispatched as", |steps| {
        let Step::Event(_, name) = &mut steps[1] else { panic!() };
        "message".clone_into(name);
    });
}

#[test]
fn resets_without_reading_the_state_are_reported() {
    objects(reset(), "not read", |steps| drop(steps.remove(4)));
    objects(reset(), "never read", |steps| steps.truncate(4));
    objects(reset(), "yet not reset", |steps| drop(steps.remove(3)));
    objects(reset(), "the state of Some(4) was read", |steps| {
        steps[4] = state("e.4", 1, vec![pet("old", 1, ""), pet("new", 2, "w-0")]);
    });
    objects(reset(), "was read", |steps| steps[4] = Step::Read(Vec::new()));
    for (name, value) in [("oldest", 1), ("oldest", 99), ("head", 4)] {
        objects(reset(), "a reset", |steps| {
            let Step::Reset { data, .. } = &mut steps[3] else { panic!() };
            data[name] = json!(value);
        });
    }
    for (name, value) in [("reason", "other-epoch"), ("snapshot", "/api/orders"), ("epoch", "f")] {
        objects(reset(), "a reset", |steps| {
            let Step::Reset { data, .. } = &mut steps[3] else { panic!() };
            data[name] = json!(value);
        });
    }
    let found = delivery::check(&log(), &reset(), false);
    assert!(found.len() == 1 && found[0].contains("without a reason"), "{found:#?}");
    // An unreported loss: resumed, although the next events are gone.
    objects(reset(), "lost e.1", |steps| {
        steps[2] = open(Some("e.0"), true, Some("e.0"));
        steps.drain(3..5);
    });
}

#[test]
fn wrong_greetings_are_reported() {
    objects(pets(), "it asked for", |steps| steps[4] = open(Some("e.3"), true, Some("e.4")));
    objects(pets(), "it asked for", |steps| steps[4] = open(Some("e.1"), true, Some("e.1")));
    objects(pets(), "it asked for", |steps| steps[4] = open(Some("e.3"), false, Some("e.9")));
    objects(pets(), "it asked for", |steps| steps[0] = open(None, true, Some("e.0")));
    objects(pets(), "said to be", |steps| {
        let Step::Open { head, .. } = &mut steps[0] else { panic!() };
        *head = Some(10);
    });
    let mut late = everything();
    late.steps[0] = open(Some("earliest"), true, Some("e.1"));
    late.steps.remove(1);
    assert_eq!(delivery::check(&log(), &late, true), [""; 0], "what was pruned");
    assert!(delivery::check(&log(), &late, false)[0].contains("it asked for"), "nothing was pruned");
}

#[test]
fn lists_that_do_not_fit_their_cursors_are_reported() {
    let both = || vec![pet("old", 1, ""), pet("new", 2, "w-0")];
    for (wrong, word) in [
        (vec![pet("old", 1, "")], "lacks"),
        (vec![pet("old", 1, ""), pet("new", 1, "w-0")], "in version 1, not 2"),
        (vec![pet("old", 2, "w-2"), pet("new", 2, "w-0")], "in version 2, not 1"),
        (vec![pet("old", 1, "x"), pet("new", 2, "w-0")], "in version 1"),
        (vec![pet("old", 1, ""), pet("new", 2, "w-0"), pet("other", 1, "")], "other"),
        ([both(), vec![pet("new", 2, "w-0")]].concat(), "twice"),
    ] {
        objects(reset(), word, |steps| steps[4] = state("e.5", 1, wrong));
    }
    // In pages, newer versions than the cursor are valid, older ones are not.
    objects(listed(), "in version 1, not 2", |steps| {
        steps[0] = state("e.4", 2, vec![pet("old", 2, "w-2"), pet("new", 1, "w-0")]);
    });
    objects(listed(), "lacks", |steps| steps[0] = state("e.4", 2, vec![pet("old", 2, "w-2")]));
    let mut gone = listed();
    gone.steps[0] = state("e.4", 2, vec![pet("new", 2, "w-0")]);
    assert_eq!(objections(&gone), [""; 0], "it was deleted before its page was read");
}

#[test]
fn a_wrong_final_state_is_reported() {
    let log = log();
    let known = |history: &History| replica::check(&log, &States::of(&log), history);
    let mut history = everything();
    history.steps.remove(7);
    assert!(known(&history)[0].contains("knows"), "it does not know that one is gone");
    let mut history = everything();
    history.steps.remove(6);
    assert!(known(&history)[0].contains("makes version 3 of one that is known in version 1"));
    let mut history = everything();
    history.steps.drain(3..4);
    assert!(known(&history)[0].contains("does not know of (Orders"));
}

/// Changes the log; its check must report a violation that contains `word`.
#[track_caller]
fn belies(word: &str, falsify: impl FnOnce(&mut Log)) {
    let mut log = log();
    falsify(&mut log);
    let found = committed::check(&log);
    assert!(found.iter().any(|what| what.contains(word)), "{word:?}: {found:#?}");
}

#[test]
fn logs_with_gaps_are_reported() {
    belies("has the id e.3", |log| {
        log.events.remove(1);
        log.lasts.remove(1);
    });
    belies("has the id f.2", |log| log.events[1].id = "f.2".to_owned());
    belies("as the ones before it", |log| log.events[4].prev = 3);
    belies("as the ones before it", |log| log.lasts[4] = Some(petstream::wire::event::LastSeqs([1, 3, 2, 0])));
    belies("version 3 follows 1", |log| log.events[3].data["version"] = json!(3));
    belies("version 1 follows 1", |log| log.events[3].data["version"] = json!(1));
    belies("begins with version 2", |log| log.events[2].data["version"] = json!(2));
    belies("is there again", |log| log.events[5].data["resource"] = Value::Null);
    belies("counts 3 pets", |log| log.events[1].data["resource"]["total"] = json!(3));
}

/// Changes answers; the check of writes must report a violation that contains `word`.
#[track_caller]
fn denies(word: &str, falsify: impl FnOnce(&mut Vec<Write>)) {
    let mut writes = writes();
    falsify(&mut writes);
    let found = writes::check(&log(), &writes);
    assert!(found.iter().any(|what| what.contains(word)), "{word:?}: {found:#?}");
}

#[test]
fn answers_that_are_not_in_the_log_are_reported() {
    for (at, id, version) in [(0, "lost", 1), (0, "new", 3), (1, "lost", 1), (2, "old", 9)] {
        denies("and is lost", |writes| writes[at].outcome = Outcome::Done(Some(pet(id, version, ""))));
    }
    denies("and is lost", |writes| {
        (writes[3].outcome, writes[3].target) = (Outcome::Done(None), Some("new".to_owned()));
    });
    denies("differs from its event", |writes| writes[0].outcome = Outcome::Done(Some(pet("new", 1, "w-9"))));
    denies("answered twice", |writes| writes.push(writes[0].clone()));
    denies("answered 500", |writes| writes[4].outcome = Outcome::Strange(500, String::new()));
}

#[test]
fn events_without_a_write_are_reported() {
    for at in 0..4 {
        denies("no request made", |writes| drop(writes.remove(at)));
    }
    // These are repeated until they are answered, so that their outcome is known.
    denies("no request made", |writes| writes[0].outcome = Outcome::Doubt);
    denies("no request made", |writes| {
        (writes[2].outcome, writes[2].tag) = (Outcome::Doubt, "w-8".to_owned());
    });
    denies("was refused", |writes| writes[2].outcome = Outcome::Refused(412));
}
