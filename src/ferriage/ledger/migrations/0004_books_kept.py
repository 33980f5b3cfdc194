"""The chain and the sums of what was posted before; what the database refuses from now on."""

from django.db import migrations

from ferriage.core import chain
from ferriage.core.triggers import append_only, per_vendor
from ferriage.ledger.chain import transaction_content
from ferriage.ledger.months import month_of

_CHUNK = 500


def chain_and_add_up(apps, _editor):
    """Give every transaction that is there its place in the chain, and add up its months."""
    transactions = apps.get_model("ledger", "LedgerTransaction").objects.order_by("pk")
    links = apps.get_model("ledger", "ChainLink")
    number, previous, made, flows = 0, chain.GENESIS, [], {}
    for row in transactions.prefetch_related("transfers__debit", "transfers__credit").iterator(
        chunk_size=_CHUNK
    ):
        number += 1
        transfers = sorted(row.transfers.all(), key=lambda transfer: transfer.pk)
        lines = [(t.debit.name, t.credit.name, t.amount_minor, t.currency) for t in transfers]
        hash_ = chain.link(previous, transaction_content(row, number, lines))
        made.append(links(number=number, transaction=row, previous_hash=previous, hash=hash_))
        previous = hash_
        if len(made) == _CHUNK:
            links.objects.bulk_create(made)
            made = []
        for transfer in transfers:
            _add(flows, month_of(row.posted_at), transfer)
    links.objects.bulk_create(made)
    month_flows = apps.get_model("ledger", "MonthFlow")
    month_flows.objects.bulk_create(
        month_flows(
            month=month,
            debit_id=debit,
            credit_id=credit,
            amount_minor=sum(amounts.values()),
            entries=len(amounts),
            first_id=min(amounts),
            last_id=max(amounts),
        )
        for (month, debit, credit), amounts in flows.items()
    )


def _add(flows, month, transfer):
    key = (month, transfer.debit_id, transfer.credit_id)
    flows.setdefault(key, {})[transfer.pk] = transfer.amount_minor


def _refuse(name, table, event, when_sqlite, when_postgresql, message):
    """Return an operation after which rows that fulfil a condition are refused."""
    trigger = f"CREATE TRIGGER {name} BEFORE {event} ON {table}"
    sqlite = f"{trigger} WHEN {when_sqlite} BEGIN SELECT RAISE(ABORT, '{message}'); END"
    function = f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {when_postgresql} THEN
                RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """
    postgresql = f"{trigger} FOR EACH ROW EXECUTE FUNCTION {name}()"
    return per_vendor(sqlite=(sqlite,), postgresql=(function, postgresql))


def _closed(column, *, is_date):
    """Return SQL for SQLite and PostgreSQL: the month of a column of NEW is closed."""
    exists = "EXISTS (SELECT 1 FROM ledger_closing WHERE until > {})"
    if not is_date:
        return exists.format(f"NEW.{column}"), exists.format(f"NEW.{column}")
    # SQLite keeps both as text; a bare day would sort before any instant of it.
    return (
        exists.format(f"NEW.{column} || ' 00:00:00'"),
        exists.format(f"(NEW.{column}::timestamp AT TIME ZONE 'UTC')"),
    )


_SEALED = "EXISTS (SELECT 1 FROM ledger_chainlink WHERE transaction_id = NEW.transaction_id)"
_NOT_NEXT = f"""
    NEW.number <> 1 + coalesce((SELECT max(number) FROM ledger_chainlink), 0)
    OR NEW.previous_hash <> coalesce(
        (SELECT hash FROM ledger_chainlink WHERE number = NEW.number - 1), '{chain.GENESIS}')
"""
_NOT_WHOLE = """
    10000 <> (SELECT coalesce(sum(share_bps), 0) FROM ledger_share WHERE agreement_id = NEW.code)
"""
_AGREED = "EXISTS (SELECT 1 FROM ledger_agreement WHERE code = NEW.agreement_id)"
_MONTH_CLOSED = "nothing is posted in a closed month"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_books")]
    operations = [
        migrations.RunPython(chain_and_add_up),
        *(
            append_only(table)
            for table in (
                "ledger_chainlink",
                "ledger_closing",
                "ledger_agreement",
                "ledger_settlement",
                "ledger_settledshare",
            )
        ),
        append_only(
            "ledger_share",
            once="agreement_id = NEW.agreement_id AND partner_id IS NULL AND NEW.partner_id IS NULL",
        ),
        _refuse(
            "ledger_transaction_month_open",
            "ledger_transaction",
            "INSERT",
            *_closed("posted_at", is_date=False),
            _MONTH_CLOSED,
        ),
        _refuse(
            "ledger_monthflow_month_open",
            "ledger_monthflow",
            "INSERT",
            *_closed("month", is_date=True),
            _MONTH_CLOSED,
        ),
        _refuse(
            "ledger_monthflow_month_stays",
            "ledger_monthflow",
            "UPDATE",
            *_closed("month", is_date=True),
            _MONTH_CLOSED,
        ),
        _refuse(
            "ledger_agreement_month_open",
            "ledger_agreement",
            "INSERT",
            *_closed("valid_from", is_date=True),
            "an agreement begins in a month that is open",
        ),
        _refuse(
            "ledger_transfer_not_sealed",
            "ledger_transfer",
            "INSERT",
            _SEALED,
            _SEALED,
            "a transaction in the chain takes no more transfers",
        ),
        _refuse(
            "ledger_chainlink_next",
            "ledger_chainlink",
            "INSERT",
            _NOT_NEXT,
            _NOT_NEXT,
            "an entry follows the last one of the chain",
        ),
        _refuse(
            "ledger_agreement_whole",
            "ledger_agreement",
            "INSERT",
            _NOT_WHOLE,
            _NOT_WHOLE,
            "the shares of an agreement sum to 10000",
        ),
        _refuse(
            "ledger_share_before_agreement",
            "ledger_share",
            "INSERT",
            _AGREED,
            _AGREED,
            "an agreement is never edited",
        ),
        _refuse(
            "ledger_payout_once",
            "ledger_payout",
            "UPDATE",
            "OLD.state <> 'queued'",
            "OLD.state <> 'queued'",
            "a payout is paid or cancelled once",
        ),
    ]
