from django.db import migrations

# A shop that moved to another database (format 0) stays closed.
RAISE = "UPDATE core_sitestate SET feed_format = 5 WHERE feed_format = 4"
LOWER = "UPDATE core_sitestate SET feed_format = 4 WHERE feed_format = 5"


class Migration(migrations.Migration):
    dependencies = [("core", "0003_cache")]
    operations = [migrations.RunSQL(RAISE, LOWER)]
