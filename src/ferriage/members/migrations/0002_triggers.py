"""What no page, command or SQL may do to a plan of a closed service.

Must run after every migration that rebuilds one of the tables named here: on SQLite a rebuild
drops the table's triggers, and one of a table that another's trigger reads is refused.
"""

from django.db import migrations

from ferriage.core.triggers import per_vendor
from ferriage.plans.inner import SQL_FUNCTION

OFFERED = """
SELECT 1 FROM plans_offer AS offer JOIN fleet_line AS line ON line.id = offer.line_id
WHERE offer.withdrawn_at IS NULL AND {condition}
"""
ON_OWN_STAFF = OFFERED.format(
    condition="line.customer_class = 'own_staff' AND offer.plan_id = NEW.{plan}"
)
PRICED = """
SELECT 1 FROM plans_price AS price WHERE price.plan_id = {plan}
AND price.amount_minor > 0 AND price.valid_to IS NULL
"""
LISTED = "SELECT 1 FROM plans_plan AS plan WHERE plan.id = {plan} AND {text} <> '[]'"

FREE = "the price of a plan for own staff is 0"
INNER = "inner networks are for closed services"


def rules(text):
    """Return table, event, condition under which a row is refused, and why."""
    routes = text.format(row="plan")
    new_line = "SELECT 1 FROM fleet_line AS line WHERE line.id = NEW.line_id"
    of_line = "SELECT offer.plan_id FROM plans_offer AS offer WHERE offer.withdrawn_at IS NULL"
    of_line += " AND offer.line_id = NEW.id"
    priced = f"""
        SELECT 1 FROM plans_price AS price WHERE price.plan_id IN ({of_line})
        AND price.amount_minor > 0 AND price.valid_to IS NULL
    """
    listed = f"""
        SELECT 1 FROM plans_plan AS plan WHERE plan.id IN ({of_line}) AND {routes} <> '[]'
    """
    on_public = OFFERED.format(
        condition="line.customer_class = 'public' AND offer.plan_id = NEW.id"
    )
    return (
        (
            "plans_price",
            "amount_minor, plan_id, valid_to",
            f"NEW.amount_minor > 0 AND NEW.valid_to IS NULL"
            f" AND EXISTS ({ON_OWN_STAFF.format(plan='plan_id')})",
            FREE,
        ),
        (
            "plans_offer",
            "plan_id, line_id, withdrawn_at",
            f"NEW.withdrawn_at IS NULL AND EXISTS ({new_line} AND line.customer_class = 'own_staff')"
            f" AND EXISTS ({PRICED.format(plan='NEW.plan_id')})",
            FREE,
        ),
        (
            "plans_offer",
            "plan_id, line_id, withdrawn_at",
            f"NEW.withdrawn_at IS NULL AND EXISTS ({new_line} AND line.customer_class = 'public')"
            f" AND EXISTS ({LISTED.format(plan='NEW.plan_id', text=routes)})",
            INNER,
        ),
        (
            "plans_plan",
            "routes",
            f"{text.format(row='NEW')} <> '[]' AND EXISTS ({on_public})",
            INNER,
        ),
        (
            "fleet_line",
            "customer_class",
            f"NEW.customer_class = 'own_staff' AND EXISTS ({priced})",
            FREE,
        ),
        (
            "fleet_line",
            "customer_class",
            f"NEW.customer_class = 'public' AND EXISTS ({listed})",
            INNER,
        ),
    )


def sqlite():
    for number, (table, columns, condition, why) in enumerate(rules("{row}.routes")):
        for event in ("INSERT", f"UPDATE OF {columns}"):
            name = f"{table}_closed_{number}_{event.split()[0].lower()}"
            yield (
                f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
            )
    own = "(SELECT inner4 FROM core_sitestate), (SELECT inner6 FROM core_sitestate)"
    for event in ("INSERT", "UPDATE OF routes"):
        yield (
            f"CREATE TRIGGER plans_plan_routes_{event.split()[0].lower()} "
            f"BEFORE {event} ON plans_plan "
            f"WHEN NEW.routes <> '[]' AND {SQL_FUNCTION}(NEW.routes, {own}) <> '' "
            "BEGIN SELECT RAISE(ABORT, 'not a list of inner networks'); END"
        )


def postgresql():
    for number, (table, columns, condition, why) in enumerate(rules("{row}.routes::text")):
        name = f"ferriage_{table}_closed_{number}"
        yield (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN RAISE EXCEPTION '{why}' USING ERRCODE = 'check_violation'; "
            "END IF; RETURN NEW; END $$"
        )
        yield (
            f"CREATE TRIGGER {table}_closed_{number} BEFORE INSERT OR UPDATE OF {columns} "
            f"ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
    yield POSTGRES_ROUTES
    yield (
        "CREATE TRIGGER plans_plan_routes BEFORE INSERT OR UPDATE OF routes ON plans_plan "
        "FOR EACH ROW EXECUTE FUNCTION ferriage_plan_routes()"
    )


# As `ferriage.wire.check_routes`, which every record passes besides, before it reaches a gateway.
POSTGRES_ROUTES = """
CREATE FUNCTION ferriage_plan_routes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    nobodys inet[] := ARRAY['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4',
        '240.0.0.0/4', '::/96', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16',
        'fe80::/10', 'fec0::/10', 'ff00::/8'];
    others inet[];
    entry text;
    network cidr;
BEGIN
    IF jsonb_typeof(NEW.routes) <> 'array' OR jsonb_array_length(NEW.routes) > 16 THEN
        RAISE EXCEPTION 'not a list of inner networks' USING ERRCODE = 'check_violation';
    END IF;
    SELECT nobodys || array_agg(own) INTO others FROM (
        SELECT inner4::inet AS own FROM core_sitestate
        UNION ALL SELECT inner6::inet FROM core_sitestate
    ) AS tunnel;
    FOR entry IN SELECT jsonb_array_elements_text(NEW.routes) LOOP
        network := entry::cidr;
        IF network IS NULL OR network::text <> entry
        OR masklen(network) < (CASE family(network) WHEN 4 THEN 8 ELSE 16 END)
        OR EXISTS (SELECT 1 FROM unnest(others) AS other WHERE other && network::inet) THEN
            RAISE EXCEPTION 'not a list of inner networks' USING ERRCODE = 'check_violation';
        END IF;
        others := others || network::inet;
    END LOOP;
    RETURN NEW;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION 'not a list of inner networks' USING ERRCODE = 'check_violation';
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0001_initial"),
        ("plans", "0004_routes"),
        ("fleet", "0005_endpoint"),
        ("core", "0003_cache"),
    ]
    operations = [per_vendor(sqlite=tuple(sqlite()), postgresql=tuple(postgresql()))]
