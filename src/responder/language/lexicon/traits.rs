//! Words for the attributes of a pet.

use crate::responder::language::concept::{Concept, LifeStage};
use crate::wire::resource::pet::{Gender, Size, Status};

use Concept as C;

/// Size, gender, status, stage of life, color, and whether it is good with kids.
pub(super) static TRAITS: &[(Concept, &str)] = &[
    (C::Size(Size::Small), "small|small sized|small size|little|tiny|smallish|petite|mini|compact"),
    (C::Size(Size::Medium), "medium|medium sized|medium size|mid sized|midsize|midsized|average sized"),
    (C::Size(Size::Large), "large|large sized|large size|big|huge|giant|biggish"),
    (C::Gender(Gender::Male), "male*|boy*|he dog|masculine"),
    (C::Gender(Gender::Female), "female*|girl*|feminine|lady|ladies"),
    (C::Gender(Gender::Unknown), "unknown gender|unknown sex|gender unknown|sex unknown|of unknown gender|unsexed"),
    (
        C::Status(Status::Available),
        "available|adoptable|for sale|for adoption|up for adoption|in stock|ready for adoption|still here|\
         looking for a home|available for adoption|unsold|unreserved|unadopted|still there|still around|\
         not taken|not sold|not adopted|not reserved|currently available",
    ),
    (C::Status(Status::Pending), "pending|reserved|on hold|held|pending adoption|spoken for|adoption pending"),
    (
        C::Status(Status::Adopted),
        "adopted|sold|taken|already adopted|found a home|found homes|found their home|found a new home|\
         rehomed|gone",
    ),
    (
        C::AnyStatus,
        "any status|including adopted|including adopted ones|including the adopted ones|including pending|\
         including sold|including sold ones|including unavailable ones|even adopted ones|all statuses|regardless of status|whatever status|whatever the status|\
         available or not|of any status|every status",
    ),
    (C::LifeStage(LifeStage::Baby), "baby|babies|newborn*|infant*"),
    (C::LifeStage(LifeStage::Young), "young|younger|youngish|juvenile*|youthful"),
    (C::LifeStage(LifeStage::Adult), "adult*|grown|grown up|fully grown|full grown|mature"),
    (C::LifeStage(LifeStage::Senior), "senior*|old|older|elderly|oldie*"),
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
        "like kids|likes kids|like children|likes children|love kids|loves kids|love children|\
         loves children|fond of kids|fond of children|like toddlers|likes toddlers",
    ),
    (C::Family, "family|families"),
    (C::Kids, "kid*|child|children|toddler*|youngster*|son|daughter|kiddo*|my little one"),
    (
        C::GoodWith,
        "good with|great with|good around|great around|safe with|safe for|safe around|gentle with|ok with|\
         okay with|fine with|suitable for|suited for|suited to|suitable around|good for|great for|fit for|\
         friendly with|friendly to|friendly towards|friendly around|gets along with|get along with|\
         gets on with|get on with|nice with|nice to|kind to|comfortable with|comfortable around|\
         tolerant of|patient with|live with|be around|do well with|does well with|compatible with|\
         trusted with|trusted around|used to|appropriate for|can handle",
    ),
    (
        C::BadWith,
        "bad with|bad for|bad around|unsafe for|unsafe with|unsafe around|unsuitable for|\
         not recommended for|dangerous for|dangerous with|dangerous around|aggressive with|\
         inappropriate for",
    ),
    (C::Friendly, "friendly|safe|proof"),
];
