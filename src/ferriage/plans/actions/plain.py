"""What this room's actions share."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError, StaleState


class CatalogueWrong(FerriageError):
    """A service, plan, price or offer that cannot be as it was asked for."""

    slug = "catalogue-wrong"
    status = 422


def change_once(changed: int) -> None:
    """Refuse when a compare-and-set did not change its one row.

    Raises:
        StaleState: Another writer came first.
    """
    if changed != 1:
        raise StaleState(_("Somebody else changed this first."), _("Look again and repeat."))
