use super::*;

#[tokio::test]
async fn an_empty_store_has_no_page_and_no_words() {
    let pets = PetStore::new(Store::open("sqlite::memory:").await.unwrap());
    let page = pets.find(&PetFilter::default(), Sort::Name, 20, None).await.unwrap();
    assert_eq!(page, PetPage::default());
    assert_eq!(pets.count(&PetFilter::default()).await.unwrap(), 0);
    assert_eq!(pets.get(Uuid::now_v7()).await.unwrap(), None);
    assert_eq!(pets.vocabulary().await.unwrap(), Vocabulary::default());
}
