from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0015_left_pools'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alarm',
            name='kind',
            field=models.CharField(choices=[('gateway_silent', 'gateway silent'), ('gateway_lags', 'gateway lags'), ('gateway_refuses', 'gateway refuses records'), ('foreign_changes', 'somebody changed the gateway'), ('removals_deferred', 'removals wait'), ('second_agent', 'second agent refused'), ('other_history', 'records older than a gateway'), ('slow_build', 'slow build of WireGuard'), ('metering', 'bytes do not add up'), ('unplaced', 'devices without room'), ('line_closing', 'line closes soon'), ('worker_late', 'worker late'), ('hub_away', 'hub away'), ('clock_wrong', 'clock wrong')], max_length=24),
        ),
    ]
