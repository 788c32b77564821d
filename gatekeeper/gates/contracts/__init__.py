"""Contracts: whether a change is compatible, and whether data conforms."""
