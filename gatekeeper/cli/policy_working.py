"""What the commands on policies share: the folder they work on and the limits of the engine."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.errors import ConfigurationError
from gatekeeper.library import LIBRARY
from gatekeeper.policy_tools.sources import Sources, read_sources
from gatekeeper.policy_tools.testing import Report
from gatekeeper.settings import EngineSettings, Settings, load_settings


def open_sources(folder: Path | None, settings: Path | None) -> tuple[Sources, EngineSettings]:
    """
    Read a folder of policies, or those in force; raises `ConfigurationError`.

    The limits are those of the settings when they name the embedded engine, else its own.
    """
    in_force = load_settings(settings)
    limits = in_force.engine_settings if in_force.engine_settings.name == "embedded" else EngineSettings()
    return read_sources(folder if folder is not None else _folder_in_force(in_force)), limits


def _folder_in_force(settings: Settings) -> Path:
    if settings.policies is None:
        return LIBRARY
    if not isinstance(settings.policies, str):
        raise ConfigurationError(
            "policies",
            "the settings take them from git or a bundle, where no folder is",
            hint="name the folder POLICIES",
        )
    return Path(settings.policies)


def run_tests(sources: Sources, limits: EngineSettings, *, threshold: float, opa: Path | None) -> Report:
    """Run the tests on every engine that is here, and judge what they say."""
    from gatekeeper.policy_tools.embedded_tests import run_embedded
    from gatekeeper.policy_tools.opa_tests import find_opa, run_opa
    from gatekeeper.policy_tools.testing import find_tests, report

    tests, binary = find_tests(sources), find_opa(opa)
    runs = [run_embedded(sources, tests, limits)]
    if binary is not None:
        runs.append(run_opa(binary, sources))
    judged = report(tests, runs, threshold)
    if binary is not None:
        return judged
    return Report(f"{judged.text}\nno opa binary is here: the tests were not run on it", judged.failures)


def write_pages(sources: Sources, folder: Path, *, check: bool) -> list[str]:
    """Write the pages about all rules and remove those of gates that are gone; with `check`, say which are stale."""
    from gatekeeper.policy_tools.documenting import document, gone_pages, stale_pages

    pages = document(sources)
    present = {path.name: path.read_bytes().decode("utf-8", "replace") for path in sorted(folder.glob("*.md"))}
    if check:
        return stale_pages(pages, present)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_bytes(text.encode())
    for name in gone_pages(pages, present):
        (folder / name).unlink()
    return []
