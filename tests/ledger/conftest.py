"""A database whose rows other connections see, for tests of several writers."""

from own_database import own_database, template_database

__all__ = ["own_database", "template_database"]
