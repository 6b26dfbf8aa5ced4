//! Errors of the configuration, and the place of a setting.

use std::fmt;

/// An error of the configuration. Its text names the setting, the problem with a remedy, and the place; it contains no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the setting, such as `models[1].upstreams[0].timeouts.idle`; the name of the flag or variable; or empty
    /// for the file as a whole.
    pub path: String,
    /// The problem and its remedy.
    pub problem: String,
    /// The source of the setting.
    pub origin: Origin,
}

/// The place of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file, as the user named it.
        name: String,
        /// Line, from 1; none for the file as a whole.
        line: Option<u64>,
    },
    /// In an environment variable.
    Environment,
    /// On the command line.
    CommandLine,
}

impl ConfigError {
    /// The line in the file; 0 if there is none.
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
