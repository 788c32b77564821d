"""Readers of the examples that several tests share."""

from __future__ import annotations

import csv
import importlib.util
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from conftest import PROJECT

EXAMPLES = PROJECT / "examples"
NAMES = ("tumour-classifier", "clinical-features")
each_example: pytest.MarkDecorator = pytest.mark.parametrize("name", NAMES)


def load(path: Path) -> ModuleType:
    """Import a script of the examples, which are not a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def events(name: str) -> list[dict[str, Any]]:
    """The lineage events of an example, in the order in which they were delivered."""
    lines = (EXAMPLES / name / "lineage" / "events.ndjson").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def rows(path: str) -> list[dict[str, str]]:
    """The rows of a CSV file of the examples."""
    with (EXAMPLES / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contract(path: str) -> dict[str, Any]:
    """A contract of the examples, dates left as text."""
    value = yaml.load((EXAMPLES / path).read_text("utf-8"), yaml.BaseLoader)
    assert isinstance(value, dict)
    return value


def columns(document: dict[str, Any]) -> dict[str, str]:
    """Logical type by column name of a contract's only table."""
    (table,) = document["schema"]
    return {each["name"]: each["logicalType"] for each in table["properties"]}


def git(root: Path, *arguments: str) -> str:
    """Ask a repository something."""
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def sqlite_rows(path: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Ask an SQLite file, which stays as it is."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute(query, values).fetchall()
