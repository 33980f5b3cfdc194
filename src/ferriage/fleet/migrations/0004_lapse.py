from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0003_records")]
    operations = [
        migrations.AddField(
            model_name="line",
            name="permit_floor",
            field=models.PositiveBigIntegerField(null=True),
        )
    ]
