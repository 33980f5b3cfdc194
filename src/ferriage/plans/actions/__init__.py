"""Everything that changes what is sold and who holds it."""

from ferriage.plans.actions.catalogue import (
    CatalogueWrong,
    add_offer,
    create_plan,
    create_service,
    set_price,
    withdraw_offer,
    withdraw_plan,
)
from ferriage.plans.actions.lapses import LapseOver, choose_to_wait, freeze, move, over, thaw
from ferriage.plans.actions.rights import (
    Ended,
    Extension,
    Frozen,
    NothingToEnd,
    OtherPlanHeld,
    TermWrong,
    WrongClass,
    end_at,
    extend,
    grant,
    refuse_other_plan,
)

__all__ = [
    "CatalogueWrong",
    "Ended",
    "Extension",
    "Frozen",
    "LapseOver",
    "NothingToEnd",
    "OtherPlanHeld",
    "TermWrong",
    "WrongClass",
    "add_offer",
    "choose_to_wait",
    "create_plan",
    "create_service",
    "end_at",
    "extend",
    "freeze",
    "grant",
    "move",
    "over",
    "refuse_other_plan",
    "set_price",
    "thaw",
    "withdraw_offer",
    "withdraw_plan",
]
