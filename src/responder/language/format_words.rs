//! The words of format instructions and politeness, as tables for `format_instructions.rs`. Lists in one string are
//! separated by spaces.

/// Words before a format noun: "in a table", "using bullet points".
pub(super) const PREPOSITIONS: &str = "in as with using into";
/// Articles before a format noun.
pub(super) const ARTICLES: &str = "a an some";
/// Words between the preposition and the format noun: "in two short sentences".
pub(super) const MODIFIERS: &str = "one single two three few short brief simple plain markdown bulleted numbered bullet bulletpoint \
                         complete full nice formal friendly easy clear concise compact only exactly max maximum about around \
                         roughly proper valid raw well formatted formatted pretty pure strict structured detailed";
/// Nouns for the format of an answer.
pub(super) const FORMAT_NOUNS: &str = "line lines sentence sentences word words paragraph paragraphs table tables list bullet bullets point \
                     points bulletpoint bulletpoints json markdown text plaintext csv yaml xml html prose code block blocks \
                     format form style tone letters caps uppercase lowercase character characters token tokens detail essay \
                     summary array object layman laymans terms manner way emoji emojis";
/// Languages; the answer is always in English.
pub(super) const LANGUAGES: &str = "english german french spanish italian portuguese dutch polish russian chinese japanese korean arabic \
                         turkish hindi swedish danish norwegian finnish czech greek hebrew ukrainian vietnamese thai";
/// Units of the length of an answer.
pub(super) const LENGTH_UNITS: &str = "line lines sentence sentences word words paragraph paragraphs character characters token tokens bullet \
                       bullets";
/// Phrases before a number: "at most 50 words".
pub(super) const BOUNDS: &[&str] = &[
    "no more than",
    "not more than",
    "at most",
    "up to",
    "less than",
    "fewer than",
    "maximum of",
    "max of",
    "limited to",
    "limit to",
    "under",
    "within",
    "below",
    "maximum",
    "max",
    "exactly",
    "about",
    "around",
];
/// Phrases after a format phrase.
pub(super) const SUFFIXES: &[&str] =
    &["or less", "or fewer", "maximum", "max", "at most", "only", "long", "each", "please", "format", "form"];
/// Verbs that an instruction starts with.
pub(super) const INSTRUCTION_VERBS: &str = "answer reply respond write format output return print present give put keep make use be stay say formulate \
                     phrase explain provide produce state";
/// Words after the verb: "keep your answer", "make it".
pub(super) const INSTRUCTION_OBJECTS: &str = "me us it them this that your the my all everything answer answers response responses reply replies output \
                       result results only just strictly always very as things tone and";
/// Adjectives for the style of an answer.
pub(super) const STYLES: &str = "brief concise short succinct terse precise polite friendly nice honest helpful specific detailed direct \
                      clear formal informal casual accurate simple compact professional plain minimal thorough quick creative \
                      funny truthful factual";
/// Nouns for the answer after a style: "a short answer".
pub(super) const ANSWER_NOUNS: &str = "answer answers response responses reply replies version summary";
/// Phrases before what the answer should not contain.
pub(super) const NEGATIONS: &[&str] =
    &["do not use", "do not add", "do not include", "do not write", "without", "avoid", "skip", "omit", "no"];
/// Words that may follow those.
pub(super) const EXCLUDABLE_WORDS: &str = "markdown formatting explanation explanations preamble preambles intro introduction introductions emojis \
                        emoji comments comment commentary prose fluff filler yapping html quotes apologies disclaimer \
                        disclaimers bullets extra additional any other further text words small talk and or code blocks chatter \
                        table tables";
/// Nouns; an exclusion must contain one of them.
pub(super) const EXCLUDABLE_NOUNS: &str = "markdown formatting explanation explanations preamble preambles intro introduction introductions \
                              emojis emoji comments comment commentary prose fluff filler yapping html quotes apologies \
                              disclaimer disclaimers bullets text words talk blocks chatter table tables";
/// Phrases that are removed wherever they occur.
pub(super) const PHRASES: &[&str] = &[
    "briefly",
    "concisely",
    "succinctly",
    "tersely",
    "in brief",
    "in short",
    "in detail",
    "in a nutshell",
    "step by step",
    "think step by step",
    "let us think step by step",
    "tl dr",
    "tldr",
    "eli5",
    "asap",
    "short and sweet",
    "yes or no",
    "to the point",
    "as possible",
    "as short as possible",
    "as briefly as possible",
    "simply",
    "shortly",
    "quickly",
    "thanks in advance",
    "thank you in advance",
    "many thanks in advance",
    "thank you very much in advance",
    "thank you so much in advance",
    "sorry to bother you",
    "sorry to disturb you",
    "sorry",
    "excuse me",
    "pardon me",
    "i hope you are well",
    "i hope you are doing well",
    "hope you are well",
    "hope you are doing well",
    "hope all is well",
    "i am curious",
    "just curious",
    "out of curiosity",
    "fyi",
    "btw",
    "by the way",
    "one more question",
    "another question",
    "next question",
    "one more thing",
    "quick question",
    "can i ask you something",
    "can i ask something",
    "let me ask you",
    "can i ask you a question",
    "can i ask a question",
    "may i ask",
    "i would like to know",
    "i would love to know",
    "i want to know",
    "have a nice day",
    "have a good day",
    "have a great day",
    "best regards",
    "kind regards",
    "no rush",
    "could you help me with this",
    "dear assistant",
    "dear bot",
    "dear petstore",
    "dear team",
    "dear petstore ai",
    "let us see",
];
/// Labels before a message or a sentence: "Question: ...".
pub(super) const QUESTION_LABELS: &[&str] = &[
    "question",
    "q",
    "user question",
    "user",
    "human",
    "prompt",
    "query",
    "input",
    "my question",
    "request",
    "assistant",
    "petstore",
    "petstore ai",
    "bot",
    "here is my question",
    "task",
    "instruction",
    "instructions",
];
/// Labels of the answer, alone at the end: "Answer:".
pub(super) const ANSWER_LABELS: &[&str] =
    &["answer", "a", "assistant", "response", "output", "reply", "your answer", "the answer", "ai", "bot"];
/// Words of an introduction: "please answer the following question".
pub(super) const INTRODUCTION_WORDS: &str = "answer consider read respond reply to please the this my a following next below user users question \
                      questions query request prompt message";
/// Nouns; an introduction must contain one of them.
pub(super) const QUESTION_NOUNS: &str = "question questions query request prompt message";
/// Nouns for the role that a message may assign to the model.
pub(super) const ROLES: &str = "assistant bot chatbot expert agent clerk helper employee salesperson seller ai";
/// The most words of a role: "You are a friendly and knowledgeable pet store assistant".
pub(super) const MAX_ROLE_WORDS: usize = 12;
