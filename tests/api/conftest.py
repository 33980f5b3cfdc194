"""Fixtures of the yard of gateways."""

from own_database import own_database, template_database
from yard import law, make_yard, yard

__all__ = ["law", "make_yard", "own_database", "template_database", "yard"]
