"""Fixtures of a closed service, and of a shop that sells to the public beside it."""

from closed_office import office
from own_database import own_database, template_database
from shop import make_shop, shop
from yard import law, make_yard, yard

__all__ = [
    "law",
    "make_shop",
    "make_yard",
    "office",
    "own_database",
    "shop",
    "template_database",
    "yard",
]
