//! The words of the language, as a table: phrases on the right, their meaning on the left.
//!
//! Phrases are separated by `|`, in lower case, as [`super::words`] leaves them; `dog*` is also its
//! plural. The longest phrase wins. A word that is neither here nor in the inventory is not
//! understood, and a question with such a word is declined: so a word belongs to [`Concept::Skip`]
//! only if no question changes its meaning by losing it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::concept::{Bound, Concept, Measure, Social, Stage, Unit};
use super::spelling::plural;
use crate::petstore::filter::Sort;
use crate::petstore::pet::{Gender, Size, Species, Status};
use crate::responder::query::Attribute;

/// The most words of a phrase.
pub(super) const LONGEST: usize = 7;

use Concept as C;

static ANIMALS: &[(Concept, &str)] = &[
    (
        C::Pets,
        "pet*|animal*|anything|something|everything|critter*|creature*|companion*|all|all of it|whole inventory|full inventory|entire inventory",
    ),
    (C::Species(Species::Dog), "dog*|doggo*|doggy|doggie*|pooch|pooches|canine*|hound*"),
    (C::Species(Species::Cat), "cat*|kitty|kitties|feline*|kitty cat*|pussycat*"),
    (C::Species(Species::Rabbit), "rabbit*|bunny|bunnies|bunny rabbit*"),
    (C::Species(Species::Bird), "bird*|birdie*|avian*"),
    (C::Species(Species::Reptile), "reptile*|reptilian*"),
    (C::Species(Species::Fish), "fish|fishes|fishies|aquarium fish"),
    (C::Species(Species::Other), "small mammal*|exotic pet*|species other"),
    (C::Young(Species::Dog), "puppy|puppies|pup*|puppy dog*|baby dog*"),
    (C::Young(Species::Cat), "kitten*|baby cat*"),
    (C::Young(Species::Rabbit), "baby rabbit*|baby bunny|baby bunnies"),
    (
        C::Kind(
            Species::Bird,
            &[
                "parrot",
                "macaw",
                "cockatoo",
                "african grey",
                "african gray",
                "parakeet",
                "parrotlet",
                "budgie",
                "budgerigar",
                "lovebird",
                "conure",
                "cockatiel",
                "amazon",
            ],
        ),
        "parrot*",
    ),
    (C::Kind(Species::Bird, &["budgie", "budgerigar", "parakeet"]), "budgie*|budgerigar*|parakeet*"),
    (C::Kind(Species::Bird, &["canary"]), "canary|canaries"),
    (C::Kind(Species::Bird, &["finch"]), "finch|finches"),
    (C::Kind(Species::Bird, &["cockatiel"]), "cockatiel*"),
    (C::Kind(Species::Bird, &["cockatoo"]), "cockatoo*"),
    (C::Kind(Species::Bird, &["lovebird"]), "lovebird*|love bird*"),
    (C::Kind(Species::Bird, &["macaw"]), "macaw*"),
    (C::Kind(Species::Reptile, &["snake", "python", "boa"]), "snake*|serpent*"),
    (
        C::Kind(Species::Reptile, &["lizard", "gecko", "dragon", "skink", "iguana", "chameleon", "anole", "monitor"]),
        "lizard*",
    ),
    (C::Kind(Species::Reptile, &["gecko"]), "gecko*|geckoes"),
    (C::Kind(Species::Reptile, &["iguana"]), "iguana*"),
    (C::Kind(Species::Reptile, &["chameleon"]), "chameleon*"),
    (C::Kind(Species::Reptile, &["turtle", "tortoise", "slider", "terrapin"]), "turtle*|terrapin*"),
    (C::Kind(Species::Reptile, &["tortoise"]), "tortoise*"),
    (C::Kind(Species::Fish, &["goldfish"]), "goldfish|goldfishes|gold fish"),
    (C::Kind(Species::Fish, &["betta"]), "betta*|betta fish|siamese fighting fish|fighting fish"),
    (C::Kind(Species::Fish, &["guppy"]), "guppy|guppies"),
    (C::Kind(Species::Fish, &["koi"]), "koi|koi fish"),
    (C::Kind(Species::Other, &["hamster"]), "hamster*"),
    (C::Kind(Species::Other, &["guinea pig"]), "guinea pig*|cavy|cavies"),
    (C::Kind(Species::Other, &["gerbil"]), "gerbil*"),
    (C::Kind(Species::Other, &["ferret"]), "ferret*"),
    (C::Kind(Species::Other, &["chinchilla"]), "chinchilla*"),
    (C::Kind(Species::Other, &["hedgehog"]), "hedgehog*"),
    (C::Kind(Species::Other, &["rat"]), "rat*"),
    (C::Kind(Species::Other, &["mouse"]), "mouse|mice"),
    (C::Kind(Species::Other, &["sugar glider"]), "sugar glider*"),
    (C::Kind(Species::Other, &["hamster", "guinea pig", "gerbil", "chinchilla", "rat", "mouse", "degu"]), "rodent*"),
    (C::Kind(Species::Dog, &["mix", "mixed breed", "mutt"]), "mutt*|mongrel*"),
    (C::Kind(Species::Dog, &["labrador", "lab"]), "labrador*|lab*"),
    (C::Kind(Species::Dog, &["german shepherd", "alsatian"]), "alsatian*|gsd"),
    (C::Kind(Species::Dog, &["dachshund"]), "dachshund*|sausage dog*|wiener dog*|weiner dog*"),
    (C::Kind(Species::Dog, &["yorkshire"]), "yorkie*"),
    (C::Kind(Species::Dog, &["golden retriever"]), "golden retriever*"),
    (C::Kind(Species::Dog, &["corgi"]), "corgi*"),
    (C::Kind(Species::Dog, &["husky"]), "husky|huskies"),
    (C::Kind(Species::Dog, &["beagle"]), "beagle*"),
    (C::Kind(Species::Dog, &["poodle"]), "poodle*"),
    (C::Kind(Species::Dog, &["bulldog"]), "bulldog*|bull dog*"),
    (C::Kind(Species::Dog, &["pug"]), "pug*"),
    (C::Kind(Species::Dog, &["chihuahua"]), "chihuahua*"),
    (C::Kind(Species::Dog, &["rottweiler"]), "rottweiler*|rottie*"),
    (C::Kind(Species::Dog, &["dalmatian"]), "dalmatian*"),
    (C::Kind(Species::Dog, &["greyhound"]), "greyhound*"),
    (C::Kind(Species::Dog, &["border collie", "collie"]), "collie*"),
    (C::Kind(Species::Dog, &["shih tzu"]), "shih tzu*|shihtzu*"),
    (C::Kind(Species::Dog, &["doberman"]), "doberman*"),
    (C::Kind(Species::Dog, &["terrier"]), "terrier*"),
    (C::Kind(Species::Dog, &["spaniel"]), "spaniel*"),
    (C::Kind(Species::Cat, &["siamese"]), "siamese"),
    (C::Kind(Species::Cat, &["persian"]), "persian*"),
    (C::Kind(Species::Cat, &["maine coon"]), "maine coon*"),
    (C::Kind(Species::Cat, &["ragdoll"]), "ragdoll*"),
    (C::Kind(Species::Cat, &["sphynx"]), "sphynx|sphynxes|sphinx"),
    (C::Kind(Species::Cat, &["bengal"]), "bengal*"),
];

static TRAITS: &[(Concept, &str)] = &[
    (C::Size(Size::Small), "small|small sized|small size|little|tiny|smallish|petite|mini|compact"),
    (C::Size(Size::Medium), "medium|medium sized|medium size|mid sized|midsize|midsized|average sized"),
    (C::Size(Size::Large), "large|large sized|large size|big|huge|giant|biggish"),
    (C::Gender(Gender::Male), "male*|boy*|he dog|masculine"),
    (C::Gender(Gender::Female), "female*|girl*|feminine|lady|ladies"),
    (C::Gender(Gender::Unknown), "unknown gender|unknown sex|gender unknown|sex unknown|of unknown gender|unsexed"),
    (
        C::Status(Status::Available),
        "available|adoptable|for sale|for adoption|up for adoption|in stock|ready for adoption|still here|looking for a home|available for adoption|unsold|unreserved|unadopted|still there|still around|not taken|not sold|not adopted|not reserved|currently available",
    ),
    (C::Status(Status::Pending), "pending|reserved|on hold|held|pending adoption|spoken for|adoption pending"),
    (
        C::Status(Status::Adopted),
        "adopted|sold|taken|already adopted|found a home|found homes|found their home|found a new home|rehomed|gone",
    ),
    (
        C::AnyStatus,
        "any status|all statuses|regardless of status|whatever status|whatever the status|available or not|of any status|every status",
    ),
    (C::Stage(Stage::Baby), "baby|babies|newborn*|infant*"),
    (C::Stage(Stage::Young), "young|younger|youngish|juvenile*|youthful"),
    (C::Stage(Stage::Adult), "adult*|grown|grown up|fully grown|full grown|mature"),
    (C::Stage(Stage::Senior), "senior*|old|older|elderly|oldie*"),
    (C::Free, "free|for free|free of charge|no cost|at no cost"),
    (C::Color(&["black"]), "black"),
    (C::Color(&["white"]), "white"),
    (C::Color(&["brown"]), "brown"),
    (C::Color(&["gray", "grey"]), "gray|grey"),
    (C::Color(&["orange", "ginger", "marmalade"]), "orange|ginger|marmalade"),
    (C::Color(&["golden", "gold"]), "golden|gold"),
    (C::Color(&["cream", "creme"]), "cream|creme|cream colored"),
    (C::Color(&["red"]), "red"),
    (C::Color(&["blue"]), "blue"),
    (C::Color(&["green"]), "green"),
    (C::Color(&["yellow"]), "yellow"),
    (C::Color(&["purple"]), "purple"),
    (C::Color(&["pink"]), "pink"),
    (C::Color(&["tan"]), "tan"),
    (C::Color(&["beige"]), "beige"),
    (C::Color(&["silver"]), "silver"),
    (C::Color(&["tabby"]), "tabby|tabbies"),
    (C::Color(&["calico"]), "calico|calicos"),
    (C::Color(&["tortoiseshell", "tortie"]), "tortoiseshell*|tortie*"),
    (C::Color(&["brindle"]), "brindle*"),
    (C::Color(&["fawn"]), "fawn"),
    (C::Color(&["chocolate"]), "chocolate"),
    (C::Color(&["spotted"]), "spotted"),
    (C::Color(&["striped"]), "striped"),
    (C::Color(&["tricolor", "tricolour"]), "tricolor|tricolour|tri color|tri colour"),
    (
        C::LikesKids,
        "like kids|likes kids|like children|likes children|love kids|loves kids|love children|loves children|fond of kids|fond of children|like toddlers|likes toddlers",
    ),
    (C::Family, "family|families"),
    (C::Kids, "kid*|child|children|toddler*|youngster*|son|daughter|kiddo*|my little one"),
    (
        C::GoodWith,
        "good with|great with|good around|great around|safe with|safe for|safe around|gentle with|ok with|okay with|fine with|suitable for|suited for|suited to|suitable around|good for|great for|fit for|friendly with|friendly to|friendly towards|friendly around|gets along with|get along with|gets on with|get on with|nice with|nice to|kind to|comfortable with|comfortable around|tolerant of|patient with|live with|be around|do well with|does well with|compatible with|trusted with|trusted around|used to|appropriate for|can handle",
    ),
    (
        C::BadWith,
        "bad with|bad for|bad around|unsafe for|unsafe with|unsafe around|unsuitable for|not recommended for|dangerous for|dangerous with|dangerous around|aggressive with|inappropriate for",
    ),
    (C::Friendly, "friendly|safe|proof"),
];

static LOGIC: &[(Concept, &str)] = &[
    (C::Not, "not|non|isnt|arent|dont|doesnt|cant|never|nor|neither|hardly|rather than|instead of|as opposed to"),
    (
        C::No,
        "no|without|except|except for|excluding|exclude|excepting|other than|apart from|aside from|besides|anything but|everything but|all but|anything except|everything except|all except|not counting|minus|none of|not any|not a|not an|do not want|do not like|do not need|do not show|do not show me|do not include|do not list|dont want|dont show|dont show me|dont include|hide|skip|leave out|avoid|ignoring|not interested in|never mind|not including|but not|but no",
    ),
    (C::And, "and|as well as|plus|along with|together with|both"),
    (C::Or, "or|either"),
    (C::But, "but|only|just|though|although|however|yet|while"),
    (
        C::Cue,
        "what about|how about|instead|same|same for|the same for|same question|same thing|now|also|too|as well|then|next|it should be|it must be|it has to be|they should be|they must be|should be|must be|has to be|have to be|it needs to be|needs to be|preferably|ideally|what if|make it|make that|i mean|i meant|actually|narrow it down to|narrow that down to|narrow it to|filter by|filter to|only show|only show me|show only|show me only|just show me|limit to|restrict to|with those|and for|and what about|and how about|or maybe",
    ),
];

static AMOUNTS: &[(Concept, &str)] = &[
    (C::One, "a|an|one|single|a single"),
    (C::AndHalf, "and a half"),
    (C::Unit(Unit::Dollar), "dollar*|usd|buck*|us dollar*|american dollar*|quid dollars"),
    (C::Unit(Unit::Foreign), "euro*|eur|pound*|gbp|yen|jpy|cad|aud|chf|franc*|rupee*|inr|peso*|cent*|quid|yuan|rmb"),
    (
        C::Unit(Unit::Year),
        "year*|yr*|yo|y|year* old|years old|yr* old|yrs old|yo old|year* of age|years of age|year olds|yr olds|yos",
    ),
    (C::Unit(Unit::Month), "month*|mo|mos|mth*|month* old|months old|mo old|month* of age|months of age|month olds"),
    (C::Unit(Unit::Fine), "week*|wk*|week* old|weeks old|day*|day* old|days old|hour*|decade*|week olds"),
    (
        C::Bound(Bound::Under, None),
        "under|below|less than|fewer than|lower than|not quite|beneath|smaller than|lesser than",
    ),
    (C::Bound(Bound::Over, None), "over|above|more than|greater than|higher than|beyond|upwards of|exceeding|past"),
    (
        C::Bound(Bound::AtMost, None),
        "at most|up to|no more than|not more than|not over|not above|maximum|max|maximum of|max of|within|not exceeding|no higher than|at or under|at or below|a maximum of|a max of|under or equal to|less than or equal to",
    ),
    (
        C::Bound(Bound::AtLeast, None),
        "at least|no less than|not less than|not under|not below|minimum|min|minimum of|min of|starting at|starting from|a minimum of|no lower than|at or over|at or above|greater than or equal to|more than or equal to",
    ),
    (C::Bound(Bound::Between, None), "between|in between|in the range of|ranging from|range of"),
    (C::Bound(Bound::Around, None), "around|approximately|roughly|approx|circa|close to|near|nearly|almost|or so"),
    (C::Bound(Bound::Exactly, None), "exactly|precisely|equal to|at exactly|exact"),
    (
        C::Bound(Bound::Under, Some(Measure::Price)),
        "cheaper than|less expensive than|costing less than|cost less than|costs less than|that cost less than|priced under|priced below|for less than|for under|cost under|costs under|costing under|price less than|price under|price below",
    ),
    (
        C::Bound(Bound::Over, Some(Measure::Price)),
        "more expensive than|pricier than|dearer than|costlier than|costing more than|cost more than|costs more than|priced over|priced above|for more than|for over|cost over|costs over|price over|price above|price more than",
    ),
    (
        C::Bound(Bound::AtMost, Some(Measure::Price)),
        "budget of|budget is|budget|a budget of|on a budget of|with a budget of|my budget is|my budget|spend|spend up to|spend at most|spend no more than|to spend|can spend|can afford|afford|no more expensive than|not more expensive than|price up to|price at most|max price|maximum price|max price of|maximum price of|cost at most|costs at most|cost no more than|for up to|for at most|priced up to|price limit|price cap|not cost more than|costing at most|costing no more than",
    ),
    (
        C::Bound(Bound::AtLeast, Some(Measure::Price)),
        "price at least|cost at least|costs at least|costing at least|min price|minimum price|min price of|minimum price of|no cheaper than|not cheaper than|not cost less than|priced from",
    ),
    (
        C::Bound(Bound::Between, Some(Measure::Price)),
        "priced between|cost between|costs between|costing between|price between",
    ),
    (
        C::Bound(Bound::Exactly, Some(Measure::Price)),
        "priced at|cost exactly|costs exactly|costing|costing exactly|at a price of|price equal to|for exactly",
    ),
    (
        C::Bound(Bound::Around, Some(Measure::Price)),
        "priced around|priced about|for around|for about|cost around|costs around|costing around|cost about|costing about|price around|price about",
    ),
    (
        C::Bound(Bound::Under, Some(Measure::Age)),
        "younger than|less old than|aged under|age under|aged below|age below|age less than",
    ),
    (C::Bound(Bound::Over, Some(Measure::Age)), "older than|aged over|age over|aged above|age above|age more than"),
    (
        C::Bound(Bound::AtMost, Some(Measure::Age)),
        "no older than|not older than|aged up to|age up to|age at most|max age|maximum age|max age of|maximum age of|at most aged",
    ),
    (
        C::Bound(Bound::AtLeast, Some(Measure::Age)),
        "no younger than|not younger than|age at least|min age|minimum age|aged at least|aged from|min age of|minimum age of",
    ),
    (C::Bound(Bound::Between, Some(Measure::Age)), "aged between|age between|ages between"),
    (C::Bound(Bound::Exactly, Some(Measure::Age)), "aged|aged exactly|age exactly|who are aged|at the age of"),
    (C::Bound(Bound::Around, Some(Measure::Age)), "aged around|aged about|age around|age about"),
    (
        C::OrLess,
        "or less|or under|or below|or lower|or fewer|or younger|or cheaper|and under|and below|and younger|tops|or so at most|at most|max|maximum|at the most|and less",
    ),
    (
        C::OrMore,
        "or more|or over|or above|or higher|or older|or greater|plus|and up|and over|and older|and above|or up|at least|minimum|min|and more|upwards|or pricier",
    ),
    (C::From, "from"),
    (C::About, "about"),
    (
        C::Purse,
        "with|i have|i have got|i only have|get for|buy for|can i get for|could i get for|can i buy for|can i adopt for|for only",
    ),
    (C::To, "to|through|until|till|thru"),
];

static ORDERS: &[(Concept, &str)] = &[
    (
        C::Extreme(Sort::PriceAscending),
        "cheapest|least expensive|lowest price|lowest priced|lowest cost|most affordable|least costly|cheapest price|most inexpensive|lowest in price|costs the least|cost the least|with the lowest price|minimum priced|lowest costing|costs least|best price|which is cheaper|which one is cheaper|who is cheaper|the cheaper one",
    ),
    (
        C::Extreme(Sort::PriceDescending),
        "most expensive|priciest|highest price|highest priced|dearest|costliest|most costly|least affordable|costs the most|cost the most|with the highest price|costs most|least cheap|highest cost|which is more expensive|which one is more expensive",
    ),
    (
        C::Extreme(Sort::AgeAscending),
        "youngest|least old|lowest age|with the lowest age|which is younger|which one is younger|who is younger|the younger one",
    ),
    (
        C::Extreme(Sort::AgeDescending),
        "oldest|eldest|least young|highest age|with the highest age|most senior|which is older|which one is older|who is older|the older one",
    ),
    (
        C::Lean(Sort::PriceAscending),
        "cheap|inexpensive|affordable|low cost|low priced|cheaply|cheapest first|cheaper|from cheapest to most expensive|cheapest to most expensive|from cheapest to priciest|low price|less expensive|more affordable|cheapest to priciest|budget friendly|lowest price first|from cheap to expensive|economical|from the cheapest to the most expensive",
    ),
    (
        C::Lean(Sort::PriceDescending),
        "expensive|pricey|costly|high priced|most expensive first|from most expensive to cheapest|most expensive to cheapest|more expensive|pricier|pricy|priciest first|highest price first",
    ),
    (
        C::Lean(Sort::AgeAscending),
        "youngest first|from youngest to oldest|youngest to oldest|by youngest|from the youngest to the oldest",
    ),
    (
        C::Lean(Sort::AgeDescending),
        "oldest first|from oldest to youngest|oldest to youngest|from the oldest to the youngest",
    ),
    (C::Lean(Sort::Name), "alphabetically|in alphabetical order|alphabetical order|alphabetical|a to z|by alphabet"),
    (C::Top, "top|the top"),
    (
        C::SortBy,
        "sorted by|sort by|ordered by|order by|in order of|sort them by|order them by|ranked by|rank by|by|sorted on|sort those by|sort it by|rank them by",
    ),
    (
        C::Direction(false),
        "ascending|low to high|lowest to highest|lowest first|in ascending order|increasing|from low to high|from lowest to highest|asc",
    ),
    (
        C::Direction(true),
        "descending|high to low|highest to lowest|highest first|in descending order|decreasing|from high to low|from highest to lowest|desc",
    ),
];

static QUESTIONS: &[(Concept, &str)] = &[
    (
        C::Ask(Attribute::Price),
        "price*|cost*|how much|how much is|how much are|how much does|how much do|how expensive|how cheap|adoption fee*|fee*|priced|price tag*|prices of",
    ),
    (C::Ask(Attribute::Age), "age*|how old|how young"),
    (C::Ask(Attribute::Size), "size*|how big|how large|how small|what size*|which size*"),
    (
        C::Ask(Attribute::Color),
        "color*|colour*|what color*|what colour*|which color*|which colour*|coloring|colouring|colored|coloured|in color|in colour|fur|coat*|furred|fur color|fur colour|coat color|coat colour",
    ),
    (C::Ask(Attribute::Gender), "gender*|sex|sexes|what gender|what sex"),
    (
        C::Ask(Attribute::Species),
        "species|what species|which species|kinds of animal*|kind of animal*|type of animal*|types of animal*|kinds of pet*|kind of pet*|type of pet*|types of pet*|sorts of animal*|sort of animal*|sorts of pet*|sort of pet*|animal type*|pet type*|categories|category|what animal is|which animal is",
    ),
    (C::Ask(Attribute::Breed), "breed*|what breed*|which breed*|kinds of breed*|variety|varieties"),
    (C::Ask(Attribute::Status), "status|availability|statuses"),
    (C::Ask(Attribute::Name), "name*|the names of"),
    (
        C::AskKind,
        "what kind of|what kinds of|what type of|what types of|what sort of|what sorts of|which kind of|which kinds of|which type of|which types of|kind of|kinds of|type of|types of|kind*|type*|sort of|sorts of",
    ),
    (
        C::HowMany,
        "how many|number of|count|count of|total number of|how many of|the number of|what number of|quantity of|tally|count up|total count of|how many are|how much of",
    ),
    (
        C::Show,
        "sort|arrange|rank|which|show|show me|list|list out|give me|find|find me|get me|who|display|see|view|browse|let me see|search|search for|looking for|look for|look at|searching for|interested in|recommend|suggest|i want|i need|we want|we need|i would like|want|need|pick|pull up|fetch|bring up|which one*|which of|enumerate|are there|is there|any|available pets|show us|what other|whose|give us|hunting for|which are|which is|who is|who are|let us see|shopping for|in the market for|can i see|what options|options|name all|list all|show all",
    ),
    (
        C::Have,
        "do you have|you have|have you got|have got|have you|you got|got|do you sell|you sell|do you offer|you offer|we have|do you currently have|do you stock|do you carry|are in your store|are in the store|are in stock|in your store|in the store|in your shop|in the shop|in your inventory|in the inventory|inventory|your inventory|catalog|catalogue|in store|currently have|have available|selection|your selection|you carry|you stock|in your pet store|in the pet store|in this store|in this shop|in your catalog|in the database|in your database|do you not have|is there not|are there not|what is there|do we have|does the store have|does the shop have|your stock|at your store|at the store",
    ),
    (
        C::Tell,
        "tell me about|tell us about|tell me more about|more about|describe|details about|details on|details of|details|more details|information about|information on|info about|info on|info|information|who is|facts about|more info about|more information about|more info|more information|tell me everything about|everything about|all about|introduce|profile|profile of|know about|learn about|know more about|learn more about|tell me a bit about|tell me a little about|tell me|read about|hear about|hear more about|tell me more",
    ),
    (
        C::Json,
        "json|as json|in json|in json format|as a json object|json object|as json object|respond in json|respond with json|reply in json|reply with json|answer in json|answer with json|return json|output json|using json|json format|in a json object|formatted as json|valid json|as valid json|as a json|return a json object|return as json|as a json array|as a json list|json array|json list|respond with a json object|reply with a json object|answer as json|answer with a json object|respond as json|reply as json|output as json|respond only with json|respond only in json|give me json|in json please",
    ),
    (C::WhatIs, "what is a|what is an|what are|what is|define|what does it mean|is a|is an"),
    (
        C::NameCue,
        "named|called|by the name of|with the name|with the name of|name is|whose name is|goes by|the name|by name|name of",
    ),
    (
        C::Those,
        "those|them|these|they|of those|of these|of them|those ones|these ones|they all|all of them|all of those|all of these|the list|their|the ones|the results|those pets|these pets|them all",
    ),
    (C::Ones, "ones"),
    (C::Other, "other|others|another|else"),
    (
        C::It(None),
        "it|its|that one|this one|that pet|this pet|that animal|this animal|the pet|that dog|this dog|that cat|this cat|the animal",
    ),
    (C::It(Some(Gender::Male)), "he|him|his"),
    (C::It(Some(Gender::Female)), "she|her|hers"),
    (C::Nth(0), "first|1st|number one|number 1|first one|1st one|the former|former"),
    (C::Nth(1), "second|2nd|number two|number 2|second one|2nd one"),
    (C::Nth(2), "third|3rd|number three|number 3|third one|3rd one"),
    (C::Nth(3), "fourth|4th|number four|number 4|fourth one|4th one"),
    (C::Nth(4), "fifth|5th|number five|number 5|fifth one|5th one"),
    (C::Nth(-1), "last|last one|final one|the latter|latter"),
];

static SOCIAL: &[(Concept, &str)] = &[
    (
        C::Social(Social::Hello),
        "hello|hi|hey|greetings|good morning|good afternoon|good evening|good day|howdy|hiya|hello there|hi there|hey there|yo yo|hello world|how are you|how are you doing|how are you today|how do you do|nice to meet you|hallo|sup",
    ),
    (
        C::Social(Social::Thanks),
        "thanks|thank you|thank you very much|thanks a lot|thank you so much|thx|ty|cheers|much appreciated|many thanks|bye|goodbye|good bye|see you",
    ),
    (
        C::Social(Social::Assent),
        "great|perfect|awesome|ok|okay|cool|good|nice|wonderful|excellent|got it|alright|right|sure|yes|well",
    ),
    (
        C::Social(Social::Help),
        "help|help me|can you help|can you help me|what can you do|what do you do|what can i ask|what can i ask you|what can you tell me|how can you help|how can you help me|what are you able to do|what are your capabilities|capabilities|your capabilities|what questions can you answer|what can you answer|what can you help with|what can you help me with|how do i use this|how do i use you|how does this work|how do you work|who are you|what are you|what do you know|what are your features|what is this|usage|what can i do|what can i do here|what should i ask|what kind of questions can i ask|what kind of questions can you answer|what can i search for|what can i filter by|how can i search|what is petstore ai|commands|what all can you do|what else can you do|introduce yourself|tell me about yourself|what can i ask about|instructions please",
    ),
];

static HARMLESS: &[(Concept, &str)] = &[(
    C::Skip,
    "i|me|my|we|us|our|you|your|yours|the|some|is|are|am|was|were|be|been|being|do|does|did|have|has|had|there|here|of|in|on|for|that|this|please|pls|plz|kindly|can|could|would|will|shall|may|might|what|currently|right now|at the moment|at present|presently|today|right away|who|still|already|exactly what|each|every|out|so|if|if possible|maybe|perhaps|really|very much|quite|store|shop|pet store|pet shop|stock|in total|total|altogether|overall|adopt|buy|purchase|take home|bring home|adopting|buying|purchasing|to adopt|to buy|get|getting|bring|own|acquire|can i get|could i get|am i able to|able to|would like|i would love|would love|love to|want to|wanting|hoping|trying|thinking of|thinking about|considering|i am|looking|look|wondering|i wonder|i was wondering|i want to know|would like to know|would like to see|do you know|let me know|let me|can you tell me|could you tell me|tell me what|tell me which|tell me how|by any chance|happen to|as|options for|option|choice|choices|in my home|at home|my home|my house|for my|cost me|come in|comes in|come|various|different|type|one of|any of|some of|list of|a list of|one that|ones that|whichever|whatever|hmm|um|uh|oh|ah|wow|folks|guys|friend|sir|madam|dear sir|such|thing|things|these days|on offer|that you have|exist|exists|i can|we can|for me|for us|to me|my family and i|registered|listed|on the list|currently listed|at all|quick question|i have a question|my question is|am looking for|will be|can be|to be|that is|that are|at|actual|sized",
)];

/// Every phrase of the table with its meaning.
pub(super) static LEXICON: LazyLock<HashMap<String, &'static Concept>> = LazyLock::new(|| {
    let mut lexicon = HashMap::new();
    for (concept, phrases) in
        [HARMLESS, ANIMALS, TRAITS, LOGIC, AMOUNTS, ORDERS, QUESTIONS, SOCIAL].into_iter().flatten()
    {
        for phrase in phrases.split('|') {
            let (phrase, plural_too) = phrase.split_once('*').map_or((phrase.to_owned(), None), |(stem, rest)| {
                (format!("{stem}{rest}"), Some(format!("{}{rest}", plural(stem))))
            });
            // The first meaning in the order of the tables stays.
            for phrase in plural_too.into_iter().chain([phrase]) {
                lexicon.entry(phrase).or_insert(concept);
            }
        }
    }
    lexicon
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_is_longer_than_the_search_for_phrases() {
        for phrase in LEXICON.keys() {
            assert!(phrase.split(' ').count() <= LONGEST, "{phrase}");
            assert_eq!(phrase.trim(), phrase);
            assert!(!phrase.is_empty());
        }
    }
}
