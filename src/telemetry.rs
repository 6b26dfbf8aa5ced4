//! Logs: one subscriber for the process, human-readable or JSON.
