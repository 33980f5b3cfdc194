"""Fixtures of a whole shop."""

from metered import agent, quota
from own_database import own_database, template_database
from shop import make_shop, shop
from yard import law, make_yard

__all__ = [
    "agent",
    "law",
    "make_shop",
    "make_yard",
    "own_database",
    "quota",
    "shop",
    "template_database",
]
