//! The usage queue.

use std::sync::Arc;

use loom::thread;

use crate::check;
use crate::sync::block_on;

#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/usage/queue.rs"]
mod queue;
#[path = "../../../src/usage/recent.rs"]
mod recent;

use queue::Queue;
use record::UsageRecord;

mod record {
    /// A usage record: the thread that made it, and its number there.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct UsageRecord(pub(super) usize, pub(super) usize);
}

/// Takes records out in batches of at most two until the queue is closed and empty, as the writer does.
fn take_all(queue: &Queue) -> Vec<Arc<UsageRecord>> {
    block_on(async {
        let (mut all, mut batch) = (Vec::new(), Vec::new());
        while queue.wait_and_take(&mut batch, 2).await > 0 {
            all.append(&mut batch);
        }
        all
    })
}

/// Two threads add three records, then the queue is closed, while the writer takes them: it gets each record once,
/// those of one thread in their order, and ends.
pub fn every_record_is_taken_once_and_in_order() {
    check(3, || {
        let queue = Arc::new(Queue::new(8));
        let taking = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || take_all(&queue))
        };
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert!(queue.push(Arc::new(UsageRecord(1, 0)))))
        };
        assert!(queue.push(Arc::new(UsageRecord(0, 0))) && queue.push(Arc::new(UsageRecord(0, 1))));
        other.join().unwrap();
        queue.close();
        let taken = taking.join().unwrap();
        let of =
            |thread| taken.iter().filter(move |record| record.0 == thread).map(|record| record.1).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![0, 1], vec![0]));
        assert_eq!(queue.recent(0).1, 3);
    });
}

/// A record that is added while the writer waits wakes it.
pub fn a_record_wakes_the_writer() {
    check(3, || {
        let queue = Arc::new(Queue::new(8));
        let adding = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert!(queue.push(Arc::new(UsageRecord(0, 0)))))
        };
        let mut batch = Vec::new();
        assert_eq!(block_on(queue.wait_and_take(&mut batch, 2)), 1);
        adding.join().unwrap();
    });
}

/// The queue is closed while a record is added: it is taken if and only if `push` has returned `true`.
pub fn a_record_during_the_close_is_taken_or_refused() {
    check(3, || {
        let queue = Arc::new(Queue::new(8));
        let adding = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(Arc::new(UsageRecord(0, 0))))
        };
        let closing = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.close())
        };
        let taken = take_all(&queue).len();
        closing.join().unwrap();
        let added = adding.join().unwrap();
        assert_eq!(taken, usize::from(added), "push returned {added}");
    });
}

/// With space for one, two records at the same time: as many are taken as `push` has accepted, at least one.
pub fn a_full_queue_refuses_records() {
    check(3, || {
        let queue = Arc::new(Queue::new(1));
        let adding = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(Arc::new(UsageRecord(1, 0))))
        };
        let taking = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || take_all(&queue).len())
        };
        let own = queue.push(Arc::new(UsageRecord(0, 0)));
        let others = adding.join().unwrap();
        queue.close();
        assert_eq!(taking.join().unwrap(), usize::from(own) + usize::from(others));
        assert!(own || others, "no space in an empty queue");
    });
}
