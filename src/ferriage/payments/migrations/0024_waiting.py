from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0023_reseller_returns")]
    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["outcome"], name="payments_payment_outcome"),
        ),
    ]
