from django.db import migrations, models


def wait_for_an_endpoint(apps, _editor):
    """Gateways without one gave every customer a file that leads nowhere: they enrol again."""
    gateways = apps.get_model("fleet", "Gateway").objects
    gateways.filter(state="active", endpoint_host="").update(state="waiting")


class Migration(migrations.Migration):
    dependencies = [("fleet", "0004_lapse")]
    operations = [
        migrations.RunPython(wait_for_an_endpoint, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.CheckConstraint(
                condition=models.Q(("endpoint_host", ""), ("state", "active"), _negated=True),
                name="fleet_gateway_endpoint",
            ),
        ),
    ]
