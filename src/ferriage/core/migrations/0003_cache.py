"""The table of the cache, as `createcachetable` would make it: it counts failed log-ins."""

from django.db import migrations

from ferriage.core.triggers import per_vendor

_TABLE = """
CREATE TABLE core_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires {instant} NOT NULL
)
"""
_INDEX = "CREATE INDEX core_cache_expires ON core_cache (expires)"


class Migration(migrations.Migration):
    dependencies = [("core", "0002_triggers")]
    operations = [
        per_vendor(
            sqlite=(_TABLE.format(instant="datetime"), _INDEX),
            postgresql=(_TABLE.format(instant="timestamp with time zone"), _INDEX),
        )
    ]
