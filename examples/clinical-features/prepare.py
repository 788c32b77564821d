"""
Preparation of the clinical features: joins what two hospitals deliver into one table.

This is the file that the OpenLineage events name by git commit. Its join is careless on purpose. The data set is
scikit-learn's breast cancer data; the hospitals, and the three faults of delivery below, are the example's own. Each
fault is one that happens: a batch that comes twice, a device set to another unit, a laboratory that is late.
"""

from __future__ import annotations

import pandas
from sklearn.datasets import load_breast_cancer

FIRST_OF_SOUTH = 381
"""Samples below this number are from the north hospital, the others from the south."""

BATCH_SENT_TWICE = ("S0101", "S0102", "S0103", "S0104", "S0105")
IN_TENTHS = ("S0420", "S0421", "S0422", "S0423")
WITHOUT_LABORATORY = ("S0502", "S0517", "S0531")

MEASURED = ("mean_radius", "mean_area", "mean_smoothness", "mean_concavity")
TABLE = ("sample_id", "hospital", "mean_radius", "mean_texture", "mean_area", "mean_smoothness", "mean_concavity")


def load_samples() -> pandas.DataFrame:
    """Read the breast cancer data that scikit-learn ships, with an id, the hospital and the diagnosis."""
    bunch = load_breast_cancer(as_frame=True)
    samples = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    numbers = range(1, len(samples) + 1)
    samples["sample_id"] = [f"S{number:04}" for number in numbers]
    samples["hospital"] = ["north" if number < FIRST_OF_SOUTH else "south" for number in numbers]
    samples["diagnosis"] = [str(bunch.target_names[target]) for target in bunch.target]
    return samples


def deliver_measurements(samples: pandas.DataFrame) -> pandas.DataFrame:
    """What the microscopes deliver: one batch twice, and four radii in tenths of the unit."""
    measured = samples[["sample_id", "hospital", *MEASURED]].copy()
    in_tenths = measured["sample_id"].isin(IN_TENTHS)
    measured.loc[in_tenths, "mean_radius"] = (measured.loc[in_tenths, "mean_radius"] * 10).round(2)
    sent_twice = measured[measured["sample_id"].isin(BATCH_SENT_TWICE)]
    return pandas.concat([measured, sent_twice])


def deliver_laboratory(samples: pandas.DataFrame) -> pandas.DataFrame:
    """What the laboratories deliver: texture and diagnosis, three textures not yet."""
    laboratory = samples[["sample_id", "mean_texture", "diagnosis"]].copy()
    laboratory.loc[laboratory["sample_id"].isin(WITHOUT_LABORATORY), "mean_texture"] = None
    return laboratory


def join(measured: pandas.DataFrame, laboratory: pandas.DataFrame) -> pandas.DataFrame:
    """Join both deliveries into the table that is promoted; the area is rounded to whole units."""
    table = measured.merge(laboratory, on="sample_id", how="left")
    table["mean_area"] = table["mean_area"].round().astype(int)
    return table[[*TABLE, "diagnosis"]].sort_values("sample_id", kind="stable")
