//! One measurement of live events: pets that change, and those who are told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use crate::Done;
use crate::chat::AFTERMATH;
use crate::gateways::{Gateway, Kind, Role};
use crate::listeners::{self, Heard, Plan};
use crate::procfs::{ProcessorTime, memory};
use crate::workload::Audience;

/// Until memory that subscribing took is what subscribers hold.
const SETTLED: Duration = Duration::from_secs(1);

/// How events are read and made.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    fields: String,
    events: &'static str,
    greeting: &'static str,
    publish: Publish,
}

#[derive(Clone, Debug)]
enum Publish {
    /// The first pet's description changes.
    Pet,
    /// A message of the same size as a pet's event is posted.
    Message,
}

/// What one measurement gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// Processor time per delivery, µs, that of publishing included.
    pub(crate) cost: Option<f64>,
    /// Memory per subscriber, KiB.
    pub(crate) memory: f64,
    #[serde(flatten)]
    pub(crate) heard: Heard,
}

impl Shop {
    pub(crate) fn petstream(key: &str) -> Self {
        Self {
            fields: format!("authorization: Bearer {key}\r\ncontent-type: application/merge-patch+json\r\n"),
            events: "/api/events?topics=pets",
            greeting: "event: connected",
            publish: Publish::Pet,
        }
    }

    pub(crate) fn nchan() -> Self {
        Self {
            fields: "content-type: application/json\r\n".to_owned(),
            events: "/events",
            greeting: "",
            publish: Publish::Message,
        }
    }

    fn plan(&self, address: &str, audience: &Audience) -> Done<Plan> {
        let (publish, body) = match self.publish {
            Publish::Pet => {
                let id = first_pet(address, &self.fields)?;
                (format!("PATCH /api/pets/{id}"), r#"{"description":"{note}"}"#.to_owned())
            }
            Publish::Message => ("POST /publish".to_owned(), MESSAGE.to_owned()),
        };
        Ok(Plan {
            address: address.to_owned(),
            fields: self.fields.clone(),
            events: self.events.to_owned(),
            greeting: self.greeting.to_owned(),
            publish,
            body,
            audience: audience.clone(),
        })
    }
}

/// A pet's event as petstream sends it, for those who have no pets.
const MESSAGE: &str = r#"{"type":"pet-update","id":"00000000-0000-7000-8000-000000000000","version":100,"prev":100,"time":"2026-01-01T00:00:00.000Z","resource":{"id":"00000000-0000-7000-8000-000000000000","species":"DOG","name":"Baxter","breed":"Golden Retriever","ageMonths":26,"size":"LARGE","color":"golden","gender":"MALE","goodWithKids":true,"price":"850.00","currency":"USD","description":"{note}","status":"AVAILABLE","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","version":100}}"#;

pub(crate) fn measure(kind: &Kind, upstream: &str, audience: &Audience, keys: &[String]) -> Done<Measurement> {
    let gateway = kind.start(upstream, keys)?;
    let measured = listened(&gateway, audience);
    measured.map_err(|failure| format!("{}, {}: {failure}\n{}", audience.name, kind.name(), gateway.log()).into())
}

fn listened(gateway: &Gateway, audience: &Audience) -> Done<Measurement> {
    let shop = gateway.shop.as_ref().ok_or("it has no events")?;
    let plan = shop.plan(&gateway.address, audience)?;
    let family = gateway.family();
    let empty = memory(&family)?;
    let mut clients = Role::ready(listeners::ROLE, &plan)?;
    sleep(SETTLED);
    let held = memory(&family)?.saturating_sub(empty);
    let time = ProcessorTime::of(&family);
    clients.go()?;
    let heard: Heard = clients.result()?;
    sleep(AFTERMATH);
    let time = ProcessorTime::of(&family).since(time);
    let cost = (heard.deliveries > 0).then(|| time.as_secs_f64() * 1e6 / heard.deliveries as f64);
    Ok(Measurement { cost, memory: held as f64 / audience.subscribers as f64, heard })
}

/// The id of a pet.
fn first_pet(address: &str, fields: &str) -> Done<String> {
    let mut socket = TcpStream::connect(address)?;
    write!(socket, "GET /api/pets?limit=1 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{fields}\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let id = answer.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next());
    id.map(str::to_owned).ok_or_else(|| format!("no pet in {answer}").into())
}
