"""Collectors of installed packages: found by the name of their gate, and never in the place of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import find_tool
from organisation_promotion import (
    DECLARED,
    THRESHOLDS,
    OwnGate,
    make_own_gate,
)

from gatekeeper.cli import scaffolding
from gatekeeper.collectors import COLLECTORS, Collector
from gatekeeper.collectors.custom import (
    DocumentCollector,
    open_document_gate,
)
from gatekeeper.collectors.registry import BUILT_IN, Collectors
from gatekeeper.errors import ConfigurationError
from gatekeeper.settings import CustomGate

SCHEMA_TEXT = scaffolding._SCHEMA


@pytest.fixture(params=["embedded", "opa"])
def promotion(request: pytest.FixtureRequest, tmp_path: Path) -> OwnGate:
    """A promotion that its own gate allows, for each engine."""
    engine = "embedded" if request.param == "embedded" else f"{{name: opa, binary: {find_tool('opa')}}}"
    return make_own_gate(tmp_path, engine=engine, apart=True)


@pytest.fixture
def one(tmp_path: Path) -> OwnGate:
    """The same on the embedded engine."""
    return make_own_gate(tmp_path)


def collector(schema: str = SCHEMA_TEXT, observed_at: str = "/measured_at") -> DocumentCollector:
    wanted = CustomGate(schema_path="s.json", max_age_seconds=60, observed_at=observed_at)
    return open_document_gate("fairness", wanted, lambda _path: schema.encode())


class TestEntryPoints:
    """Collectors of installed packages."""

    MODULE = """\
from gatekeeper.document import Document
from gatekeeper.evidence import EvidenceBody, GateThresholds


class Request(Document):
    path: str


class Body(EvidenceBody):
    document: dict[str, float]


class Thresholds(GateThresholds):
    min_value_ratio: float
    min_sample_count: int


def collect(request, context):
    ratio = float(context.workspace.read(request.path))
    return Body(observed_at=context.now, document={"value_ratio": ratio, "sample_count": 2000.0})
"""

    def _install(self, folder: Path, *points: str, name: str = "own") -> Path:
        """A package as pip leaves it: a module and its metadata."""
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text("[gatekeeper.collectors]\n" + "\n".join(points) + "\n", "utf-8")
        (folder / "own_fairness.py").write_text(self.MODULE, "utf-8")
        return folder

    @pytest.fixture
    def coded(self, promotion: OwnGate) -> OwnGate:
        """The gate with a collector in Python instead of a schema."""
        promotion.edit("gatekeeper.yaml", DECLARED, "")
        promotion.edit(THRESHOLDS, "min_value_ratio", "max_age_seconds: 60\nmin_value_ratio")
        promotion.write("evidence/fairness.json", "0.97")
        return promotion

    def test_collects_and_decides(self, coded: OwnGate, tmp_path_factory: pytest.TempPathFactory) -> None:
        """An installed collector is found by the name of its gate; its evidence is allowed, denied or a gap."""
        path = self._install(tmp_path_factory.mktemp("site"), "fairness = own_fairness")
        assert coded.check(path=path)[0] == 0
        coded.write("evidence/fairness.json", "0.1")
        assert coded.check(path=path)[0] == 1
        (coded.root / "evidence/fairness.json").unlink()
        assert coded.check(path=path)[0] == 3
        code, decision = coded.check()
        assert code == 2
        assert "unknown gate 'fairness'" in decision["problems"][0]["message"]

    @pytest.mark.parametrize(
        ("points", "says"),
        [
            (["fairness = own_fairness", "slo = own_fairness"], "it is a gate of the library"),
            (["fairness = own_absent"], "cannot be imported"),
            (["fairness = json"], "has no class Request"),
            (["fairness = leave"], "cannot be imported: SystemExit"),
        ],
    )
    def test_refuses(
        self, one: OwnGate, tmp_path_factory: pytest.TempPathFactory, points: list[str], says: str
    ) -> None:
        """A package that takes the library's name, cannot be imported, ends the run or is no collector is an error."""
        site = tmp_path_factory.mktemp("site")
        path = self._install(site, *points)
        (site / "leave.py").write_text("raise SystemExit(0)\n", "utf-8")
        one.edit("gatekeeper.yaml", DECLARED, "")
        code, decision = one.check(path=path)
        assert code == 2
        assert says in decision["problems"][0]["message"]

    def test_one_named_slo_never_serves_slo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The library's gate keeps its collector without looking at what is installed."""
        monkeypatch.syspath_prepend(str(self._install(tmp_path, "slo = own_fairness")))
        found: Any = BUILT_IN.find("slo")
        assert found.__name__ == "gatekeeper.collectors.slo"
        with pytest.raises(ConfigurationError, match="it is a gate of the library"):
            BUILT_IN.find("fairness")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (MODULE, ""),
            (MODULE.replace("class Body(EvidenceBody)", "class Body(Document)"), "no class Body below EvidenceBody"),
            (MODULE.replace("class Thresholds(", "class Limits("), "no class Thresholds below GateThresholds"),
            (MODULE.replace("class Request(Document)", "class Request"), "its Request is no model"),
            (MODULE.replace("def collect(", "def gather("), "no function collect"),
            ("def", "cannot be imported"),
            ("import no_such_module", "cannot be imported"),
            ("import sys\nsys.exit(0)", "cannot be imported"),
        ],
        ids=["good", "body", "thresholds", "request", "collect", "syntax", "import", "exit"],
    )
    def test_module_is_checked_when_it_is_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
    ) -> None:
        """What is no collector is an error that names the package; what is one is returned as it is."""
        monkeypatch.syspath_prepend(str(self._install(tmp_path, f"fairness = {tmp_path.name}_own")))
        (tmp_path / f"{tmp_path.name}_own.py").write_text(text, "utf-8")
        if says:
            with pytest.raises(ConfigurationError, match=says) as refused:
                BUILT_IN.find("fairness")
            assert refused.value.subject == "entry point fairness of own"
        else:
            assert set(Collector.__annotations__) <= set(vars(BUILT_IN.find("fairness")))

    def test_two_for_one_name_are_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which of two packages counts must not depend on the order of a search path."""
        for name in ("first", "second"):
            monkeypatch.syspath_prepend(str(self._install(tmp_path / name, "fairness = own_fairness", name=name)))
        with pytest.raises(ConfigurationError, match="names it too"):
            BUILT_IN.find("fairness")

    def test_one_beside_a_schema_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A gate has one way to its evidence."""
        monkeypatch.syspath_prepend(str(self._install(tmp_path, "fairness = own_fairness")))
        with pytest.raises(ConfigurationError, match="give it a schema"):
            Collectors({"fairness": collector()}).names()

    def test_one_in_the_working_folder_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`python -m` searches the candidate's folder, whose author could have put a package there."""
        monkeypatch.syspath_prepend(str(self._install(tmp_path, "fairness = own_fairness")))
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigurationError, match="lies in the working folder"):
            BUILT_IN.find("fairness")

    def test_a_gate_without_one_has_none(self) -> None:
        """No collector is no error by itself; the caller says what it means."""
        assert BUILT_IN.find("no-such-gate") is None
        assert set(COLLECTORS) <= set(BUILT_IN.names())
