//! What a sentence says about the form of the answer, and what it says out of politeness: neither changes what is asked.
//!
//! "Briefly", "in one line", "as a table", "no markdown", "answer in French", "You are a helpful assistant.", "thanks in
//! advance" are taken out of a sentence before its words are looked up, since each of their words must mean something there.
//! Of all of them only JSON is honoured; for the others the answer is what it always is. An instruction is taken out as a
//! whole or not at all, so no word of a question is lost: "with" needs a word of form behind it, "be" one of style.

use super::words::{Shape, Word};

/// What stands before a word of form: "in a table", "using bullet points".
const PREPOSITIONS: &str = "in as with using into";
const ARTICLES: &str = "a an some";
/// What may stand between: "in two short sentences".
const MODIFIERS: &str = "one single two three few short brief simple plain markdown bulleted numbered bullet bulletpoint \
                         complete full nice formal friendly easy clear concise compact only exactly max maximum about around \
                         roughly proper valid raw well formatted formatted pretty pure strict structured detailed";
/// Words of form.
const FORMS: &str = "line lines sentence sentences word words paragraph paragraphs table tables list bullet bullets point \
                     points bulletpoint bulletpoints json markdown text plaintext csv yaml xml html prose code block blocks \
                     format form style tone letters caps uppercase lowercase character characters token tokens detail essay \
                     summary array object layman laymans terms manner way emoji emojis";
/// Languages; that of the answer is English.
const LANGUAGES: &str = "english german french spanish italian portuguese dutch polish russian chinese japanese korean arabic \
                         turkish hindi swedish danish norwegian finnish czech greek hebrew ukrainian vietnamese thai";
/// What an answer can be had so many of.
const COUNTED: &str = "line lines sentence sentences word words paragraph paragraphs character characters token tokens bullet \
                       bullets";
/// What stands before a number: "at most 50 words".
const BOUNDS: &[&str] = &[
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
/// What stands behind it.
const TAILS: &[&str] =
    &["or less", "or fewer", "maximum", "max", "at most", "only", "long", "each", "please", "format", "form"];
/// What an instruction begins with.
const LEADS: &str = "answer reply respond write format output return print present give put keep make use be stay say formulate \
                     phrase explain provide produce state";
/// What stands behind that: "keep your answer", "make it".
const OBJECTS: &str = "me us it them this that your the my all everything answer answers response responses reply replies output \
                       result results only just strictly always very as things tone and";
/// Styles.
const STYLES: &str = "brief concise short succinct terse precise polite friendly nice honest helpful specific detailed direct \
                      clear formal informal casual accurate simple compact professional plain minimal thorough quick creative \
                      funny truthful factual";
const ANSWERS: &str = "answer answers response responses reply replies version summary";
/// What there is to be none of.
const NEGATIONS: &[&str] =
    &["do not use", "do not add", "do not include", "do not write", "without", "avoid", "skip", "omit", "no"];
const UNWANTED: &str = "markdown formatting explanation explanations preamble preambles intro introduction introductions emojis \
                        emoji comments comment commentary prose fluff filler yapping html quotes apologies disclaimer \
                        disclaimers bullets extra additional any other further text words small talk and or code blocks chatter \
                        table tables";
const UNWANTED_NOUNS: &str = "markdown formatting explanation explanations preamble preambles intro introduction introductions \
                              emojis emoji comments comment commentary prose fluff filler yapping html quotes apologies \
                              disclaimer disclaimers bullets text words talk blocks chatter table tables";
/// Whole phrases, wherever they stand.
const PHRASES: &[&str] = &[
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
/// What a message, or a sentence, may be introduced by: "Question: ...".
const LABELS: &[&str] = &[
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
/// What may be left of it at the end: "Answer:".
const CUES: &[&str] =
    &["answer", "a", "assistant", "response", "output", "reply", "your answer", "the answer", "ai", "bot"];
const ASKING: &str = "answer consider read respond reply to please the this my a following next below user users question \
                      questions query request prompt message";
const ASKED: &str = "question questions query request prompt message";
/// What somebody may be told to be.
const ROLES: &str = "assistant bot chatbot expert agent clerk helper employee salesperson seller ai";
/// Most words of a role: "You are a friendly and knowledgeable pet store assistant".
const MAX_ROLE_LEN: usize = 12;

/// Takes all that out of a sentence. Whether JSON was asked for, and whether anything was taken out.
pub(super) fn strip(words: &mut Vec<Word>) -> Stripped {
    let mut stripped = Stripped::default();
    let whole = |words: &[Word], phrases: &[&str]| phrases.iter().any(|phrase| is(words, phrase) == Some(words.len()));
    if whole(words, CUES) {
        words.clear();
        return Stripped { any: true, json: false };
    }
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let begins = kept.iter().all(|word| word.shape == Shape::Comma);
        let rest = &words[at..];
        let length = longest(&[
            if begins { label(rest) } else { None },
            if begins { role(rest) } else { None },
            phrases(rest, PHRASES),
            introduction(rest),
            instruction(rest).filter(|length| begins || ends(&rest[*length..])),
        ]);
        match length {
            Some(length) => {
                stripped.any = true;
                stripped.json |= rest[..length].iter().any(|word| word.text == "json");
                at += length;
            }
            None => {
                kept.push(words[at].clone());
                at += 1;
            }
        }
    }
    if stripped.any {
        // What joined it to the rest.
        let joint =
            |word: &Word| word.shape == Shape::Comma || matches!(&*word.text, "and" | "but" | "please" | "then");
        kept.truncate(kept.iter().rposition(|word| !joint(word)).map_or(0, |last| last + 1));
        let first = kept.iter().position(|word| word.shape != Shape::Comma).unwrap_or_default();
        kept.drain(..first);
        *words = kept;
    }
    stripped
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stripped {
    pub(super) any: bool,
    pub(super) json: bool,
}

fn longest(lengths: &[Option<usize>]) -> Option<usize> {
    lengths.iter().copied().flatten().max().filter(|length| *length > 0)
}

fn among(word: Option<&Word>, list: &str) -> bool {
    word.is_some_and(|word| word.shape == Shape::Letters && list.split(' ').any(|other| other == word.text))
}

/// Whether nothing follows that the words before it could belong to: "dogs with one word names".
fn ends(rest: &[Word]) -> bool {
    rest.first().is_none_or(|word| word.shape == Shape::Comma || among(Some(word), "and but please then"))
}

/// How many words `phrase` takes, if they begin with it.
fn is(words: &[Word], phrase: &str) -> Option<usize> {
    let mut length = 0;
    for part in phrase.split(' ') {
        if words.get(length)?.text != part {
            return None;
        }
        length += 1;
    }
    Some(length)
}

fn phrases(words: &[Word], phrases: &[&str]) -> Option<usize> {
    phrases.iter().filter_map(|phrase| is(words, phrase)).max()
}

/// How many of the first words are of a list.
fn run(words: &[Word], list: &str) -> usize {
    words.iter().take_while(|word| among(Some(word), list)).count()
}

/// "Question: ...", "petstore-ai, ...", before something else.
fn label(words: &[Word]) -> Option<usize> {
    let length = phrases(words, LABELS).filter(|length| *length < words.len())?;
    // "user" and its like are also the first words of sentences about them.
    (!matches!(&*words[length].text, "is" | "are" | "of" | "and" | "for" | "to")).then_some(length)
}

/// "You are a helpful assistant", "as a pet store assistant", "act as an expert".
fn role(words: &[Word]) -> Option<usize> {
    let lead = phrases(
        words,
        &["you are", "act as", "as", "imagine you are", "pretend to be", "acting as", "suppose you are"],
    )?;
    let article = run(&words[lead..], "a an the my our") > 0;
    let end = words.iter().take(MAX_ROLE_LEN).position(|word| among(Some(word), ROLES))?;
    // Of several such words the last: "AI assistant".
    let end = end + run(&words[end..], ROLES);
    let of = phrases(
        &words[end..],
        &["for a pet store", "for a pet shop", "at a pet store", "in a pet store", "of a pet store"],
    );
    (article && end > lead).then_some(end + of.unwrap_or_default())
}

/// "Please answer the following question", "my name is Bob".
fn introduction(words: &[Word]) -> Option<usize> {
    let named = is(words, "my name is").filter(|length| words.len() > *length).map(|length| length + 1);
    let asking = run(words, ASKING);
    let verb = words[..asking].iter().any(|word| among(Some(word), "answer consider read respond reply"));
    let asks = verb && words[..asking].iter().any(|word| among(Some(word), ASKED));
    named.max(asks.then_some(asking))
}

/// An instruction about form, with or without its verb.
fn instruction(words: &[Word]) -> Option<usize> {
    let please = run(words, "please just also only kindly and");
    if !among(words.get(please), LEADS) {
        return form(words).max(form(&words[please..]).map(|length| please + length)).max(answer_of_style(words));
    }
    let lead = please + 1;
    let objects = run(&words[lead..], OBJECTS);
    // Some of those words begin what follows, too: "your answer as a table". A verb without a word of form behind it is
    // none of ours: "write", "show".
    let behind = |length: usize| {
        let rest = &words[length..];
        let all = [form(rest), styles(rest), answer_of_style(rest), content(rest), phrases(rest, PHRASES)];
        all.into_iter().flatten().max().map(|more| tails(words, length + more))
    };
    (lead..=lead + objects).filter_map(behind).chain(form(words)).chain(answer_of_style(words)).max()
}

/// "A short answer", "brief reply".
fn answer_of_style(words: &[Word]) -> Option<usize> {
    let article = run(words, "a");
    let length = article + styles(&words[article..])?;
    among(words.get(length), ANSWERS).then_some(length + 1)
}

/// "with just a number", "with the name only", behind a verb.
fn content(words: &[Word]) -> Option<usize> {
    let preposition = run(words, "with in as").min(1);
    let rest = run(&words[preposition..], "just only the a one");
    let noun = preposition + rest;
    (preposition > 0 && among(words.get(noun), "number numbers name names list answer result count"))
        .then_some(noun + 1)
}

/// "in one line", "at most 50 words", "no markdown", "use bullet points".
fn form(words: &[Word]) -> Option<usize> {
    let length = [noun_of_form(words), language(words), counted(words), unwanted(words)].into_iter().flatten().max()?;
    Some(tails(words, length))
}

fn tails(words: &[Word], mut length: usize) -> usize {
    while let Some(more) = phrases(&words[length..], TAILS) {
        length += more;
    }
    length
}

fn noun_of_form(words: &[Word]) -> Option<usize> {
    let preposition = phrases(
        words,
        &["in the form of", "in form of", "in the format of", "use", "output format", "response format", "format"],
    )
    .or_else(|| among(words.first(), PREPOSITIONS).then_some(1))?;
    let start = preposition + run(&words[preposition..], ARTICLES);
    let bound = phrases(&words[start..], BOUNDS).unwrap_or_default();
    let modified = start + bound + modifiers(&words[start + bound..]);
    let forms = run(&words[modified..], FORMS);
    if forms > 0 {
        return Some(modified + forms);
    }
    // "plain markdown": a modifier that is a form too.
    (modified > start && among(words.get(modified - 1), FORMS)).then_some(modified)
}

fn modifiers(words: &[Word]) -> usize {
    words.iter().take_while(|word| matches!(word.shape, Shape::Number(_)) || among(Some(word), MODIFIERS)).count()
}

/// "in French", at the end of what is said: a Russian Blue is a cat.
fn language(words: &[Word]) -> Option<usize> {
    let length = (is(words, "in").is_some() && among(words.get(1), LANGUAGES)).then_some(2)?;
    let ends = words.get(length).is_none_or(|word| word.shape == Shape::Comma || among(Some(word), "and please only"));
    ends.then_some(length)
}

/// "one line", "at most 50 words", "50 words or less".
fn counted(words: &[Word]) -> Option<usize> {
    let bound = phrases(words, BOUNDS).unwrap_or_default();
    let modified = bound + modifiers(&words[bound..]);
    (modified > bound && among(words.get(modified), COUNTED)).then_some(modified + 1)
}

/// "no markdown", "without any explanation or preamble".
fn unwanted(words: &[Word]) -> Option<usize> {
    let negation = phrases(words, NEGATIONS)?;
    let all = run(&words[negation..], UNWANTED);
    let last = words[negation..negation + all].iter().rposition(|word| among(Some(word), UNWANTED_NOUNS))?;
    Some(negation + last + 1)
}

/// "concise and polite".
fn styles(words: &[Word]) -> Option<usize> {
    let all = words.iter().take_while(|word| {
        among(Some(word), STYLES) || among(Some(word), "and but very") || word.shape == Shape::Comma
    });
    let all = all.count();
    words[..all].iter().rposition(|word| among(Some(word), STYLES)).map(|last| last + 1)
}
