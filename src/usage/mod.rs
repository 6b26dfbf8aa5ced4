//! Usage records: what each completion request used, on its way to the database.
//!
//! A request leaves its [`UsageRecord`] in a bounded queue and does not wait; [`UsageWriter::run`] takes records out
//! in batches and writes each batch in one transaction of the store. What can be lost, and when:
//!
//! - The process is killed (`kill -9`, out of memory): the records of the last half second (250 ms in which a batch is
//!   collected, and the time of writing), and requests that were still running, which have no record yet.
//! - The machine loses power: also what the operating system had not written to the disk, up to the last checkpoint of
//!   the database's write-ahead log.
//! - The database can't be written: nothing while the queue has space; a batch is retried until it is written. Records
//!   that find the queue full are lost and counted by [`UsageRecorder::dropped`]; the log reports them once a second.
//! - Shutdown: nothing if the database can be written within 3 seconds, else the rest is lost and counted as above.

mod counters;
mod queue;
mod recent;
mod record;
mod recorder;
mod retention;
mod writer;

pub use recent::MAX_RECENT;
pub use record::UsageRecord;
pub use recorder::UsageRecorder;
pub use writer::UsageWriter;

#[cfg(test)]
mod tests;
