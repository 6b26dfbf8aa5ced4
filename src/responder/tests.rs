//! End to end over the seeded store.

use super::*;

#[tokio::test]
async fn explore() {
    let Ok(path) = std::env::var("ASK") else { return };
    let store = crate::store::Store::open("sqlite::memory:").await.unwrap();
    let pets = PetStore::new(store);
    pets.seed().await.unwrap();
    let responder = Responder::new(pets);
    for line in std::fs::read_to_string(path).unwrap().lines().filter(|l| !l.is_empty()) {
        let mut messages = Vec::new();
        let mut last = String::new();
        for turn in line.split(" || ") {
            if !last.is_empty() {
                messages.push(serde_json::json!({"role": "assistant", "content": last}));
            }
            messages.push(serde_json::json!({"role": "user", "content": turn}));
            let request = serde_json::json!({ "messages": messages });
            let completion = responder.complete(request.as_object().unwrap()).await.unwrap();
            last = completion.choices[0].pieces.iter().map(|p| p.text.as_str()).collect();
        }
        let short: Vec<String> = last
            .lines()
            .filter(|l| !l.is_empty())
            .map(|l| match l.strip_prefix("- **") {
                Some(rest) => rest.split("**").next().unwrap().to_owned(),
                None => l.to_owned(),
            })
            .collect();
        println!("{line}\n    => {}", short.join(" ¦ ").replace(" I can list, count and describe the pets in this store: by species, breed, size, color, gender, age, price, whether they are good with kids, and status.", " [ABLE]"));
    }
}
