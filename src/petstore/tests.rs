//! Finding and paging, over the seeded inventory.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use uuid::Uuid;

use super::*;
use crate::store::Store;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::page::PetPage;
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};
use crate::wire::resource::vocabulary::Vocabulary;

const SORTS: [Sort; 6] =
    [Sort::Created, Sort::PriceAscending, Sort::PriceDescending, Sort::AgeAscending, Sort::AgeDescending, Sort::Name];

async fn seeded() -> (Store, PetStore) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let pets = PetStore::new(store.clone());
    pets.seed().await.unwrap();
    (store, pets)
}

/// All pets that match `filter`, page by page.
async fn walk(pets: &PetStore, filter: &PetFilter, sort: Sort, limit: u32) -> Vec<Pet> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = pets.find(filter, sort, limit, after).await.unwrap();
        assert!(page.pets.len() <= limit as usize);
        all.extend(page.pets);
        after = page.next;
        if after.is_none() {
            return all;
        }
        assert!(all.len() < 1_000, "paging does not end");
    }
}

fn in_order(sort: Sort, one: &Pet, two: &Pet) -> bool {
    let name = |pet: &Pet| pet.name.to_ascii_lowercase();
    match sort {
        Sort::Created => one.id < two.id,
        Sort::PriceAscending => (one.price, one.id) < (two.price, two.id),
        Sort::PriceDescending => (two.price, one.id) < (one.price, two.id),
        Sort::AgeAscending => (one.age_months, one.id) < (two.age_months, two.id),
        Sort::AgeDescending => (two.age_months, one.id) < (one.age_months, two.id),
        Sort::Name => (name(one), one.id) < (name(two), two.id),
    }
}

#[tokio::test]
async fn an_empty_store_has_no_page_and_no_words() {
    let pets = PetStore::new(Store::open("sqlite::memory:").await.unwrap());
    let page = pets.find(&PetFilter::default(), Sort::Name, 20, None).await.unwrap();
    assert_eq!(page, PetPage::default());
    assert_eq!(pets.count(&PetFilter::default()).await.unwrap(), 0);
    assert_eq!(pets.get(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(pets.vocabulary().await.unwrap(), Vocabulary::default());
}

#[tokio::test]
async fn every_order_is_total_and_paging_returns_every_pet_once() {
    let (store, pets) = seeded().await;
    // Equal values everywhere: only the id decides.
    for tie in ["price_e4 = 990000", "age_months = 12", "name = upper(name)", "name = 'Twin'"] {
        for sort in SORTS {
            for limit in [1, 7, 100] {
                let all = walk(&pets, &PetFilter::default(), sort, limit).await;
                assert_eq!(all.len() as u64, pets.count(&PetFilter::default()).await.unwrap());
                assert!(all.is_sorted_by(|one, two| in_order(sort, one, two)), "{sort:?} by {limit}, before {tie}");
            }
        }
        // The rows at every third place, so that equal and different values alternate.
        let tied = format!("UPDATE pets SET {tie} WHERE rowid % 3 <> 0");
        store.execute_raw(&tied).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_key_stays_valid_when_its_pet_is_deleted() {
    let (store, pets) = seeded().await;
    for sort in SORTS {
        let all = walk(&pets, &PetFilter::default(), sort, 100).await;
        let page = pets.find(&PetFilter::default(), sort, 5, None).await.unwrap();
        let last = page.pets.last().unwrap().id;
        store.execute_raw(&format!("DELETE FROM pets WHERE id = '{last}'")).await.unwrap();
        let rest = pets.find(&PetFilter::default(), sort, 100, page.next).await.unwrap();
        assert_eq!(rest.pets, all[5..], "{sort:?}");
    }
}

#[tokio::test]
async fn a_last_page_that_is_exactly_full_has_no_next() {
    let (_store, pets) = seeded().await;
    let all = u32::try_from(pets.count(&PetFilter::default()).await.unwrap()).unwrap();
    assert!(pets.find(&PetFilter::default(), Sort::Name, all, None).await.unwrap().next.is_none());
    assert!(pets.find(&PetFilter::default(), Sort::Name, all - 1, None).await.unwrap().next.is_some());
    assert_eq!(pets.find(&PetFilter::default(), Sort::Name, 0, None).await.unwrap().pets.len(), 1);
    assert!(pets.find(&PetFilter::default(), Sort::Name, u32::MAX, None).await.unwrap().next.is_none());
}

/// Each condition against its plain meaning, over all pets.
#[tokio::test]
async fn every_condition_matches_as_documented() {
    type Meaning = fn(&Pet) -> bool;
    let (_store, pets) = seeded().await;
    let all = walk(&pets, &PetFilter::default(), Sort::Created, 100).await;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filter = PetFilter::default;
    let cases: [(PetFilter, Meaning); 14] = [
        (PetFilter { species: vec![Species::Cat, Species::Fish], ..filter() }, |pet| {
            matches!(pet.species, Species::Cat | Species::Fish)
        }),
        (PetFilter { status: vec![Status::Pending], ..filter() }, |pet| pet.status == Status::Pending),
        (PetFilter { size: vec![Size::Large; 5], ..filter() }, |pet| pet.size == Size::Large),
        (PetFilter { gender: vec![Gender::Unknown], ..filter() }, |pet| pet.gender == Gender::Unknown),
        (PetFilter { breed: texts(&["LABRADOR", "Beagle"]), ..filter() }, |pet| {
            pet.breed.contains("Labrador") || pet.breed == "Beagle"
        }),
        (PetFilter { color: texts(&["White"]), ..filter() }, |pet| pet.color.contains("white")),
        (PetFilter { name: texts(&["ziggy", "CLEO", "nobody"]), ..filter() }, |pet| {
            pet.name == "Ziggy" || pet.name == "Cleo"
        }),
        (PetFilter { name: texts(&["zigg"]), ..filter() }, |_| false),
        (PetFilter { min_price: Some(Decimal::new(18_000, 2)), ..filter() }, |pet| pet.price >= Decimal::from(180)),
        (PetFilter { max_price: Some(Decimal::new(180_000_001, 6)), ..filter() }, |pet| {
            pet.price <= Decimal::from(180)
        }),
        (PetFilter { min_age_months: Some(96), ..filter() }, |pet| pet.age_months >= 96),
        (PetFilter { max_age_months: Some(4), ..filter() }, |pet| pet.age_months <= 4),
        (PetFilter { good_with_kids: Some(false), ..filter() }, |pet| !pet.good_with_kids),
        (
            PetFilter {
                species: vec![Species::Dog],
                size: vec![Size::Small],
                status: vec![Status::Available],
                max_price: Some(Decimal::from(200)),
                good_with_kids: Some(true),
                ..filter()
            },
            |pet| {
                (pet.species, pet.size, pet.status) == (Species::Dog, Size::Small, Status::Available)
                    && pet.price <= Decimal::from(200)
                    && pet.good_with_kids
            },
        ),
    ];
    for (filter, matches) in cases {
        let expected: Vec<_> = all.iter().filter(|pet| matches(pet)).cloned().collect();
        assert!(expected.len() < all.len());
        assert_eq!(walk(&pets, &filter, Sort::Created, 3).await, expected, "{filter:?}");
        assert_eq!(pets.count(&filter).await.unwrap(), expected.len() as u64, "{filter:?}");
    }
}

#[tokio::test]
async fn bounds_include_the_price_itself_and_no_rounding_lets_another_in() {
    let (_store, pets) = seeded().await;
    let priced = |min: &str, max: &str| PetFilter {
        min_price: Some(min.parse().unwrap()),
        max_price: Some(max.parse().unwrap()),
        ..PetFilter::default()
    };
    assert_eq!(pets.count(&priced("165.50", "165.50")).await.unwrap(), 1);
    assert_eq!(pets.count(&priced("165.500000001", "165.51")).await.unwrap(), 0);
    assert_eq!(pets.count(&priced("165.49", "165.499999999")).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_person_writes_is_text_and_nothing_else() {
    let (store, pets) = seeded().await;
    for text in ["%", "_", "' OR 1=1 --", "\"", "\\", "]", "Bea_le", "\u{0}", "[\"Beagle\"]", "🐶"] {
        for filter in [
            PetFilter { breed: vec![text.to_owned()], ..PetFilter::default() },
            PetFilter { color: vec![text.to_owned()], ..PetFilter::default() },
            PetFilter { name: vec![text.to_owned()], ..PetFilter::default() },
        ] {
            assert_eq!(pets.count(&filter).await.unwrap(), 0, "{filter:?}");
        }
    }
    store.execute_raw("UPDATE pets SET breed = '100% \"mixed\"' WHERE name = 'Cleo'").await.unwrap();
    for text in ["% \"MIX", "%"] {
        let filter = PetFilter { breed: vec![text.to_owned()], ..PetFilter::default() };
        assert_eq!(pets.find(&filter, Sort::Name, 9, None).await.unwrap().pets[0].name, "Cleo");
    }
}

#[tokio::test]
async fn a_list_may_be_longer_than_sqlite_has_variables() {
    let (_store, pets) = seeded().await;
    let many: Vec<_> = (0..40_000).map(|n| format!("nobody{n}")).chain(["cleo".to_owned()]).collect();
    let filter = PetFilter { name: many, ..PetFilter::default() };
    assert_eq!(pets.count(&filter).await.unwrap(), 1);
}

#[tokio::test]
async fn a_pet_is_got_by_its_id() {
    let (_store, pets) = seeded().await;
    let pet = pets.find(&PetFilter::default(), Sort::Name, 1, None).await.unwrap().pets.remove(0);
    assert_eq!(pets.get(pet.id).await.unwrap(), Some(pet));
}

#[tokio::test]
async fn the_vocabulary_is_read_from_the_pets_in_the_database() {
    let (store, pets) = seeded().await;
    let all = walk(&pets, &PetFilter::default(), Sort::Created, 100).await;
    let words = pets.vocabulary().await.unwrap();
    let distinct = |word: fn(&Pet) -> &String| all.iter().map(word).cloned().collect::<BTreeSet<_>>();
    assert_eq!(words.breeds.iter().cloned().collect::<BTreeSet<_>>(), distinct(|pet| &pet.breed));
    assert_eq!(words.colors.iter().cloned().collect::<BTreeSet<_>>(), distinct(|pet| &pet.color));
    assert_eq!(words.names.iter().cloned().collect::<BTreeSet<_>>(), distinct(|pet| &pet.name));
    assert!(words.breeds.is_sorted() && words.colors.is_sorted() && words.names.is_sorted());
    assert_eq!(words.names.len(), all.len());

    store.execute_raw("UPDATE pets SET color = 'plaid'").await.unwrap();
    assert_eq!(pets.vocabulary().await.unwrap().colors, ["plaid"]);
}

#[tokio::test]
async fn an_error_names_the_column_and_the_id_of_an_unreadable_row() {
    let (store, pets) = seeded().await;
    let page = pets.find(&PetFilter::default(), Sort::Created, 5, None).await.unwrap();
    let damages = [
        ("species", "'UNICORN'"),
        ("age_months", "-1"),
        ("good_with_kids", "7"),
        ("created_at", "9e18"),
        ("name", "x'ff'"),
    ];
    for ((column, value), Pet { id, .. }) in damages.into_iter().zip(page.pets) {
        let kind = if matches!(column, "species" | "name") { "TEXT" } else { "INTEGER" };
        let damage = format!("UPDATE pets SET {column} = CAST({value} AS {kind}) WHERE id = '{id}'");
        store.execute_raw(&damage).await.unwrap();
        let error = pets.get(id).await.unwrap_err().to_string();
        assert!(error.contains(column) && error.contains(&id.to_string()), "{error}");
    }
}
