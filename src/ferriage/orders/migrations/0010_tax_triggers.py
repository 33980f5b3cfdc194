"""What was said about tax and every document stays; numbers of a series have no gap."""

from django.db import migrations

from ferriage.core.triggers import append_only, per_vendor
from ferriage.orders.rules import rules_of_orders

_GAP = "a document takes the next number of its series"
_NOT_NEXT = (
    "NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM orders_document"
    " WHERE series_id = NEW.series_id)"
)
_STEP = "a series counts up by one and is not deleted"
_NO_STEP = (
    "NEW.taken <> OLD.taken + 1 OR NEW.party_id <> OLD.party_id OR NEW.kind <> OLD.kind"
    " OR NEW.year <> OLD.year OR NEW.id <> OLD.id"
)


def sqlite():
    yield (
        "CREATE TRIGGER orders_document_next BEFORE INSERT ON orders_document"
        f" WHEN {_NOT_NEXT} BEGIN SELECT RAISE(ABORT, '{_GAP}'); END"
    )
    yield (
        "CREATE TRIGGER orders_series_begins BEFORE INSERT ON orders_series"
        " WHEN NEW.taken <> 0 OR EXISTS (SELECT 1 FROM orders_series WHERE id = NEW.id OR"
        " (party_id = NEW.party_id AND kind = NEW.kind AND year = NEW.year))"
        f" BEGIN SELECT RAISE(ABORT, '{_STEP}'); END"
    )
    yield (
        "CREATE TRIGGER orders_series_step BEFORE UPDATE ON orders_series"
        f" WHEN {_NO_STEP} BEGIN SELECT RAISE(ABORT, '{_STEP}'); END"
    )
    yield (
        "CREATE TRIGGER orders_series_stays BEFORE DELETE ON orders_series"
        f" BEGIN SELECT RAISE(ABORT, '{_STEP}'); END"
    )


POSTGRES = (
    f"""
CREATE FUNCTION orders_document_next() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF {_NOT_NEXT} THEN RAISE EXCEPTION '{_GAP}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
""",
    "CREATE TRIGGER orders_document_next BEFORE INSERT ON orders_document"
    " FOR EACH ROW EXECUTE FUNCTION orders_document_next()",
    f"""
CREATE FUNCTION orders_series_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.taken = 0 THEN RETURN NEW; END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT ({_NO_STEP}) THEN RETURN NEW; END IF;
    END IF;
    RAISE EXCEPTION '{_STEP}' USING ERRCODE = 'check_violation';
END $$
""",
    "CREATE TRIGGER orders_series_step BEFORE INSERT OR UPDATE OR DELETE ON orders_series"
    " FOR EACH ROW EXECUTE FUNCTION orders_series_step()",
)


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_tax")]
    operations = [
        append_only("orders_taxsetup"),
        append_only("orders_taxrate"),
        append_only("orders_taxremittance"),
        append_only(
            "orders_document",
            once="kind = 'invoice' AND NEW.kind = 'invoice' AND order_id = NEW.order_id",
        ),
        append_only("orders_withdrawal"),
        per_vendor(sqlite=tuple(sqlite()), postgresql=POSTGRES),
        rules_of_orders(),
    ]
