//! Renders an answer as Markdown. Only names of pets are bold, and only of the pets that the answer is about: later
//! turns find the names by their bold type.

use super::describe::{describe, ordered, superlative};
use super::escape::escape;
use super::lookup::{AnswerContent, MAX_LISTED_PETS, MAX_LISTED_VALUES, satisfies};
use super::pet;
use crate::responder::language::{MAX_MESSAGE_LEN, Social, Unsupported};
use crate::responder::query::{Attribute, Intent, Question, Selection};
use crate::wire::resource::pet::{Pet, Species};

/// The supported questions, in one sentence. Ends every answer to a question that is not understood.
const ABILITIES: &str = "I can list, count and describe the pets in this store: by species, breed, size, color, gender, age, \
                         price, whether they are good with kids, and status.";

/// Renders an answer as Markdown.
pub(super) fn render(answer: &AnswerContent) -> String {
    match answer {
        AnswerContent::Pets { question, pets, total } => pets_text(question, pets, *total),
        AnswerContent::Values { question, attribute, values, total } => {
            values_text(question, *attribute, values, *total)
        }
        AnswerContent::Ambiguous => "Several pets could be meant; please say which one, by its name.".to_owned(),
        AnswerContent::Social { kind, species, total } => social(*kind, species, *total),
        AnswerContent::Declined(reason) => format!("{} {ABILITIES}", explain(reason)),
    }
}

fn pets_text(question: &Question, pets: &[Pet], total: usize) -> String {
    let join = |render: &dyn Fn(&Pet) -> String| pets.iter().map(render).collect::<Vec<_>>().join("\n\n");
    match &question.intent {
        Intent::Count => count(question, total),
        _ if pets.is_empty() => nothing_found(question),
        Intent::About(None) => join(&pet::profile),
        Intent::About(Some(attribute)) => join(&|this| pet::fact(this, *attribute)),
        Intent::Check { any_of, none_of } => join(&|this| {
            let verdict = if satisfies(this, any_of, none_of) { "Yes" } else { "No" };
            format!("{verdict}.\n\n{}", pet::entry(this))
        }),
        _ => list(question, pets, total),
    }
}

fn count(question: &Question, total: usize) -> String {
    let verb = if total == 1 { "is" } else { "are" };
    format!("There {verb} {total} {}.", describe(&question.query, total))
}

fn nothing_found(question: &Question) -> String {
    match &question.query.within {
        Some(_) if question.single || question.query.any_of.is_empty() => "I found no such pet.".to_owned(),
        _ => format!("I found no {}.", describe(&question.query, 2)),
    }
}

fn list(question: &Question, pets: &[Pet], total: usize) -> String {
    let query = &question.query;
    let what = describe(query, total);
    let verb = if total == 1 { "is" } else { "are" };
    let head = match (superlative(query), query.selection) {
        (None, _) | (_, None) => format!("{total} {what}{}:", ordered(query)),
        (Some(first), Some(Selection::Nth(place))) if place >= 0 => {
            format!("Number {} of the {}, {first} first:", i64::from(place) + 1, describe(query, 2))
        }
        (Some(first), Some(Selection::First(wanted))) if total < wanted => {
            format!("There {verb} only {total} {what}, {first} first:")
        }
        (Some(first), Some(Selection::First(_))) => format!("The {total} {first} {what}:"),
        (Some(first), Some(_)) if total > 1 => format!("The {first} {what}; these {total} are equal in that:"),
        (Some(first), Some(_)) => format!("The {first} {what}:"),
    };
    let entries: Vec<String> = pets.iter().map(pet::entry).collect();
    let mut text = format!("{head}\n\n{}", entries.join("\n"));
    if total > pets.len() {
        text.push_str(&format!(
            "\n\nThese are the first {MAX_LISTED_PETS} of {total}; another condition narrows them down."
        ));
    }
    text
}

fn values_text(question: &Question, attribute: Attribute, values: &[(String, usize)], total: usize) -> String {
    let (one, many) = match attribute {
        Attribute::Species => ("species", "species"),
        Attribute::Breed => ("breed", "breeds"),
        Attribute::Color => ("color", "colors"),
        Attribute::Size => ("size", "sizes"),
        Attribute::Gender => ("gender", "genders"),
        _ => ("value", "values"),
    };
    let what = describe(&question.query, 2);
    if total == 0 {
        return format!("I found no {what}.");
    }
    let noun = if total == 1 { one } else { many };
    let entries: Vec<String> = values.iter().map(|(value, count)| format!("- {} ({count})", escape(value))).collect();
    let more =
        if total > values.len() { format!("\n\nThese are the first {MAX_LISTED_VALUES}.") } else { String::new() };
    format!("{total} {noun} of {what}, each with how many there are:\n\n{}{more}", entries.join("\n"))
}

fn social(kind: Social, species: &[Species], total: usize) -> String {
    let kinds: Vec<&str> = species.iter().map(|species| pet::species(*species, 2)).collect();
    let stock = match kinds.as_slice() {
        [] => "There are no pets available at the moment.".to_owned(),
        _ => format!("Available now: {total} {} ({}).", if total == 1 { "pet" } else { "pets" }, kinds.join(", ")),
    };
    match kind {
        Social::Hello => format!("Hello! {ABILITIES} {stock}"),
        Social::Assent => format!("All right. {ABILITIES}"),
        Social::Thanks => format!("You're welcome. {ABILITIES}"),
        Social::Help => format!(
            "{ABILITIES} {stock}\n\nFor example:\n\n\
             - Which small dogs under $200 are good with kids?\n\
             - How many cats do you have?\n\
             - What is the cheapest rabbit?\n\
             - What breeds of dogs do you have?\n\
             - Tell me about one of them, by its name.\n\n\
             Follow-ups such as \"and cats?\" or \"which of those are under $100?\" go on from what was said. \
             Puppies, kittens and babies are under 1 year, young is under 2, adult from 1 to under 7, senior from 7 years on; \
             \"about\" is within a tenth of a price and a quarter of an age. \
             Unless a status is named, I look at available pets."
        ),
    }
}

fn explain(reason: &Unsupported) -> String {
    match reason {
        Unsupported::NotUnderstood => "I can't answer that.".to_owned(),
        Unsupported::Words(words) if words.is_empty() => "I can't look pets up by that condition.".to_owned(),
        Unsupported::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", quoted(word))).collect();
            format!("I can't answer that: the inventory knows nothing about {}.", words.join(", "))
        }
        Unsupported::NoSuchName(name) => format!("I found no pet called \"{}\".", quoted(name)),
        Unsupported::Company => "I can't answer that: the inventory only says whether a pet is good with kids.".to_owned(),
        Unsupported::Combination => {
            "I can't answer that: I can't join different kinds of conditions with \"or\"; please ask one after the other.".to_owned()
        }
        Unsupported::Currency => "I can't answer that: prices are compared in US dollars only.".to_owned(),
        Unsupported::FineAge => "I can't answer that: ages are recorded in months; please ask in months or years.".to_owned(),
        Unsupported::WhichUnit => "I can't tell whether that number is a price or an age; please say dollars, months or years.".to_owned(),
        Unsupported::NoContext => "I can't tell which pets you refer to; please say it in full.".to_owned(),
        Unsupported::Nothing => "I see no question.".to_owned(),
        Unsupported::TooLong => format!(
            "I can't answer that: the message has more than {MAX_MESSAGE_LEN} characters or many sentences, and I found no \
             question that I understand at its beginning or end."
        ),
    }
}

/// A word of the question, shortened and escaped so that the answer can quote it.
fn quoted(word: &str) -> String {
    let short: String = word.chars().take(40).collect();
    escape(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_text_contains_no_bold_type() {
        for kind in [Social::Hello, Social::Thanks, Social::Help] {
            assert!(!social(kind, &[Species::Dog], 1).contains("**"));
        }
        assert!(!explain(&Unsupported::Words(vec!["**x**".into()])).contains("**"));
    }
}
