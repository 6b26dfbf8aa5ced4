//! The tests of each row, and the declarations of its numbers.

mod clients;
mod replicas;
mod store;
mod upstreams;

/// The tests that drive a row of the table to its bound.
pub(super) struct Driver {
    /// The first column.
    pub(super) row: &'static str,
    /// The texts with a number in the columns of the bounds, from left to right.
    pub(super) numbers: Vec<(&'static str, Number)>,
    /// File and function.
    pub(super) tests: &'static [(&'static str, &'static str)],
}

/// The declaration of a number.
pub(super) enum Number {
    /// The default of a setting; whether it has this value.
    Setting(bool),
    /// A file, and the line of it with the constant.
    Constant(&'static str, &'static str),
}

fn driver(
    row: &'static str,
    numbers: impl IntoIterator<Item = (&'static str, Number)>,
    tests: &'static [(&'static str, &'static str)],
) -> Driver {
    Driver { row, numbers: numbers.into_iter().collect(), tests }
}

/// One for each row.
pub(super) fn drivers() -> Vec<Driver> {
    let all = [
        clients::requests(),
        clients::answers(),
        clients::connections(),
        clients::control(),
        clients::authentication(),
        store::browsers(),
        store::event_log(),
        store::pets(),
        upstreams::upstreams(),
        upstreams::records(),
        replicas::limits(),
        replicas::redis(),
    ];
    all.into_iter().flatten().collect()
}
