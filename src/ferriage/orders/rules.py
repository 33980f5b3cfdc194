"""What the database itself refuses of orders, in SQL; migrations write it.

SQLite drops the triggers of a table that Django rebuilds, so every migration that adds a
constraint to `orders_order`, or a column that is not null, does it within `rebuilding()`, which
keeps those of `rows_stay()` too, or ends with `rules_of_orders()` and says that again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations import RunPython

_OWN_STAFF: Final = "the price of an order for own staff is 0"
_REFUSED: Final = """
NEW.amount_minor > 0 AND (
    EXISTS (
        SELECT 1 FROM plans_offer AS offer JOIN fleet_line AS line ON line.id = offer.line_id
        WHERE offer.plan_id = NEW.plan_id AND offer.withdrawn_at IS NULL
        AND line.customer_class = 'own_staff'
    ) OR EXISTS (
        SELECT 1 FROM accounts_account AS account
        WHERE account.id = NEW.account_id AND account.account_class = 'own_staff'
    )
)
"""
_COLUMNS: Final = "amount_minor, plan_id, account_id"


_FROZEN: Final = "an order keeps its amounts once it is not open"
_AMOUNTS: Final = "list_minor, discount_minor, amount_minor, credit_minor, currency"
_CHANGED: Final = """
OLD.state <> 'open' AND (
    NEW.list_minor <> OLD.list_minor OR NEW.discount_minor <> OLD.discount_minor
    OR NEW.amount_minor <> OLD.amount_minor OR NEW.credit_minor <> OLD.credit_minor
    OR NEW.currency <> OLD.currency
)
"""
POSTGRES_AMOUNTS: Final = (
    (
        f"CREATE FUNCTION ferriage_order_amounts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {_CHANGED} THEN "
        f"RAISE EXCEPTION '{_FROZEN}' USING ERRCODE = 'check_violation'; END IF; "
        "RETURN NEW; END $$"
    ),
    (
        f"CREATE TRIGGER orders_order_amounts_kept BEFORE UPDATE OF {_AMOUNTS} ON orders_order "
        "FOR EACH ROW EXECUTE FUNCTION ferriage_order_amounts()"
    ),
)


_TARGETS: Final = "extends_id, beside, with_term_id, value_minor"
_NOT_OPEN_SAME: Final = """
OLD.state <> 'open' AND NEW.value_minor <> OLD.value_minor
OR COALESCE(NEW.extends_id, 0) <> COALESCE(OLD.extends_id, 0) OR NEW.beside <> OLD.beside
OR COALESCE(NEW.with_term_id, 0) <> COALESCE(OLD.with_term_id, 0)
"""
_PINNED: Final = "an order keeps what it is for"
POSTGRES_TARGETS: Final = (
    (
        f"CREATE FUNCTION ferriage_order_targets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {_NOT_OPEN_SAME} THEN "
        f"RAISE EXCEPTION '{_PINNED}' USING ERRCODE = 'check_violation'; END IF; "
        "RETURN NEW; END $$"
    ),
    (
        f"CREATE TRIGGER orders_order_targets_kept BEFORE UPDATE OF {_TARGETS} ON orders_order "
        "FOR EACH ROW EXECUTE FUNCTION ferriage_order_targets()"
    ),
)


_QUOTA: Final = "quota_bytes"
_OTHER_QUOTA: Final = "COALESCE(NEW.quota_bytes, 0) <> COALESCE(OLD.quota_bytes, 0)"
POSTGRES_QUOTA: Final = (
    (
        f"CREATE FUNCTION ferriage_order_quota() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {_OTHER_QUOTA} THEN "
        f"RAISE EXCEPTION '{_PINNED}' USING ERRCODE = 'check_violation'; END IF; "
        "RETURN NEW; END $$"
    ),
    (
        f"CREATE TRIGGER orders_order_quota_kept BEFORE UPDATE OF {_QUOTA} ON orders_order "
        "FOR EACH ROW EXECUTE FUNCTION ferriage_order_quota()"
    ),
)


def rules_of_orders() -> RunPython:
    """Return an operation that writes the triggers of `orders_order` again on SQLite.

    Those whose columns a later migration adds are left to that one. PostgreSQL keeps those of
    `0004_closed_services`, `0006_amounts`, `0008_subscriptions` and `0012_packs`.
    """
    rules = [
        ("own_staff_insert", "INSERT", _REFUSED, _OWN_STAFF),
        ("own_staff_update", f"UPDATE OF {_COLUMNS}", _REFUSED, _OWN_STAFF),
        ("amounts_kept", f"UPDATE OF {_AMOUNTS}", _CHANGED, _FROZEN),
        ("targets_kept", f"UPDATE OF {_TARGETS}", _NOT_OPEN_SAME, _PINNED),
        ("quota_kept", f"UPDATE OF {_QUOTA}", _OTHER_QUOTA, _PINNED),
    ]

    def forwards(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor != "sqlite":
            return
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pragma_table_info('orders_order')")
            columns = {name for (name,) in cursor.fetchall()}
        for name, event, condition, why in rules:
            editor.execute(f"DROP TRIGGER IF EXISTS orders_order_{name}", params=None)
            named = event.removeprefix("UPDATE OF ").split(", ")
            if event == "INSERT" or columns.issuperset(named):
                editor.execute(
                    f"CREATE TRIGGER orders_order_{name} BEFORE {event} ON orders_order "
                    f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{why}'); END",
                    params=None,
                )

    return migrations.RunPython(forwards)
