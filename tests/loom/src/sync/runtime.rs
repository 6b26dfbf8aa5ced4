//! A single-threaded runtime, as each of petstream's serving threads has: the main future and spawned tasks, each
//! polled only after a wake, so that a lost wake is a failure. Tasks that still run when the main future ends are
//! dropped.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

/// The id of a runtime; there is one per thread.
pub(crate) type RuntimeId = loom::thread::ThreadId;

type Task = Pin<Box<dyn Future<Output = ()>>>;

loom::thread_local! {
    /// Spawned tasks that have not been polled yet.
    static SPAWNED: RefCell<Vec<Task>> = RefCell::new(Vec::new());
}

/// As tokio's.
pub(crate) struct Handle(RuntimeId);

impl Handle {
    pub(crate) fn current() -> Self {
        Self(loom::thread::current().id())
    }

    pub(crate) const fn id(&self) -> RuntimeId {
        self.0
    }
}

/// As tokio's, on the runtime of this thread.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    SPAWNED.with(|spawned| spawned.borrow_mut().push(Box::pin(future)));
}

/// Which tasks were woken; 0 is the main future.
#[derive(Default)]
struct Woken {
    tasks: Mutex<Vec<bool>>,
    any: Condvar,
}

struct TaskWaker {
    woken: Arc<Woken>,
    task: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.woken.tasks.lock().unwrap()[self.task] = true;
        self.woken.any.notify_one();
    }
}

impl Woken {
    fn add(self: &Arc<Self>) -> Waker {
        let mut tasks = self.tasks.lock().unwrap();
        tasks.push(true);
        Waker::from(Arc::new(TaskWaker { woken: Arc::clone(self), task: tasks.len() - 1 }))
    }

    /// Waits for the next woken task.
    fn next(&self) -> usize {
        let mut tasks = self.tasks.lock().unwrap();
        loop {
            if let Some(task) = tasks.iter().position(|woken| *woken) {
                tasks[task] = false;
                return task;
            }
            tasks = self.any.wait(tasks).unwrap();
        }
    }
}

/// Runs `main` and the tasks that it spawns, until `main` ends.
pub(crate) fn block_on<F: Future>(main: F) -> F::Output {
    let woken = Arc::<Woken>::default();
    let mut main = pin!(main);
    let main_waker = woken.add();
    let mut tasks: Vec<(Option<Task>, Waker)> = Vec::new();
    loop {
        let next = woken.next();
        if next == 0 {
            if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&main_waker)) {
                return output;
            }
        } else {
            let (task, waker) = &mut tasks[next - 1];
            let over = task.as_mut().is_some_and(|task| task.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
            if over {
                *task = None;
            }
        }
        let spawned = SPAWNED.with(|spawned| std::mem::take(&mut *spawned.borrow_mut()));
        tasks.extend(spawned.into_iter().map(|task| (Some(task), woken.add())));
    }
}
