//! Words for amounts and orders, conjunctions and negations.

use crate::responder::language::concept::{Comparison, Concept, Measure, Unit};
use crate::wire::resource::filter::Sort;

use Concept as C;

/// Conjunctions, negations and phrases that begin a follow-up.
pub(super) static LOGIC: &[(Concept, &str)] = &[
    (
        C::Not,
        "not|non|isnt|arent|dont|doesnt|cant|never|nor|neither|hardly|rather than|instead of|\
         as opposed to",
    ),
    (
        C::No,
        "no|without|except|except for|excluding|exclude|excepting|other than|apart from|aside from|\
         besides|anything but|everything but|all but|anything except|everything except|all except|\
         not counting|minus|none of|not any|not a|not an|do not want|do not like|do not need|do not show|\
         do not show me|do not include|do not list|dont want|dont show|dont show me|dont include|hide|\
         skip|leave out|avoid|ignoring|not interested in|never mind|not including|but not|but no",
    ),
    (C::And, "and|as well as|plus|along with|together with|both"),
    (C::Or, "or|either"),
    (C::But, "but|only|just|though|although|however|yet|while"),
    (
        C::FollowUp,
        "she wants|he wants|they want|she would like|he would like|they would like|she needs|he needs|\
         they need|she is looking for|he is looking for|what about|how about|instead|same|same for|the same for|same question|same thing|now|also|too|\
         as well|then|next|it should be|it must be|it has to be|they should be|they must be|should be|\
         must be|has to be|have to be|it needs to be|needs to be|preferably|ideally|what if|make it|\
         make that|i mean|i meant|actually|narrow it down to|narrow that down to|narrow it to|filter by|\
         filter to|only show|only show me|show only|show me only|just show me|limit to|restrict to|\
         with those|and for|and what about|and how about|or maybe",
    ),
];

/// Units, and bounds of amounts.
pub(super) static AMOUNTS: &[(Concept, &str)] = &[
    (C::Article, "a|an|one|single|a single"),
    (C::AndHalf, "and a half"),
    (C::Unit(Unit::Dollar), "dollar*|usd|buck*|us dollar*|american dollar*|quid dollars"),
    (
        C::Unit(Unit::ForeignCurrency),
        "euro*|eur|pound*|gbp|yen|jpy|cad|aud|chf|franc*|rupee*|inr|peso*|cent*|quid|yuan|rmb",
    ),
    (
        C::Unit(Unit::Year),
        "year*|yr*|yo|y|year* old|years old|yr* old|yrs old|yo old|year* of age|years of age|year olds|\
         yr olds|yos",
    ),
    (C::Unit(Unit::Month), "month*|mo|mos|mth*|month* old|months old|mo old|month* of age|months of age|month olds"),
    (C::Unit(Unit::OtherTime), "week*|wk*|week* old|weeks old|day*|day* old|days old|hour*|decade*|week olds"),
    (
        C::Comparison(Comparison::Under, None),
        "under|below|less than|fewer than|lower than|not quite|beneath|smaller than|lesser than",
    ),
    (
        C::Comparison(Comparison::Over, None),
        "over|above|more than|greater than|higher than|beyond|upwards of|exceeding|past",
    ),
    (
        C::Comparison(Comparison::AtMost, None),
        "at most|up to|no more than|not more than|not over|not above|maximum|max|maximum of|max of|within|\
         not exceeding|no higher than|at or under|at or below|a maximum of|a max of|under or equal to|\
         less than or equal to",
    ),
    (
        C::Comparison(Comparison::AtLeast, None),
        "at least|no less than|not less than|not under|not below|minimum|min|minimum of|min of|\
         starting at|starting from|a minimum of|no lower than|at or over|at or above|\
         greater than or equal to|more than or equal to",
    ),
    (C::Comparison(Comparison::Between, None), "between|in between|in the range of|ranging from|range of"),
    (
        C::Comparison(Comparison::Around, None),
        "around|approximately|roughly|approx|circa|close to|near|nearly|almost|or so",
    ),
    (C::Comparison(Comparison::Exactly, None), "exactly|precisely|equal to|at exactly|exact"),
    (
        C::Comparison(Comparison::Under, Some(Measure::Price)),
        "cheaper than|less expensive than|costing less than|cost less than|costs less than|\
         that cost less than|priced under|priced below|for less than|for under|cost under|costs under|\
         costing under|price less than|price under|price below",
    ),
    (
        C::Comparison(Comparison::Over, Some(Measure::Price)),
        "more expensive than|pricier than|dearer than|costlier than|costing more than|cost more than|\
         costs more than|priced over|priced above|for more than|for over|cost over|costs over|price over|\
         price above|price more than",
    ),
    (
        C::Comparison(Comparison::AtMost, Some(Measure::Price)),
        "budget of|budget is|budget|a budget of|on a budget of|with a budget of|my budget is|my budget|\
         spend|spend up to|spend at most|spend no more than|to spend|can spend|can afford|afford|\
         no more expensive than|not more expensive than|price up to|price at most|max price|maximum price|\
         max price of|maximum price of|cost at most|costs at most|cost no more than|for up to|for at most|\
         priced up to|price limit|price cap|not cost more than|costing at most|costing no more than",
    ),
    (
        C::Comparison(Comparison::AtLeast, Some(Measure::Price)),
        "price at least|cost at least|costs at least|costing at least|min price|minimum price|\
         min price of|minimum price of|no cheaper than|not cheaper than|not cost less than|priced from",
    ),
    (
        C::Comparison(Comparison::Between, Some(Measure::Price)),
        "priced between|cost between|costs between|costing between|price between",
    ),
    (
        C::Comparison(Comparison::Exactly, Some(Measure::Price)),
        "priced at|cost exactly|costs exactly|costing|costing exactly|at a price of|price equal to|\
         for exactly",
    ),
    (
        C::Comparison(Comparison::Around, Some(Measure::Price)),
        "priced around|priced about|for around|for about|cost around|costs around|costing around|\
         cost about|costing about|price around|price about",
    ),
    (
        C::Comparison(Comparison::Under, Some(Measure::Age)),
        "younger than|less old than|aged under|age under|aged below|age below|age less than",
    ),
    (
        C::Comparison(Comparison::Over, Some(Measure::Age)),
        "older than|aged over|age over|aged above|age above|age more than",
    ),
    (
        C::Comparison(Comparison::AtMost, Some(Measure::Age)),
        "no older than|not older than|aged up to|age up to|age at most|max age|maximum age|max age of|\
         maximum age of|at most aged",
    ),
    (
        C::Comparison(Comparison::AtLeast, Some(Measure::Age)),
        "no younger than|not younger than|age at least|min age|minimum age|aged at least|aged from|\
         min age of|minimum age of",
    ),
    (C::Comparison(Comparison::Between, Some(Measure::Age)), "aged between|age between|ages between"),
    (
        C::Comparison(Comparison::Exactly, Some(Measure::Age)),
        "aged|aged exactly|age exactly|who are aged|at the age of",
    ),
    (C::Comparison(Comparison::Around, Some(Measure::Age)), "aged around|aged about|age around|age about"),
    (
        C::OrLess,
        "or less|or under|or below|or lower|or fewer|or younger|or cheaper|and under|and below|\
         and younger|tops|or so at most|at most|max|maximum|at the most|and less",
    ),
    (
        C::OrMore,
        "or more|or over|or above|or higher|or older|or greater|plus|and up|and over|and older|and above|\
         or up|at least|minimum|min|and more|upwards|or pricier",
    ),
    (C::From, "from"),
    (C::About, "about"),
    (
        C::PriceSum,
        "with|i have|i have got|i only have|get for|buy for|can i get for|could i get for|can i buy for|\
         can i adopt for|for only",
    ),
    (C::To, "to|through|until|till|thru"),
];

/// Sort orders and superlatives.
pub(super) static ORDERS: &[(Concept, &str)] = &[
    (
        C::Superlative(Sort::PriceAscending),
        "cheapest|least expensive|lowest price|lowest priced|lowest cost|most affordable|least costly|\
         cheapest price|most inexpensive|lowest in price|costs the least|cost the least|\
         with the lowest price|minimum priced|lowest costing|costs least|best price|which is cheaper|\
         which one is cheaper|who is cheaper|the cheaper one",
    ),
    (
        C::Superlative(Sort::PriceDescending),
        "most expensive|priciest|highest price|highest priced|dearest|costliest|most costly|\
         least affordable|costs the most|cost the most|with the highest price|costs most|least cheap|\
         highest cost|which is more expensive|which one is more expensive",
    ),
    (
        C::Superlative(Sort::AgeAscending),
        "youngest|least old|lowest age|with the lowest age|which is younger|which one is younger|\
         who is younger|the younger one",
    ),
    (
        C::Superlative(Sort::AgeDescending),
        "oldest|eldest|least young|highest age|with the highest age|most senior|which is older|\
         which one is older|who is older|the older one",
    ),
    (
        C::Order(Sort::PriceAscending),
        "cheap|inexpensive|affordable|low cost|low priced|cheaply|cheapest first|cheaper|\
         from cheapest to most expensive|cheapest to most expensive|from cheapest to priciest|low price|\
         less expensive|more affordable|cheapest to priciest|budget friendly|lowest price first|\
         from cheap to expensive|economical|from the cheapest to the most expensive",
    ),
    (
        C::Order(Sort::PriceDescending),
        "expensive|pricey|costly|high priced|most expensive first|from most expensive to cheapest|\
         most expensive to cheapest|more expensive|pricier|pricy|priciest first|highest price first",
    ),
    (
        C::Order(Sort::AgeAscending),
        "youngest first|from youngest to oldest|youngest to oldest|by youngest|\
         from the youngest to the oldest",
    ),
    (
        C::Order(Sort::AgeDescending),
        "oldest first|from oldest to youngest|oldest to youngest|from the oldest to the youngest",
    ),
    (C::Order(Sort::Name), "alphabetically|in alphabetical order|alphabetical order|alphabetical|a to z|by alphabet"),
    (C::Top, "top|the top"),
    (
        C::SortBy,
        "sorted by|sort by|ordered by|order by|in order of|sort them by|order them by|ranked by|rank by|\
         by|sorted on|sort those by|sort it by|rank them by",
    ),
    (
        C::Direction(false),
        "ascending|low to high|lowest to highest|lowest first|in ascending order|increasing|\
         from low to high|from lowest to highest|asc",
    ),
    (
        C::Direction(true),
        "descending|high to low|highest to lowest|highest first|in descending order|decreasing|\
         from high to low|from highest to lowest|desc",
    ),
];
