"""Alerts go through stages: what there is to tell of them, why they are set aside, and the last way they went.

What is open goes on as it is: a pending mute has its `next_at`; who was spared is whoever's newest message was held
back; and what maintenance covers is set aside, as its monitor would say by now.
"""

from django.db import migrations, models

_SET_ASIDE = """
UPDATE alert SET aside = 'maintenance covers it; at its end it is judged anew'
WHERE status = 'firing' AND uid <> '' AND uid IN (SELECT uid FROM monitor_state WHERE state = 'maintenance')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerting", "0003_mutes_and_notes"),
        ("watch", "0002_locations"),
    ]

    operations = [
        migrations.AddField("alertrow", "news", models.CharField(db_default="", default="", max_length=300)),
        migrations.AddField("alertrow", "aside", models.CharField(db_default="", default="", max_length=300)),
        migrations.AddField("alertrow", "way", models.JSONField(null=True)),
        migrations.RemoveIndex("alertrow", "alert_due"),
        migrations.AddIndex(
            "alertrow",
            models.Index(condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="alert_due"),
        ),
        migrations.RunSQL(_SET_ASIDE, migrations.RunSQL.noop),
    ]
