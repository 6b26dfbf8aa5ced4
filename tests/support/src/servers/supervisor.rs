//! Ends child processes when the process of the tests ends, also by SIGKILL or abort.
//!
//! A shell starts the processes and reads from a pipe, whose other end only the process of the tests has. At the end of
//! the pipe the shell ends them, and removes their folder.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;
use tokio::sync::watch;

use super::user::User;
use crate::soon;

/// The shell's script. Arguments: the folder, and the signal that ends a process.
///
/// Each line of its input is a job: a number and a command. `jobs/NUMBER` exists from before the process starts until
/// it has ended, and has its process id. The system sends SIGHUP to the group when the tests end and a process of it is
/// stopped. Processes have [`KILL_AFTER`] after the signal, then they get SIGKILL.
const SCRIPT: &str = r#"
folder=$1 signal=$2
trap '' HUP
mkdir "$folder/jobs"
while read -r job command; do
    file=$folder/jobs/$job
    : >"$file"
    (
        sh -c "echo \$\$ >'$file'; echo started $job \$\$; exec $command" </dev/null
        code=$?
        rm -f "$file"
        echo ended "$job" "$code"
    ) &
done
end() {
    while [ -e "$1" ] && [ ! -s "$1" ]; do sleep 0.02; done
    id=$(cat "$1") || return
    kill -s CONT "$id"
    kill -s "$signal" "$id"
    rest=KILL_AFTER
    while [ -e "$1" ] && [ $rest -gt 0 ]; do sleep 0.02; rest=$((rest - 1)); done
    [ ! -e "$1" ] || kill -s KILL "$id"
}
for file in "$folder"/jobs/*; do
    [ ! -e "$file" ] || end "$file" &
done
wait
rm -rf "$folder"
"#;

/// Checks for the end of a process, every 20 ms: 10 s. Postgres kills stopped processes of its own after 5 s.
const KILL_AFTER: &str = "500";

/// A shell with the processes that it started, and their folder. Dropping it ends them.
pub(super) struct Supervisor {
    folder: PathBuf,
    user: Option<User>,
    shell: Child,
    // std Mutex: never held across .await
    lines: Mutex<Lines>,
    states: watch::Receiver<HashMap<usize, State>>,
}

struct Lines {
    /// None while the supervisor is dropped.
    pipe: Option<ChildStdin>,
    jobs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running(u32),
    /// With this exit code; for a signal, 128 and its number.
    Ended(i32),
}

/// A process of a supervisor.
pub(super) struct Job {
    number: usize,
    pub(super) id: u32,
    states: watch::Receiver<HashMap<usize, State>>,
}

impl Supervisor {
    /// A supervisor with an empty folder, whose processes `signal` ends. As root, they run as another user, who owns the
    /// folder: Postgres and PgBouncer refuse to run as root.
    pub(super) fn new(signal: &str) -> Self {
        let folder = TempDir::new().unwrap().keep();
        let user = User::unprivileged();
        if let Some(user) = &user {
            user.own(&folder);
        }
        let mut command = Command::new("sh");
        command.args(["-c", &SCRIPT.replace("KILL_AFTER", KILL_AFTER), "supervisor"]).arg(&folder).arg(signal);
        // A group of its own: Ctrl-C at a terminal ends the tests only, and then the pipe.
        command
            .current_dir(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(user) = &user {
            user.run(&mut command);
        }
        let mut shell = command.spawn().unwrap();
        let (sender, states) = watch::channel(HashMap::new());
        let output = BufReader::new(shell.stdout.take().unwrap());
        // A thread: the runtime of a test ends earlier than a cluster that all tests share.
        std::thread::spawn(move || follow(output, &sender));
        let lines = Mutex::new(Lines { pipe: shell.stdin.take(), jobs: 0 });
        Self { folder, user, shell, lines, states }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that its processes own and only they can read.
    pub(super) fn write(&self, path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = &self.user {
            user.own(path);
        }
    }

    /// Starts a process. Its output is appended to `log`.
    pub(super) async fn start(&self, command: &[&str], log: &Path) -> Job {
        let quoted: Vec<String> = command.iter().map(|word| quote(word)).collect();
        let command = format!("{} >>{} 2>&1", quoted.join(" "), quote(log.to_str().unwrap()));
        let number = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.jobs += 1;
            let number = lines.jobs;
            writeln!(lines.pipe.as_mut().unwrap(), "{number} {command}").unwrap();
            number
        };
        let mut states = self.states.clone();
        let id = {
            let known = soon("a process to start", states.wait_for(|states| states.contains_key(&number))).await;
            match known.expect("the shell runs")[&number] {
                State::Running(id) => id,
                State::Ended(_) => 0,
            }
        };
        Job { number, id, states }
    }

    /// Runs a process to its end, which must be a success.
    pub(super) async fn run(&self, command: &[&str]) {
        let log = self.folder.join("run.log");
        let code = self.start(command, &log).await.ended().await;
        assert_eq!(code, 0, "{command:?}: {}", std::fs::read_to_string(log).unwrap());
    }

    /// Sets the soft limit of the size of files for a process and its children, as their user, who needs no rights for it.
    pub(super) fn limit_files(&self, job: &Job, limit: &str) {
        let set = |id: u32| {
            let mut command = Command::new("prlimit");
            // It complains of processes that have ended meanwhile.
            command.args(["--pid", &id.to_string(), &format!("--fsize={limit}:")]).stderr(Stdio::null());
            if let Some(user) = &self.user {
                user.run(&mut command);
            }
            assert!(command.status().unwrap().success() || !is_running(id), "prlimit of process {id}");
        };
        // It first: children that it starts from then on have the limit.
        set(job.id);
        children(job.id).into_iter().for_each(set);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.lines.get_mut().unwrap_or_else(PoisonError::into_inner).pipe = None;
        let _ = self.shell.wait();
    }
}

impl Job {
    /// Waits for its end; returns its exit code.
    pub(super) async fn ended(&mut self) -> i32 {
        let number = self.number;
        let ended = |states: &HashMap<usize, State>| matches!(states.get(&number), Some(State::Ended(_)));
        let states = soon("a process to end", self.states.wait_for(ended)).await.expect("the shell runs");
        match states[&number] {
            State::Ended(code) => code,
            State::Running(_) => unreachable!("it has ended"),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.states.borrow().get(&self.number), Some(State::Running(_)))
    }

    /// Sends it a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) {
        signal(name, &[self.id]);
    }

    /// Stops it and its children with SIGSTOP. Connections stay open.
    pub(super) fn pause(&self) {
        // It first: then it has no new children.
        self.signal("STOP");
        signal("STOP", &children(self.id));
    }

    /// Continues it and its children.
    pub(super) fn resume(&self) {
        signal("CONT", &children(self.id));
        self.signal("CONT");
    }

    /// Kills it and its children with SIGKILL; returns when they are gone.
    pub(super) async fn kill(&mut self) {
        self.signal("STOP");
        let children = children(self.id);
        signal("KILL", &children);
        self.signal("KILL");
        self.ended().await;
        crate::becomes(&true, async || {
            tokio::task::yield_now().await;
            !children.iter().any(|id| is_running(*id))
        })
        .await;
    }
}

/// Reads the shell's output to its end.
fn follow(output: impl BufRead, states: &watch::Sender<HashMap<usize, State>>) {
    for line in output.lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, job, number] = words[..] else { continue };
        let state = match what {
            "started" => State::Running(number.parse().unwrap()),
            _ => State::Ended(number.parse().unwrap()),
        };
        states.send_modify(|states| {
            states.insert(job.parse().unwrap(), state);
        });
    }
}

/// Sends a signal; processes that are gone are left out.
fn signal(name: &str, ids: &[u32]) {
    if !ids.is_empty() {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let script = format!("kill -s {name} {} 2>/dev/null; exit 0", ids.join(" "));
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }
}

/// The fields of `/proc/ID/stat` after the name: the state, the id of the parent, and more.
fn stat(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// Whether a process exists that has not ended.
pub fn is_running(id: u32) -> bool {
    stat(id).is_some_and(|stat| !stat.starts_with(['Z', 'X']))
}

/// The ids of the children of a process.
fn children(id: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = id.to_string();
    ids.filter(|id| stat(*id).is_some_and(|stat| stat.split(' ').nth(1) == Some(&parent))).collect()
}

/// A word of a shell's command, in quotes.
fn quote(word: &str) -> String {
    assert!(!word.contains(['\n', '\'', '\\', '"', '$', '`']), "{word:?} changes in a shell's command");
    format!("'{word}'")
}
