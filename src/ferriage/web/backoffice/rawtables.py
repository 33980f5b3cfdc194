"""Django's stock admin, for looking at raw tables: nothing can be added, changed or deleted.

Secrets are not shown, not even hashed: a table lists every column but those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.contrib import admin
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from ferriage.web.backoffice.access import RECORDS, guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model
    from django.http import HttpRequest

ROOMS: Final = (
    "core",
    "ledger",
    "accounts",
    "approvals",
    "fleet",
    "plans",
    "devices",
    "members",
    "orders",
    "arrivals",
    "payments",
)
SECRET: Final = frozenset(
    {
        *("number_hash", "token_hash", "code_hash", "secret_check", "lease_instance"),
        *("state_hash", "nonce", "verifier", "secrets_sealed", "content"),
        *("customer_hash", "claim_url", "pay_url"),
    }
)
"""Columns that open something, or tell whether a guess would."""


class RawTables(admin.AdminSite):
    """The admin behind the guard of the back office, with no log-in or password page of its own."""

    site_header = _("Raw tables")
    site_title = _("Raw tables")
    index_title = _("For looking only: every change has a page of its own.")
    site_url = "/staff/"
    enable_nav_sidebar = False

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Django's hook
        """Let every page of the admin pass the same guard as the others."""
        return guarded(super().admin_view(view, cacheable), RECORDS)

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the guard let this request in."""
        return hasattr(request, "staff")

    def login(self, request: HttpRequest, extra_context: Any = None) -> Any:  # noqa: ARG002 -- Django's hook
        """Send people to the one log-in page there is."""
        return redirect("account_login")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:  # noqa: ARG002 -- Django's hook
        """Send people to the page that logs them out."""
        return redirect("account_logout")

    def password_change(
        self,
        request: HttpRequest,  # noqa: ARG002 -- Django's hook
        extra_context: Any = None,  # noqa: ARG002 -- Django's hook
    ) -> Any:
        """Send people to the page that asks for the old password too."""
        return redirect("account_change_password")


if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Model]
else:
    _ModelAdmin = admin.ModelAdmin


class RawTable(_ModelAdmin):
    """One table, read only."""

    list_per_page = 50
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:  # noqa: ARG002 -- Django's hook
        """Return every column that is no secret."""
        return [field.name for field in self.opts.concrete_fields if field.name not in SECRET]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Return all that is shown."""
        return self.get_fields(request, obj)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns of the list."""
        return self.get_fields(request)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:  # noqa: ARG002 -- Django's hook
        """Link the first column only."""
        return list(list_display[:1])

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to select by a secret: answers would spell it out letter by letter."""
        column, _, _ = lookup.partition("__")
        return column not in SECRET and super().lookup_allowed(lookup, value, request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the table to whom the guard let in."""
        return hasattr(request, "staff")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's hook
        """Show the row to whom the guard let in."""
        return hasattr(request, "staff")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's hook
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's hook
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's hook
        """Refuse."""
        return False


def plural(name: str) -> str:
    """Return the plural of a table's name; Django adds an s to whatever it is."""
    if name.endswith(("s", "evidence")):
        return name
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}{'es' if name.endswith(('ch', 'sh', 'x')) else 's'}"


site = RawTables(name="rawtables")
for _room in ROOMS:
    for _model in apps.get_app_config(_room).get_models():
        # Not in each room's models: only these pages name tables, and no migration is wanted.
        _model._meta.verbose_name_plural = plural(str(_model._meta.verbose_name))  # noqa: SLF001 -- Django's own name of it
        site.register(_model, RawTable)
