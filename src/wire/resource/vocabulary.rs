//! The words that describe the pets in the database; the local model recognizes them in questions.

/// The breeds, colours and names in use. Each list is sorted without regard to case and has no duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Breeds as written: `Golden Retriever`.
    pub breeds: Vec<String>,
    /// Colours as written: `black and white`.
    pub colors: Vec<String>,
    /// Names of pets of any status.
    pub names: Vec<String>,
}
