from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0004_format_5")]
    operations = [
        migrations.CreateModel(
            name="WorkerRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=32, unique=True)),
                ("ran_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(null=True)),
                ("seconds", models.FloatField(default=0)),
                ("failure", models.CharField(blank=True, max_length=300)),
            ],
            options={"db_table": "core_workerrun"},
        ),
    ]
