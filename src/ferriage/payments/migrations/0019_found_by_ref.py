from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0018_rowid")]
    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["account", "provider_ref"], name="payments_payment_ref"),
        ),
    ]
