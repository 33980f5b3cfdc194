from __future__ import annotations

from django.db import models


class Arrival(models.Model):
    """One customer of another system who came over. Append-only, so that nobody does so twice.

    It names no account, and the customer only by a keyed hash of their number in that system: who
    of them is who here stands in the operator's list and nowhere else.
    """

    source = models.CharField(max_length=40)
    customer_hash = models.CharField(max_length=64)
    run_code = models.CharField(max_length=24)
    arrived_at = models.DateTimeField()

    class Meta:
        db_table = "arrivals_arrival"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "customer_hash"], name="arrivals_arrival_once"
            )
        ]
