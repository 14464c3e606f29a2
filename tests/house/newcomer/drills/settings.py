"""Settings of drills."""

from __future__ import annotations

from mainstay.kernel.settings import declarable

DRILL_DAYS = declarable("drill_days", 30, "days to keep the steps of drills", "Practice", title="Steps of drills", ge=1)
