//! End to end over the seeded store.
