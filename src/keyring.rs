//! Who may call: API keys by the hash of their secret.
