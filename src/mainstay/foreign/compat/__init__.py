"""Doors that speak the protocols of other tools, so that what reports to them or reads them needs no change."""
