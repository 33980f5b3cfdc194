import django.db.models.deletion
from django.db import migrations, models

from ferriage.core.triggers import append_only


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='PlaceEvidence',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('self_declared', "the customer's own word"), ('payment_country', 'the country that the payment came from'), ('residence_paper', 'a paper of residence that staff saw'), ('local_bill', 'a bill of water, power or rent that staff saw'), ('telephone', 'a telephone number of the country that staff called')], max_length=16)),
                ('place', models.CharField(max_length=6)),
                ('noted_by', models.CharField(max_length=150)),
                ('noted_at', models.DateTimeField()),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='place_evidence', to='orders.order')),
            ],
            options={
                'db_table': 'orders_placeevidence',
                'constraints': [models.UniqueConstraint(fields=('order', 'kind', 'place'), name='orders_placeevidence_once')],
            },
        ),
        append_only("orders_placeevidence"),
    ]
