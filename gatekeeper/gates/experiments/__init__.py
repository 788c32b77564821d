"""Experiments: samples, tests and limits."""
