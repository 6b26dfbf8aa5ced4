//! The path of a value in a request, as error messages name it: `messages[0].role`.

use std::fmt::{self, Display};

/// A path. Borrows its parent; it is formatted only when an error is reported.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Path<'p> {
    parent: &'p dyn Parent,
    step: Step<'p>,
}

/// The path of the object or array that holds the value: another [`Path`], or a parameter's name.
trait Parent: Display + fmt::Debug {}

impl<T: Display + fmt::Debug> Parent for T {}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Member(&'p str),
    Element(usize),
}

impl<'p> Path<'p> {
    pub(in crate::wire) const fn member<P: Display + fmt::Debug>(parent: &'p P, name: &'p str) -> Self {
        Self { parent, step: Step::Member(name) }
    }

    pub(in crate::wire) const fn element<P: Display + fmt::Debug>(parent: &'p P, index: usize) -> Self {
        Self { parent, step: Step::Element(index) }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Member(name) => write!(f, "{}.{name}", self.parent),
            Step::Element(index) => write!(f, "{}[{index}]", self.parent),
        }
    }
}
