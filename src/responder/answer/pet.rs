//! The facts about a pet in words.

use super::escape::escape;
use crate::responder::query::Attribute;
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};

/// The name in bold: `**Name**`.
pub(super) fn name(pet: &Pet) -> String {
    format!("**{}**", escape(&pet.name))
}

/// All facts except the description, as a list entry: `- **Name**: dog (Breed), 2 years, ...`.
pub(super) fn entry(pet: &Pet) -> String {
    format!(
        "- {}: {} ({}), {}, {}, {}, {}, {}, {}, {}",
        name(pet),
        species(pet.species, 1),
        escape(&pet.breed),
        age(pet.age_months),
        size(pet.size),
        escape(&pet.color),
        gender(pet.gender),
        price(pet),
        if pet.good_with_kids { "good with kids" } else { "not good with kids" },
        status(pet.status),
    )
}

/// All facts about one pet, as a list.
pub(super) fn profile(pet: &Pet) -> String {
    [
        format!("{}: {}", name(pet), escape(&pet.description)),
        String::new(),
        format!("- Species: {}", species(pet.species, 1)),
        format!("- Breed: {}", escape(&pet.breed)),
        format!("- Age: {}", age(pet.age_months)),
        format!("- Size: {}", size(pet.size)),
        format!("- Color: {}", escape(&pet.color)),
        format!("- Gender: {}", gender(pet.gender)),
        format!("- Good with kids: {}", if pet.good_with_kids { "yes" } else { "no" }),
        format!("- Price: {}", price(pet)),
        format!("- Status: {}", status(pet.status)),
    ]
    .join("\n")
}

/// One fact as a sentence.
pub(super) fn fact(pet: &Pet, attribute: Attribute) -> String {
    let name = name(pet);
    match attribute {
        Attribute::Species => format!("{name} is a {} ({}).", species(pet.species, 1), escape(&pet.breed)),
        Attribute::Breed => format!("{name}'s breed: {} ({}).", escape(&pet.breed), species(pet.species, 1)),
        Attribute::Color => format!("{name}'s color: {}.", escape(&pet.color)),
        Attribute::Size => format!("{name} is {}.", size(pet.size)),
        Attribute::Gender => format!("{name}'s gender: {}.", gender(pet.gender)),
        Attribute::Age => format!("{name} is {} old.", age(pet.age_months)),
        Attribute::Price => format!("{name} costs {}.", price(pet)),
        Attribute::Status => format!("{name} is {}.", status(pet.status)),
        Attribute::Name => format!("{name} is a {}.", species(pet.species, 1)),
    }
}

/// The value of an attribute in words, not escaped.
pub(super) fn value(pet: &Pet, attribute: Attribute) -> String {
    match attribute {
        Attribute::Species => species(pet.species, 1).to_owned(),
        Attribute::Breed => pet.breed.clone(),
        Attribute::Color => pet.color.clone(),
        Attribute::Size => size(pet.size).to_owned(),
        Attribute::Gender => gender(pet.gender).to_owned(),
        Attribute::Age => age(pet.age_months),
        Attribute::Price => price(pet),
        Attribute::Status => status(pet.status).to_owned(),
        Attribute::Name => pet.name.clone(),
    }
}

/// An age in words: "2 years 3 months".
pub(super) fn age(months: u32) -> String {
    let part = |number: u32, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
    match (months / 12, months % 12) {
        (0, months) => part(months, "month"),
        (years, 0) => part(years, "year"),
        (years, months) => format!("{} {}", part(years, "year"), part(months, "month")),
    }
}

fn price(pet: &Pet) -> String {
    let mut value = pet.price;
    if value.scale() < 2 {
        value.rescale(2);
    }
    if pet.currency == "USD" { format!("${value}") } else { format!("{value} {}", escape(&pet.currency)) }
}

/// The species as a noun, in the singular for 1, otherwise in the plural.
pub(super) const fn species(species: Species, number: usize) -> &'static str {
    match (species, number == 1) {
        (Species::Dog, true) => "dog",
        (Species::Dog, false) => "dogs",
        (Species::Cat, true) => "cat",
        (Species::Cat, false) => "cats",
        (Species::Rabbit, true) => "rabbit",
        (Species::Rabbit, false) => "rabbits",
        (Species::Bird, true) => "bird",
        (Species::Bird, false) => "birds",
        (Species::Reptile, true) => "reptile",
        (Species::Reptile, false) => "reptiles",
        (Species::Fish, _) => "fish",
        (Species::Other, true) => "small animal",
        (Species::Other, false) => "small animals",
    }
}

pub(super) const fn size(size: Size) -> &'static str {
    match size {
        Size::Small => "small",
        Size::Medium => "medium",
        Size::Large => "large",
    }
}

pub(super) const fn gender(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
        Gender::Unknown => "gender unknown",
    }
}

pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Available => "available",
        Status::Pending => "pending",
        Status::Adopted => "adopted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_words() {
        assert_eq!(
            [0, 1, 7, 12, 13, 26].map(age),
            ["0 months", "1 month", "7 months", "1 year", "1 year 1 month", "2 years 2 months"]
        );
    }
}
