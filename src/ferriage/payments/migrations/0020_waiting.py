from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0019_found_by_ref")]
    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["outcome"], name="payments_payment_outcome"),
        ),
    ]
