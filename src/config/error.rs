//! What is wrong with a configuration, and where it was written.

use std::fmt;

/// One thing that is wrong. Its text names the place, what was expected, and where it was written; never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the setting, as `models[1].upstreams[0].timeouts.idle`; the flag or variable where it is one; empty
    /// when the file as a whole is meant.
    pub path: String,
    /// What is wrong and what to do about it.
    pub problem: String,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file, as the user named it.
        name: String,
        /// Line, from 1; none when the whole file is meant.
        line: Option<u64>,
    },
    /// In an environment variable.
    Environment,
    /// On the command line.
    CommandLine,
}

impl ConfigError {
    /// The line in the file; 0 where there is none.
    pub(super) const fn line(&self) -> u64 {
        match self.origin {
            Origin::File { line: Some(line), .. } => line,
            _ => 0,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} ({})", self.problem, self.origin)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Environment => f.write_str("environment"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
