"""Django's SQLite backend, which is told the house's statements often; see `base`."""
