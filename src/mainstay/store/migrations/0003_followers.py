from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("store", "0002_vault"),)

    operations = (
        migrations.CreateModel(
            name="FollowerRow",
            fields=[
                ("name", models.CharField(max_length=49, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("next_at_us", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "follower"},
        ),
    )
