"""Alerts from anywhere: what other tools send becomes alerts here, whatever their format."""
