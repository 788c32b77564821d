"""The registry of formats."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from report.decisions import ALL, allowed, denied, make_decision

from gatekeeper.decision import Problem
from gatekeeper.errors import ConfigurationError
from gatekeeper.report import RENDERERS, render
from gatekeeper.settings import FORMATS


def test_the_settings_know_every_format():
    """What the settings and the command line accept is what can be rendered."""
    assert tuple(RENDERERS) == FORMATS


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_is_its_module(name):
    """The registry renders with the module that it names, and the result is text that ends with a line end."""
    module = importlib.import_module(RENDERERS[name])
    assert render(name, ALL["several"]) == module.render(ALL["several"])
    assert render(name, ALL["several"]).endswith("\n")


def test_the_text_report_takes_colour_and_width():
    """Colour and width reach the text report and no other."""
    assert "\x1b[" in render("text", [allowed()], colour=True)
    assert max(map(len, render("text", [denied()], width=60).splitlines())) <= 60
    assert render("json", [denied()], colour=True, width=60) == render("json", [denied()])


def test_an_unknown_format_is_a_configuration_error():
    """A misspelt format names those there are."""
    with pytest.raises(ConfigurationError, match="no such report") as caught:
        render("markdwon", [])
    assert "markdown" in caught.value.hint


@pytest.mark.parametrize("name", RENDERERS)
def test_renderers_are_pure(name):
    """The same decisions give the same text, and the decisions are as before."""
    before = [each.model_dump_json() for each in ALL["several"]]
    assert render(name, ALL["several"]) == render(name, ALL["several"])
    assert [each.model_dump_json() for each in ALL["several"]] == before


@pytest.mark.parametrize("name", RENDERERS)
def test_shows_a_path_that_is_not_utf8(name):
    """A path from the command line whose bytes are no UTF-8 still gives a report that can be written."""
    problem = Problem(code="configuration", exit_code=2, subject="\udcff.yaml", message="cannot be read")
    shown = render(name, [make_decision(problems=(problem,), promotion=None, subject="\udcff.yaml")])
    assert shown.encode()
    assert ("udcff.yaml" in shown) is (name != "openmetrics")


def test_formats_are_imported_when_asked_for():
    """The registry itself imports no format, and one format imports no other."""
    code = (
        "import sys; from gatekeeper.report import render, RENDERERS;"
        "loaded = lambda: {each for each in RENDERERS.values() if each in sys.modules};"
        "assert not loaded(), loaded();"
        "render('json', []); assert loaded() == {'gatekeeper.report.json'}, loaded()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
