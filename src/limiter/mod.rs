//! How much a key may do: requests a minute, tokens a minute, streams at once.
