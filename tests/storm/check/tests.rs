//! Each check is shown something false, and must object.
