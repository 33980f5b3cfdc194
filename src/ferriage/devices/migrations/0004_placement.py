from collections import Counter

from django.db import migrations, models

_CHUNK = 5000


def place_registered(apps, _editor):
    """Each registered device keeps the one pool that each of its lines has had until now."""
    offers = apps.get_model("plans", "Offer").objects.filter(withdrawn_at=None)
    pools = dict(apps.get_model("fleet", "Pool").objects.values_list("line_id", "pk"))
    lines = {}
    for plan, line in offers.values_list("plan_id", "line_id").order_by("line_id"):
        lines.setdefault(plan, []).append(line)
    place = apps.get_model("devices", "DevicePool")
    placed, rows = Counter(), []
    registered = apps.get_model("devices", "Device").objects.filter(removed_at=None).order_by("pk")
    for device, plan in registered.values_list("pk", "subscription__plan_id").iterator():
        for line in lines.get(plan, ()):
            rows.append(place(device_id=device, line_id=line, pool_id=pools[line]))
            placed[pools[line]] += 1
    for pool, count in placed.items():
        kept = apps.get_model("fleet", "Pool").objects.filter(pk=pool)
        kept.update(placed=count, size_limit=max(count, 60_000))
    place.objects.bulk_create(rows, batch_size=_CHUNK)


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0003_usage"),
        ("fleet", "0011_sibling_pools"),
        ("plans", "0007_addons_and_changes"),
    ]
    operations = [
        migrations.CreateModel(
            name="DevicePool",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=models.deletion.PROTECT,
                        related_name="places",
                        to="devices.device",
                    ),
                ),
                (
                    "line",
                    models.ForeignKey(
                        on_delete=models.deletion.PROTECT, related_name="+", to="fleet.line"
                    ),
                ),
                (
                    "pool",
                    models.ForeignKey(
                        on_delete=models.deletion.PROTECT, related_name="+", to="fleet.pool"
                    ),
                ),
            ],
            options={
                "db_table": "devices_devicepool",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("device", "line"), name="devices_devicepool_once"
                    )
                ],
            },
        ),
        migrations.RunPython(place_registered, migrations.RunPython.noop),
    ]
