"""The decision log: one record for every decision, written before the process exits."""
