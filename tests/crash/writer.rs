//! Writers, which change resources and record the outcome of each request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::shared_state::SharedState;
use test_support::http::{Connection, Request, Whole};
use test_support::random::Random;

/// The kind of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Create,
    Edit,
    Delete,
    Place,
    Move,
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It succeeded; the resource, unless it was deleted.
    Done(Option<Value>),
    /// It was refused for a valid reason.
    Refused(u16),
    /// It was refused without a valid reason.
    Strange(u16, String),
    /// No answer arrived: it may have been committed.
    Doubt,
}

/// A write. Its request is repeated until it is answered, where that is safe.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) what: What,
    /// Unique among all writes: the description of a pet that it creates or edits.
    pub(crate) tag: String,
    /// The id of its resource; of an order to place, the pet.
    pub(crate) target: Option<String>,
    pub(crate) outcome: Outcome,
    /// Whether the request was repeated, since no answer arrived.
    pub(crate) repeated: bool,
    /// Whether the answer was marked as a replay.
    pub(crate) replayed: bool,
}

/// The state of the store, as reconstructed from answers and events.
#[derive(Default)]
pub(crate) struct Known {
    // std Mutex: never held across .await
    store: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    /// Versions by id.
    pets: BTreeMap<String, u64>,
    /// Versions and statuses by id; closed orders are removed.
    orders: BTreeMap<String, (u64, String)>,
}

impl Known {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the state from a pet or an order that was received.
    pub(crate) fn learn(&self, resource: &Value) {
        let (id, version) = (resource["id"].as_str().unwrap().to_owned(), resource["version"].as_u64().unwrap());
        let status = resource["status"].as_str().unwrap().to_owned();
        let mut store = self.store();
        if resource.get("petId").is_none() {
            store.pets.insert(id, version);
        } else if matches!(status.as_str(), "DELIVERED" | "CANCELLED") {
            store.orders.remove(&id);
        } else {
            store.orders.insert(id, (version, status));
        }
    }

    fn forget(&self, id: &str) {
        self.store().pets.remove(id);
    }

    fn pet(&self, random: &mut Random) -> Option<(String, u64)> {
        let store = self.store();
        let at = random.below(store.pets.len().max(1));
        store.pets.iter().nth(at).map(|(id, version)| (id.clone(), *version))
    }

    fn order(&self, random: &mut Random) -> Option<(String, u64, String)> {
        let store = self.store();
        let at = random.below(store.orders.len().max(1));
        store.orders.iter().nth(at).map(|(id, (version, status))| (id.clone(), *version, status.clone()))
    }
}

/// A write that has been drawn.
struct Plan {
    what: What,
    tag: String,
    target: Option<String>,
    path: String,
    method: &'static str,
    body: Option<Value>,
    /// The version that it expects.
    expected: Option<u64>,
}

impl Plan {
    fn request(&self) -> Request {
        let mut request = Request::new(self.method, &self.path);
        if self.method == "POST" {
            request = request.header("idempotency-key", &format!("\"{}\"", self.tag));
        }
        if let Some(version) = self.expected {
            request = request.header("if-match", &format!("\"{version}\""));
        }
        match &self.body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    /// The valid refusals.
    fn may_be_refused(&self) -> &'static [u16] {
        match self.what {
            What::Create => &[],
            What::Edit | What::Delete => &[404, 409, 412],
            What::Place => &[404, 409],
            What::Move => &[409, 412],
        }
    }
}

pub(crate) struct Writer<'a> {
    shared: &'a SharedState,
    known: &'a Known,
    random: Random,
    name: String,
    connection: Option<Connection>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(shared: &'a SharedState, known: &'a Known, random: Random, name: String) -> Self {
        Self { shared, known, random, name, connection: None }
    }

    /// Writes in sequence until the run stops writers.
    pub(crate) async fn write(mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        while !self.shared.life().settled {
            if let Some(plan) = self.draw(writes.len()) {
                writes.push(self.carry_out(plan).await);
            }
            // Pauses, so that writers do not use up the machine.
            let rest = Duration::from_micros(self.random.below(25_000) as u64);
            tokio::time::sleep(rest).await;
        }
        writes
    }

    fn draw(&mut self, number: usize) -> Option<Plan> {
        let tag = format!("{}-{number}", self.name);
        let random = &mut self.random;
        let plan = |what, method, path: String, target, body| Plan {
            what,
            tag: tag.clone(),
            target,
            path,
            method,
            body,
            expected: None,
        };
        let one = |list: &str, id: &str| format!("/api/{list}/{id}");
        let mut plan = match random.below(100) {
            0..25 => plan(What::Create, "POST", "/api/pets".to_owned(), None, Some(pet(random, &tag))),
            25..55 => {
                let (id, version) = self.known.pet(random)?;
                let body = Some(edit(random, &tag));
                Plan { expected: Some(version), ..plan(What::Edit, "PATCH", one("pets", &id), Some(id), body) }
            }
            55..65 => {
                let (id, version) = self.known.pet(random)?;
                Plan { expected: Some(version), ..plan(What::Delete, "DELETE", one("pets", &id), Some(id), None) }
            }
            65..80 => {
                let id = self.known.pet(random)?.0;
                let body = Some(json!({ "petId": id }));
                plan(What::Place, "POST", "/api/orders".to_owned(), Some(id), body)
            }
            _ => {
                let (id, version, status) = self.known.order(random)?;
                let body = Some(json!({ "status": next(random, &status) }));
                Plan { expected: Some(version), ..plan(What::Move, "PATCH", one("orders", &id), Some(id), body) }
            }
        };
        if self.random.percent(60) {
            plan.expected = None;
        }
        Some(plan)
    }

    /// Sends a request. If it can be repeated safely, it is repeated until it is answered.
    async fn carry_out(&mut self, plan: Plan) -> Write {
        let request = plan.request();
        let mut repeated = false;
        let (outcome, replayed) = loop {
            let answer = self.ask(&request, true).await;
            match answer {
                Some(answer) => break self.judge(&plan, &answer),
                None if plan.method == "POST" => repeated = true,
                None => break (Outcome::Doubt, false),
            }
        };
        if matches!(outcome, Outcome::Doubt | Outcome::Refused(_)) && plan.method != "POST" {
            self.look(&plan.path).await;
        }
        Write { what: plan.what, tag: plan.tag, target: plan.target, outcome, repeated, replayed }
    }

    /// The answer, if one arrived.
    async fn ask(&mut self, request: &Request, changes: bool) -> Option<Whole> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.shared.connect().await,
        };
        if changes {
            self.shared.note_sent();
        }
        let answer = connection.ask_unless_gone(request).await?;
        self.connection = Some(connection);
        Some(answer)
    }

    fn judge(&self, plan: &Plan, answer: &Whole) -> (Outcome, bool) {
        let replayed = answer.header("idempotency-replayed") == Some("true");
        let outcome = match (plan.method, answer.status) {
            ("POST", 201) | ("PATCH", 200) => {
                let resource = answer.json();
                self.known.learn(&resource);
                Outcome::Done(Some(resource))
            }
            ("DELETE", 204) => {
                self.known.forget(plan.target.as_deref().unwrap_or_default());
                Outcome::Done(None)
            }
            (_, status) if plan.may_be_refused().contains(&status) => Outcome::Refused(status),
            (_, status) => Outcome::Strange(status, answer.text().to_owned()),
        };
        (outcome, replayed)
    }

    /// Reads the current state of a resource.
    async fn look(&mut self, path: &str) {
        let request = Request::new("GET", path);
        loop {
            let Some(answer) = self.ask(&request, false).await else { continue };
            if answer.status == 200 {
                self.known.learn(&answer.json());
            } else {
                assert_eq!(answer.status, 404, "{path}: {}", answer.text());
                self.known.forget(path.rsplit('/').next().unwrap_or_default());
            }
            return;
        }
    }
}

fn pet(random: &mut Random, tag: &str) -> Value {
    json!({"species": random.one(&["DOG", "CAT", "FISH", "OTHER"]), "name": "Pet", "breed": "Mixed", "ageMonths": 3,
        "size": "SMALL", "color": "silver", "price": format!("{}.10", random.below(500)), "description": tag})
}

/// Always a change, since its description is unique.
fn edit(random: &mut Random, tag: &str) -> Value {
    let mut edit = json!({ "description": tag });
    match random.below(3) {
        0 => edit["status"] = json!(random.one(&["AVAILABLE", "PENDING", "ADOPTED"])),
        1 => edit["price"] = json!(format!("{}.25", random.below(500))),
        _ => {}
    }
    edit
}

/// A valid next status of an order; sometimes an invalid one.
fn next(random: &mut Random, status: &str) -> &'static str {
    if random.percent(15) {
        return random.one(&["PLACED", "APPROVED", "SHIPPED", "DELIVERED", "CANCELLED"]);
    }
    match status {
        "PLACED" => random.one(&["APPROVED", "APPROVED", "CANCELLED"]),
        "APPROVED" => random.one(&["SHIPPED", "SHIPPED", "CANCELLED"]),
        _ => "DELIVERED",
    }
}
