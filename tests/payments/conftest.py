"""Fixtures of a whole shop and its counter."""

from clerks import clerks, clerks_program
from counter import counter
from own_database import own_database, template_database
from shop import make_shop, shop
from till import till
from yard import law, make_yard

__all__ = [
    "clerks",
    "clerks_program",
    "counter",
    "law",
    "make_shop",
    "make_yard",
    "own_database",
    "shop",
    "template_database",
    "till",
]
