//! petstore-ai, the local model: conversation -> query -> rows -> text -> tokens.
