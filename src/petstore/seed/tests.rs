//! The rules of the data file, and that it is added once.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::*;
use crate::petstore::PetStore;
use crate::store::Store;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::pet::{Gender, Size, Species, Status};

/// Words of questions and answers. A name equal to one, or a typo away, would be misunderstood.
const DIALOGUE_WORDS: &str = "a about above adopted adult affordable age all already also am an and animal animals any anything \
    are as ask at available baby beautiful below best between big bird birdie birds black blue boy breed breeds brown \
    budget bunny but buy can cat cats cheap cheaper cheapest children child color colors colour colours compare cost \
    costs could cream currently dark dearest describe dime do does dog dogs dollar dollars else elderly exist expensive \
    family female find fish fishes five for friendly from gender get ginger girl give gold golden good gray great green \
    grey had has have hello help her here hey hi him his home hope how hungry i in inventory is it its june july kid \
    kids kind kitten kitty know large less light like list little live long look looking lowest made male many march \
    match matching may me medium mini mocha money month months more most much my name named names need new no none not \
    now number of old older oldest on one only or orange order other others over owner parrot pending pet pets please \
    price priced prices puppy rabbit rabbits range red reptile reptiles reserved rose rusty sale same sand see sell \
    senior she short show silver size sizes small smaller smallest snake some species status still stock store than \
    thank thanks that the them then there these they this those to today toddler tortoise total tricolor turtle two \
    under unknown up us usd want what when where which white who why will with without would year years yellow yes you \
    young younger youngest your";

fn pets() -> Vec<PetFields> {
    read(DATA).unwrap()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[test]
fn names_are_single_words_and_none_is_part_of_another() {
    let names: Vec<_> = pets().into_iter().map(|pet| pet.name).collect();
    for (at, name) in names.iter().enumerate() {
        assert!(name.len() >= 4 && name.chars().all(|c| c.is_ascii_alphabetic()), "{name} is no plain word");
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name} has no capital");
        for other in names.iter().skip(at + 1).map(|other| other.to_lowercase()) {
            let name = name.to_lowercase();
            assert!(!other.contains(&name) && !name.contains(&other), "{name} and {other}");
            assert!(strsim::osa_distance(&name, &other) > 1, "{name} and {other} are a typo apart");
        }
    }
}

#[test]
fn names_occur_in_no_breed_colour_or_description() {
    let pets = pets();
    for name in pets.iter().map(|pet| pet.name.to_lowercase()) {
        for pet in &pets {
            for text in [&pet.breed, &pet.color, &pet.description] {
                assert!(!text.to_lowercase().contains(&name), "{name} occurs in {text:?}");
            }
        }
    }
}

#[test]
fn names_are_more_than_a_typo_away_from_words_of_questions_and_answers() {
    let pets = pets();
    let mut dialogue_words: HashSet<_> = words(DIALOGUE_WORDS).collect();
    for pet in &pets {
        dialogue_words.extend(words(&pet.breed).chain(words(&pet.color)).chain(words(&pet.description)));
        dialogue_words.extend(words(pet.species.name()).chain(words(pet.size.name())));
        dialogue_words.extend(words(pet.gender.name()).chain(words(pet.status.name())));
    }
    for name in pets.iter().map(|pet| pet.name.to_lowercase()) {
        for word in &dialogue_words {
            assert!(!word.contains(&name), "{name} occurs in {word}");
            assert!(strsim::osa_distance(&name, word) > 1, "{name} and {word} are a typo apart");
        }
    }
}

#[test]
fn every_species_size_gender_and_status_occurs() {
    let pets = pets();
    assert!(pets.len() >= 48, "{} pets", pets.len());
    let count = |takes: &dyn Fn(&PetFields) -> bool| pets.iter().filter(|pet| takes(pet)).count();
    for species in Species::ALL.iter().copied() {
        let breeds: HashSet<_> = pets.iter().filter(|pet| pet.species == species).map(|pet| &pet.breed).collect();
        assert!(breeds.len() >= 4, "{}: {} breeds", species.name(), breeds.len());
        let available = count(&|pet| pet.species == species && pet.status == Status::Available);
        assert!(available >= 3, "{}: {available} available", species.name());
    }
    for size in Size::ALL.iter().copied() {
        assert!(count(&|pet| pet.size == size) >= 10, "{}", size.name());
    }
    assert!(Gender::ALL.iter().all(|gender| count(&|pet| pet.gender == *gender) >= 2));
    assert!(count(&|pet| pet.status == Status::Pending) >= 4);
    assert!(count(&|pet| pet.status == Status::Adopted) >= 3);
    assert!(count(&|pet| pet.good_with_kids) < pets.len());
    assert_eq!(pets.iter().map(|pet| pet.age_months).min(), Some(2));
    assert_eq!(pets.iter().map(|pet| pet.age_months).max(), Some(480));
}

#[test]
fn cheapest_dearest_youngest_and_oldest_are_one_pet_each() {
    let pets = pets();
    let available: Vec<_> = pets.iter().filter(|pet| pet.status == Status::Available).collect();
    let mut prices: HashMap<_, u32> = HashMap::new();
    let mut ages: HashMap<_, u32> = HashMap::new();
    for pet in &available {
        *prices.entry(pet.price).or_default() += 1;
        *ages.entry(pet.age_months).or_default() += 1;
    }
    for extreme in [prices.keys().min(), prices.keys().max()] {
        assert_eq!(prices.get(extreme.unwrap()), Some(&1));
    }
    for extreme in [ages.keys().min(), ages.keys().max()] {
        assert_eq!(ages.get(extreme.unwrap()), Some(&1));
    }
}

#[test]
fn prices_are_in_dollars_with_cents_and_texts_are_short() {
    for pet in pets() {
        assert!(pet.price.scale() == 2 && pet.price > Decimal::ZERO, "{}: {}", pet.name, pet.price);
        assert_eq!(pet.currency, "USD");
        let sentences = pet.description.matches('.').count();
        assert!(matches!(sentences, 1 | 2) && pet.description.ends_with('.'), "{}: {sentences}", pet.name);
        assert!((20..200).contains(&pet.description.len()), "{}", pet.name);
        assert!(!pet.breed.trim().is_empty() && !pet.color.trim().is_empty(), "{}", pet.name);
    }
}

#[test]
fn an_error_names_the_data_file() {
    let error = read(r#"[{"species":"DRAGON"}]"#).unwrap_err().to_string();
    assert!(error.contains("seed.json"), "{error}");
}

#[tokio::test]
async fn seeded_pets_are_those_of_the_file_in_its_order() {
    let store = PetStore::new(Store::open("sqlite::memory:").await.unwrap());
    let file = pets();
    assert_eq!(store.seed().await.unwrap(), file.len());
    let page = store.find(&PetFilter::default(), Sort::Created, 1_000, None).await.unwrap();
    assert_eq!((page.pets.len(), page.next), (file.len(), None));
    assert!(page.pets.is_sorted_by(|one, two| one.id < two.id));
    for (pet, seed) in page.pets.iter().zip(&file) {
        assert_eq!((&pet.name, &pet.breed, &pet.color), (&seed.name, &seed.breed, &seed.color));
        assert_eq!((pet.species, pet.size, pet.gender), (seed.species, seed.size, seed.gender));
        assert_eq!((pet.status, pet.good_with_kids), (seed.status, seed.good_with_kids));
        assert_eq!((pet.price.to_string(), pet.age_months), (seed.price.to_string(), seed.age_months));
        assert_eq!((&pet.currency, &pet.description), (&seed.currency, &seed.description));
        assert_eq!((pet.id.get_version_num(), pet.version), (7, 1));
        assert_eq!(pet.created_at, pet.updated_at);
    }
}

#[tokio::test]
async fn a_seeded_database_is_not_seeded_again_when_its_pets_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("pets.db").display());
    let store = Store::open(&url).await.unwrap();
    assert!(PetStore::new(store.clone()).seed().await.unwrap() > 0);
    assert_eq!(PetStore::new(store.clone()).seed().await.unwrap(), 0);
    store.execute_raw("DELETE FROM pets").await.unwrap();
    store.close().await;

    let pets = PetStore::new(Store::open(&url).await.unwrap());
    assert_eq!(pets.seed().await.unwrap(), 0);
    assert_eq!(pets.count(&PetFilter::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn one_of_two_processes_that_start_together_adds_the_pets() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("pets.db").display());
    let one = PetStore::new(Store::open(&url).await.unwrap());
    let two = PetStore::new(Store::open(&url).await.unwrap());
    let (first, second) = tokio::join!(one.seed(), two.seed());
    assert_eq!(first.unwrap() + second.unwrap(), pets().len());
    assert_eq!(one.count(&PetFilter::default()).await.unwrap(), pets().len() as u64);
}

#[tokio::test]
async fn a_failed_seeding_leaves_nothing_and_can_be_retried() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON pets WHEN NEW.species = 'FISH' \
                  BEGIN SELECT raise(ABORT, 'no water'); END";
    store.execute_raw(refuse).await.unwrap();
    let pets = PetStore::new(store.clone());
    pets.seed().await.unwrap_err();
    assert_eq!(pets.count(&PetFilter::default()).await.unwrap(), 0);
    store.execute_raw("DROP TRIGGER refuse").await.unwrap();
    assert!(pets.seed().await.unwrap() > 0);
}
