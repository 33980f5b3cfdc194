"""Customers of another shop come to a whole one of ours."""

from clerks import clerks, clerks_program
from own_database import own_database, template_database
from shop import make_shop, shop
from yard import law, make_yard

__all__ = [
    "clerks",
    "clerks_program",
    "law",
    "make_shop",
    "make_yard",
    "own_database",
    "shop",
    "template_database",
]
