//! The HTTP interfaces of live events: how to subscribe and to publish, with petstream and with nchan.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::result::Result;
use crate::subscribers::Plan;
use crate::workload::{CommandWorkload, EventWorkload};
use crate::writers;

/// How events are read and published.
#[derive(Clone, Debug)]
pub(crate) struct EventApi {
    /// Header lines of every request, each with its line end.
    headers: String,
    /// The path of the event stream.
    events: &'static str,
    /// Text at the beginning of an established stream; empty: the response head is enough.
    greeting: &'static str,
    publish: Publish,
}

#[derive(Clone, Debug)]
enum Publish {
    /// Changes the description of the first pet.
    Pet,
    /// Posts a message of the size of a pet event.
    Message,
}

impl EventApi {
    pub(crate) fn petstream(key: &str) -> Self {
        Self {
            headers: format!("authorization: Bearer {key}\r\ncontent-type: application/merge-patch+json\r\n"),
            events: "/api/events?topics=pets",
            greeting: "event: connected",
            publish: Publish::Pet,
        }
    }

    pub(crate) fn nchan() -> Self {
        Self {
            headers: "content-type: application/json\r\n".to_owned(),
            events: "/events",
            greeting: "",
            publish: Publish::Message,
        }
    }

    /// The plan of subscribers at these servers, at least one.
    pub(crate) fn plan(&self, addresses: Vec<String>, workload: &EventWorkload) -> Result<Plan> {
        let (publish, body) = match self.publish {
            Publish::Pet => {
                let id = first_pet(&addresses[0], &self.headers)?;
                (format!("PATCH /api/pets/{id}"), r#"{"description":"{note}"}"#.to_owned())
            }
            Publish::Message => ("POST /publish".to_owned(), MESSAGE.to_owned()),
        };
        Ok(Plan {
            addresses,
            headers: self.headers.clone(),
            events: self.events.to_owned(),
            greeting: self.greeting.to_owned(),
            publish,
            body,
            workload: workload.clone(),
        })
    }
}

impl EventApi {
    /// The plan of writers at these servers, at least one.
    pub(crate) fn commands(&self, addresses: Vec<String>, workload: &CommandWorkload) -> Result<writers::Plan> {
        let id = first_pet(&addresses[0], &self.headers)?;
        let body = format!(r#"{{"description":"{}"}}"#, writers::NOTE);
        let (command, headers) = (format!("PATCH /api/pets/{id}"), self.headers.clone());
        Ok(writers::Plan { addresses, headers, command, body, workload: workload.clone() })
    }
}

/// A pet event as petstream sends it, for gateways without a store.
const MESSAGE: &str = r#"{"type":"pet-update","id":"00000000-0000-7000-8000-000000000000","version":100,"prev":100,"time":"2026-01-01T00:00:00.000Z","resource":{"id":"00000000-0000-7000-8000-000000000000","species":"DOG","name":"Baxter","breed":"Golden Retriever","ageMonths":26,"size":"LARGE","color":"golden","gender":"MALE","goodWithKids":true,"price":"850.00","currency":"USD","description":"{note}","status":"AVAILABLE","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","version":100}}"#;

/// The id of the first pet in the store.
fn first_pet(address: &str, headers: &str) -> Result<String> {
    let mut socket = TcpStream::connect(address)?;
    write!(socket, "GET /api/pets?limit=1 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let id = answer.split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next());
    id.map(str::to_owned).ok_or_else(|| format!("no pet in {answer}").into())
}
