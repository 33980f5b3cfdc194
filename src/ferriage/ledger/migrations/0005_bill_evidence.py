from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_books_kept")]
    operations = [
        migrations.AddField(
            model_name="hostingbill",
            name="evidence",
            field=models.CharField(blank=True, db_default="", max_length=64),
        )
    ]
