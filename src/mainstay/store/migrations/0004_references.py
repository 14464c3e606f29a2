from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('store', '0003_followers'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReferenceRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.CharField(db_index=True, max_length=26)),
                ('kind', models.CharField(max_length=40)),
                ('name', models.CharField(max_length=100)),
            ],
            options={
                'db_table': 'resource_reference',
                'indexes': [models.Index(fields=['kind', 'name'], name='reference_kind_name')],
            },
        ),
    ]
