"""Everything that changes what is sold and who holds it."""

from ferriage.plans.actions.catalogue import (
    CatalogueWrong,
    add_offer,
    create_plan,
    create_service,
    set_price,
    set_routes,
    withdraw_offer,
    withdraw_plan,
)
from ferriage.plans.actions.rights import (
    Ended,
    Extension,
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
    "NothingToEnd",
    "OtherPlanHeld",
    "TermWrong",
    "WrongClass",
    "add_offer",
    "create_plan",
    "create_service",
    "end_at",
    "extend",
    "grant",
    "refuse_other_plan",
    "set_price",
    "set_routes",
    "withdraw_offer",
    "withdraw_plan",
]
