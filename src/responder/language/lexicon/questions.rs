//! Words for questions and references, small talk, and stop words.

use crate::responder::language::concept::{Concept, Social};
use crate::responder::query::Attribute;
use crate::wire::resource::pet::Gender;

use Concept as C;

/// Kinds of questions, and references to pets of earlier turns.
pub(super) static QUESTIONS: &[(Concept, &str)] = &[
    (
        C::Ask(Attribute::Price),
        "price*|cost*|how much|how much is|how much are|how much does|how much do|how expensive|how cheap|\
         adoption fee*|fee*|priced|price tag*|prices of",
    ),
    (C::Ask(Attribute::Age), "age*|how old|how young"),
    (C::Ask(Attribute::Size), "size*|how big|how large|how small|what size*|which size*"),
    (
        C::Ask(Attribute::Color),
        "color*|colour*|what color*|what colour*|which color*|which colour*|coloring|colouring|colored|\
         coloured|in color|in colour|fur|coat*|furred|fur color|fur colour|coat color|coat colour",
    ),
    (C::Ask(Attribute::Gender), "gender*|sex|sexes|what gender|what sex"),
    (
        C::Ask(Attribute::Species),
        "species|what species|which species|kinds of animal*|kind of animal*|type of animal*|\
         types of animal*|kinds of pet*|kind of pet*|type of pet*|types of pet*|sorts of animal*|\
         sort of animal*|sorts of pet*|sort of pet*|animal type*|pet type*|categories|category|\
         what animal is|which animal is",
    ),
    (C::Ask(Attribute::Breed), "breed*|what breed*|which breed*|kinds of breed*|variety|varieties"),
    (C::Ask(Attribute::Status), "status|availability|statuses"),
    (C::Ask(Attribute::Name), "name*|the names of"),
    (
        C::AskKind,
        "what kind of|what kinds of|what type of|what types of|what sort of|what sorts of|which kind of|\
         which kinds of|which type of|which types of|kind of|kinds of|type of|types of|kind*|type*|\
         sort of|sorts of",
    ),
    (
        C::HowMany,
        "how many|number of|count|count of|total number of|how many of|the number of|what number of|\
         quantity of|tally|count up|total count of|how many are|how much of",
    ),
    (
        C::Show,
        "sort|arrange|rank|which|show|show me|list|list out|give me|find|find me|get me|who|display|see|\
         view|browse|let me see|search|search for|looking for|look for|look at|searching for|\
         interested in|recommend|suggest|i want|i need|we want|we need|i would like|want|need|pick|\
         pull up|fetch|bring up|which one*|which of|enumerate|are there|is there|any|\
         show us|what other|whose|give us|hunting for|which are|which is|who is|who are|let us see|\
         shopping for|in the market for|can i see|what options|options|name all|list all|show all|let see|write a list|make a list|create a list",
    ),
    (
        C::Have,
        "do you have|you have|have you got|have got|have you|you got|got|do you sell|you sell|\
         do you offer|you offer|we have|do you currently have|do you stock|do you carry|are in your store|\
         are in the store|are in stock|in your store|in the store|in your shop|in the shop|\
         in your inventory|in the inventory|inventory|your inventory|catalog|catalogue|in store|\
         currently have|have available|selection|your selection|you carry|you stock|in your pet store|\
         in the pet store|in this store|in this shop|in your catalog|in the database|in your database|\
         do you not have|is there not|are there not|what is there|do we have|does the store have|\
         does the shop have|your stock|at your store|at the store",
    ),
    (
        C::Describe,
        "tell me about|tell us about|tell me more about|more about|describe|details about|details on|\
         details of|details|more details|information about|information on|info about|info on|info|\
         information|who is|facts about|more info about|more information about|more info|more information|\
         tell me everything about|everything about|all about|introduce|profile|profile of|know about|\
         learn about|know more about|learn more about|tell me a bit about|tell me a little about|tell me|\
         read about|hear about|hear more about|tell me more",
    ),
    (
        C::Json,
        "json|as json|in json|in json format|as a json object|json object|as json object|respond in json|\
         respond with json|reply in json|reply with json|answer in json|answer with json|return json|\
         output json|using json|json format|in a json object|formatted as json|valid json|as valid json|\
         as a json|return a json object|return as json|as a json array|as a json list|json array|\
         json list|respond with a json object|reply with a json object|answer as json|\
         answer with a json object|respond as json|reply as json|output as json|respond only with json|\
         respond only in json|give me json|in json please",
    ),
    (C::WhatIs, "what is a|what is an|what are|what is|define|what does it mean|is a|is an"),
    (
        C::NameCue,
        "named|called|by the name of|with the name|with the name of|name is|whose name is|goes by|\
         the name|by name|name of",
    ),
    (
        C::Those,
        "those|them|these|they|of those|of these|of them|those ones|these ones|they all|all of them|\
         all of those|all of these|the list|their|the ones|the results|those pets|these pets|them all",
    ),
    (C::Ones, "ones"),
    (C::Other, "other|others|another|else"),
    (
        C::It(None),
        "it|its|that one|this one|that pet|this pet|that animal|this animal|the pet|that dog|this dog|\
         that cat|this cat|the animal",
    ),
    (C::It(Some(Gender::Male)), "he|him|his"),
    (C::It(Some(Gender::Female)), "she|her|hers"),
    (C::Ordinal(0), "first|1st|number one|number 1|first one|1st one|the former|former"),
    (C::Ordinal(1), "second|2nd|number two|number 2|second one|2nd one"),
    (C::Ordinal(2), "third|3rd|number three|number 3|third one|3rd one"),
    (C::Ordinal(3), "fourth|4th|number four|number 4|fourth one|4th one"),
    (C::Ordinal(4), "fifth|5th|number five|number 5|fifth one|5th one"),
    (C::Ordinal(-1), "last|last one|final one|the latter|latter"),
];

/// Greetings, thanks, acknowledgements and requests for help.
pub(super) static SOCIAL: &[(Concept, &str)] = &[
    (
        C::Social(Social::Hello),
        "hello|hi|hey|greetings|good morning|good afternoon|good evening|good day|howdy|hiya|hello there|\
         hi there|hey there|yo yo|hello world|how are you|how are you doing|how are you today|\
         how do you do|nice to meet you|hallo|sup|hola|bonjour|salut|guten tag|ciao",
    ),
    (
        C::Social(Social::Thanks),
        "thanks|thank you|thank you very much|thanks a lot|thank you so much|thx|ty|cheers|\
         much appreciated|many thanks|bye|goodbye|good bye|see you",
    ),
    (
        C::Social(Social::Assent),
        "great|perfect|awesome|ok|okay|cool|good|nice|wonderful|excellent|got it|alright|right|sure|yes|\
         well",
    ),
    (
        C::Social(Social::Help),
        "help|help me|can you help|can you help me|what can you do|what do you do|what can i ask|\
         what can i ask you|what can you tell me|how can you help|how can you help me|\
         what are you able to do|what are your capabilities|capabilities|your capabilities|\
         what questions can you answer|what can you answer|what can you help with|\
         what can you help me with|how do i use this|how do i use you|how does this work|how do you work|\
         who are you|what are you|what do you know|what are your features|what is this|usage|\
         what can i do|what can i do here|what should i ask|what kind of questions can i ask|\
         what kind of questions can you answer|what can i search for|what can i filter by|\
         how can i search|what is petstore ai|commands|what all can you do|what else can you do|\
         introduce yourself|tell me about yourself|what can i ask about|instructions please",
    ),
];

/// Words that can be omitted without changing the meaning of any question.
pub(super) static STOP_WORDS: &[(Concept, &str)] = &[(
    C::StopWord,
    "i|me|my|we|us|our|you|your|yours|the|some|is|are|am|was|were|be|been|being|do|does|did|have|has|\
         had|there|here|of|in|on|for|that|this|please|pls|plz|kindly|can|could|would|will|shall|may|might|\
         what|currently|right now|at the moment|at present|presently|today|right away|who|still|already|\
         exactly what|each|every|out|so|if|if possible|maybe|perhaps|really|very much|quite|store|shop|\
         pet store|pet shop|stock|in total|total|altogether|overall|adopt|buy|purchase|take home|\
         bring home|adopting|buying|purchasing|to adopt|to buy|get|getting|bring|own|acquire|can i get|\
         could i get|am i able to|able to|would like|i would love|would love|love to|want to|wanting|\
         hoping|trying|thinking of|thinking about|considering|i am|looking|look|wondering|i wonder|\
         i was wondering|i want to know|would like to know|would like to see|do you know|let me know|\
         let me|can you tell me|could you tell me|tell me what|tell me which|tell me how|by any chance|\
         happen to|as|options for|among|amongst|out of|a home with|home with|homes with|a house with|a household with|\
         option|choice|choices|in my home|at home|my home|my house|for my|\
         cost me|come in|comes in|come|various|different|type|one of|any of|some of|list of|a list of|\
         one that|ones that|whichever|whatever|hmm|um|uh|oh|ah|wow|folks|guys|friend|sir|madam|dear sir|\
         such|thing|things|these days|on offer|that you have|exist|exists|i can|we can|for me|for us|\
         to me|my family and i|registered|listed|on the list|currently listed|at all|quick question|\
         i have a question|my question is|am looking for|will be|can be|to be|that is|that are|at|actual|\
         sized",
)];
