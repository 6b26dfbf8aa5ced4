//! Memory, descriptors and threads of the server, read from `/proc`.

use std::fmt;

/// Allowed growth of resident memory after the warm-up, bytes. The allocator keeps some memory of floods, per thread
/// that served them.
pub(crate) const GROWTH: u64 = 48 << 20;
/// Allowed growth of open descriptors after the warm-up: an upstream connection that has just been closed, a file of
/// the database.
pub(crate) const DESCRIPTORS: usize = 4;
/// Allowed growth of threads after the warm-up: those of the blocking pool end after 10 s without work.
pub(crate) const THREADS: usize = 2;

/// The resources of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resources {
    /// Resident memory, bytes.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Resources {
    /// The resources of process `id`.
    pub(crate) fn of(id: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("/proc, and the server in it");
        let field = |name: &str| -> u64 {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
        Self { resident: field("VmRSS") << 10, descriptors, threads: usize::try_from(field("Threads")).unwrap() }
    }

    /// Whether descriptors and threads are back where they were.
    pub(crate) const fn is_back(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors + DESCRIPTORS && self.threads <= before.threads + THREADS
    }

    /// The resources that have grown more than allowed.
    pub(crate) fn compare(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.resident > before.resident + GROWTH {
            found.push(format!("{} MiB are resident, {} were", self.resident >> 20, before.resident >> 20));
        }
        if !self.is_back(before) {
            found.push(format!("{self}; after the warm-up {before}"));
        }
        found
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, descriptors, threads } = self;
        write!(f, "{} MiB resident, {descriptors} descriptors, {threads} threads", resident >> 20)
    }
}

#[test]
fn growth_of_resources_is_reported() {
    let before = Resources { resident: 50 << 20, descriptors: 40, threads: 9 };
    assert!(before.compare(&before).is_empty());
    let more = |change: fn(&mut Resources)| {
        let mut after = before;
        change(&mut after);
        after.compare(&before).len()
    };
    assert_eq!(more(|after| after.resident += GROWTH), 0);
    assert_eq!(more(|after| after.resident += GROWTH + 1), 1);
    assert_eq!(more(|after| after.descriptors += DESCRIPTORS + 1), 1);
    assert_eq!(more(|after| after.threads += THREADS + 1), 1);
    assert!(Resources::of(std::process::id()).descriptors > 2);
}
