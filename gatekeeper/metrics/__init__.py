"""Metrics of a run in the formats that monitoring systems read."""
