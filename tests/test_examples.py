"""The examples are what their README says: made by real tools, whole, small, and without a trace of a machine."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
import yaml
from examples_support import EXAMPLES, NAMES, columns, contract, each_example, events, load, rows, sqlite_rows

from gatekeeper.formats.experiment_template import ExperimentTemplate
from gatekeeper.manifest import load_manifest
from gatekeeper.settings import load_settings

MACHINE_PATHS = re.compile(rb"(?<![\w.:-])/(?:tmp|work|root|home|Users|var|srv|mnt)/|[A-Z]:\\\\")


def files() -> list[Path]:
    """Every file of the folder, what tools leave there left out."""
    leftovers = {"__pycache__", ".mypy_cache", ".ruff_cache"}
    return [each for each in EXAMPLES.rglob("*") if each.is_file() and not leftovers & set(each.parts)]


class TestFiles:
    def test_hold_no_path_of_a_machine(self) -> None:
        """No file names a folder of the machine that made it, the database's bytes included."""
        found = {str(path.relative_to(EXAMPLES)): MACHINE_PATHS.findall(path.read_bytes()) for path in files()}
        assert len(found) >= 20
        assert {name: paths for name, paths in found.items() if paths} == {}

    @pytest.mark.parametrize("path", [b" /tmp/x", b'"/work/a"', b"sqlite:////root/b", b"/home/me/c"])
    def test_the_search_for_paths_finds_them(self, path: bytes) -> None:
        """The pattern of the test above matches the paths that it is for."""
        assert MACHINE_PATHS.search(path)

    def test_are_small(self) -> None:
        """A clone is not made heavy: 3 MB in all, 1 MB for the store, 200 KB for the model."""
        assert sum(path.stat().st_size for path in files()) < 3_000_000
        assert (EXAMPLES / "tumour-classifier" / "mlflow.db").stat().st_size < 1_000_000
        assert (EXAMPLES / "tumour-classifier" / "model.json").stat().st_size < 200_000

    def test_have_unix_line_endings(self) -> None:
        """The digests are over bytes, so no text file has a carriage return."""
        texts = [path for path in files() if path.suffix != ".db"]
        assert [path.name for path in texts if b"\r" in path.read_bytes()] == []

    def test_requirements_are_pinned_with_hashes(self) -> None:
        """Every package that produce.py needs is pinned to a version and its hashes, and no registry is named."""
        text = (EXAMPLES / "requirements.txt").read_text("utf-8")
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        wanted = [line for line in (EXAMPLES / "requirements.in").read_text("utf-8").split("\n") if line[:1].isalpha()]
        assert len(packages) > 20
        assert all("==" in line and line.endswith("\\") for line in packages)
        assert set(wanted) <= {line.split("==")[0] for line in packages}
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text

    def test_settings_are_valid(self) -> None:
        """The trusted settings are read by gatekeeper itself and name the branch that the demo builds."""
        settings = load_settings(EXAMPLES / "gatekeeper.yaml")
        assert settings.evidence.base_ref == "main"
        assert set(settings.risk_tiers.candidates) == set(NAMES)
        assert settings.thresholds == {}


class TestPromotion:
    @each_example
    def test_names_its_artifacts_by_their_digest(self, name: str) -> None:
        """Every artefact in the manifest has the digest that its file has."""
        manifest, _ = load_manifest(EXAMPLES / name / "promotion.yaml")
        assert manifest.candidate.name == name
        for artifact in manifest.candidate.artifacts:
            data = (EXAMPLES / name / artifact.path).read_bytes()
            assert artifact.sha256 == hashlib.sha256(data).hexdigest()

    @each_example
    def test_is_its_template_filled_in(self, name: str) -> None:
        """The manifest was written by produce.py: it is the template with other words only where it has a $."""
        template = (EXAMPLES / name / "promotion.template.yaml").read_text("utf-8")
        pattern = re.sub(r"\\\$\w+", r"[\\w.:/-]+", re.escape(template))
        assert re.fullmatch(pattern, (EXAMPLES / name / "promotion.yaml").read_text("utf-8"))

    @each_example
    def test_is_judged_just_after_its_evidence_was_made(self, name: str) -> None:
        """The demo's clock lies after the last event and within ten minutes of it."""
        as_of = datetime.fromisoformat((EXAMPLES / name / "as_of.txt").read_text("utf-8").strip())
        last = max(datetime.fromisoformat(event["eventTime"]) for event in events(name))
        assert last < as_of < last + timedelta(minutes=10)


class TestContracts:
    @pytest.mark.parametrize(
        "path",
        [
            "tumour-classifier/contracts/tumour-features.odcs.yaml",
            "clinical-features/contracts/clinical-features.odcs.yaml",
            "clinical-features/base/contracts/clinical-features.odcs.yaml",
        ],
    )
    def test_are_valid_odcs(self, path: str, corpus: Path) -> None:
        """Each contract is valid against the official JSON Schema of ODCS v3.2.0."""
        folder = corpus / "contracts" / "odcs" / "pypi-open-data-contract-standard-3.2.0"
        schema = json.loads((folder / "odcs-json-schema-v3.2.0.json").read_text("utf-8"))
        validator = jsonschema.validators.validator_for(schema)(schema)
        document = yaml.safe_load((EXAMPLES / path).read_text("utf-8"))
        assert [error.message for error in validator.iter_errors(document)] == []
        assert list(validator.iter_errors(document | {"schema": [{}]}))

    def test_the_clinical_contract_breaks_its_readers(self) -> None:
        """One column is gone, one type is narrower, and the version says that neither is a breaking change."""
        base = contract("clinical-features/base/contracts/clinical-features.odcs.yaml")
        head = contract("clinical-features/contracts/clinical-features.odcs.yaml")
        before, after = columns(base), columns(head)
        assert before.keys() - after.keys() == {"mean_compactness"}
        changed = {name: (before[name], kind) for name, kind in after.items() if before.get(name) != kind}
        assert changed == {"mean_area": ("number", "integer")}
        assert base["version"].split(".")[0] == head["version"].split(".")[0]

    def test_the_clinical_rows_break_their_contract_three_times(self) -> None:
        """Five keys come twice, three textures are null and four radii are out of range; nothing else is wrong."""
        table = rows("clinical-features/data/features.csv")
        (schema,) = contract("clinical-features/contracts/clinical-features.odcs.yaml")["schema"]
        faults = {("sample_id", "duplicate"): len(table) - len({row["sample_id"] for row in table})}
        faults |= Counter(
            (each["name"], fault)
            for each in schema["properties"]
            for row in table
            if (fault := fault_of(row[each["name"]], each))
        )
        assert faults == {
            ("sample_id", "duplicate"): 5,
            ("mean_texture", "null"): 3,
            ("mean_radius", "above maximum"): 4,
        }

    def test_the_holdout_keeps_its_contract(self) -> None:
        """No row of the tumour classifier's holdout breaks its contract, and every column has one."""
        table = rows("tumour-classifier/data/holdout.csv")
        (schema,) = contract("tumour-classifier/contracts/tumour-features.odcs.yaml")["schema"]
        assert len(table) == len({row["sample_id"] for row in table}) == 285
        assert list(table[0]) == [each["name"] for each in schema["properties"]]
        assert not [row for row in table for each in schema["properties"] if fault_of(row[each["name"]], each)]


def fault_of(value: str, column: dict[str, Any]) -> str:
    """Name how a value breaks its column, or nothing; a second opinion beside the contracts gate."""
    options = column.get("logicalTypeOptions", {})
    if value == "":
        return "null" if column["required"] == "true" else ""
    if column["logicalType"] == "string":
        return "" if re.search(options["pattern"], value) else "pattern"
    number = int(value) if column["logicalType"] == "integer" else float(value)
    if number < float(options["minimum"]):
        return "below minimum"
    return "above maximum" if number > float(options["maximum"]) else ""


class TestLineage:
    @each_example
    def test_events_follow_the_specification(self, name: str, corpus: Path) -> None:
        """Every event and every facet is valid against OpenLineage's own JSON Schemas."""
        (spec,) = (corpus / "lineage" / "openlineage").glob("*/spec")
        schemas = [json.loads(path.read_text("utf-8")) for path in [*spec.glob("*.json"), *spec.glob("facets/*.json")]]
        registry: referencing.Registry[Any] = referencing.Registry().with_resources(
            (schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas
        )
        checked = Counter[str]()
        for value in (part for event in events(name) for part in (event, *facets_within(event))):
            url = value.get("schemaURL") or value["_schemaURL"]
            jsonschema.Draft202012Validator({"$ref": url}, registry=registry).validate(value)
            checked[url.rsplit("/", 1)[1]] += 1
        wanted = {"RunEvent", *(f"{each}Facet" for each in ("SourceCodeLocationJob", "DatasetVersionDataset"))}
        wanted |= {f"{each}Facet" for each in ("OwnershipDataset", "OwnershipJob", "SchemaDataset")}
        assert wanted <= checked.keys()
        assert checked["RunEvent"] == len(events(name))

    @each_example
    def test_events_are_delivered_at_least_once_and_not_in_order(self, name: str) -> None:
        """One COMPLETE event is there twice, byte for byte, and overtakes the RUNNING event of its run."""
        delivered = events(name)
        copies = Counter(json.dumps(event, sort_keys=True) for event in delivered)
        (twice,) = (json.loads(text) for text, count in copies.items() if count > 1)
        states = [event["eventType"] for event in delivered if event["run"] == twice["run"]]
        assert states == ["START", "COMPLETE", "RUNNING", "COMPLETE"]

    @each_example
    def test_every_run_completed_and_every_output_has_its_files_digest(self, name: str) -> None:
        """The graph ends at the candidate, and each version is the digest of the file beside the manifest."""
        complete = [event for event in events(name) if event["eventType"] == "COMPLETE"]
        assert {event["run"]["runId"] for event in complete} == {event["run"]["runId"] for event in events(name)}
        outputs = {each["name"]: each["facets"]["version"] for event in complete for each in event["outputs"]}
        manifest, _ = load_manifest(EXAMPLES / name / "promotion.yaml")
        assert {each.path for each in manifest.candidate.artifacts} <= outputs.keys()
        for path, facet in outputs.items():
            digest = hashlib.sha256((EXAMPLES / name / path).read_bytes()).hexdigest()
            assert facet["datasetVersion"] == f"sha256:{digest}"


def facets_within(value: Any) -> list[dict[str, Any]]:
    """Every facet at any depth of an event."""
    if isinstance(value, list):
        return [facet for each in value for facet in facets_within(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if "_schemaURL" in value else []
    return own + [facet for each in value.values() for facet in facets_within(each)]


class TestExperiment:
    STORE = EXAMPLES / "tumour-classifier" / "mlflow.db"

    def runs(self) -> dict[str, dict[str, float]]:
        """Metrics of the candidate's run and of the baseline's, as promotion.yaml names them."""
        manifest, _ = load_manifest(EXAMPLES / "tumour-classifier" / "promotion.yaml")
        source = manifest.evidence["experiments"]["mlflow"]
        query = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND NOT is_nan"
        return {role: dict(sqlite_rows(self.STORE, query, source[role])) for role in ("run", "baseline")}

    def test_the_template_is_valid_and_its_metrics_were_logged(self) -> None:
        """Both runs logged every metric and every count that the plan names."""
        document = yaml.safe_load((EXAMPLES / "tumour-classifier" / "experiment.yaml").read_text("utf-8"))
        template = ExperimentTemplate.model_validate_json(json.dumps(document))
        wanted = {*template.metric_names, *template.figure_names}
        assert all(wanted <= metrics.keys() for metrics in self.runs().values())

    def test_both_runs_finished_and_name_no_machine(self) -> None:
        """The store holds exactly the two runs, finished, by a team and not by a user of some machine."""
        found = sqlite_rows(self.STORE, "SELECT name, status, user_id, artifact_uri FROM runs ORDER BY name")
        assert [(name, status, user) for name, status, user, _ in found] == [
            ("baseline", "FINISHED", "team-imaging"),
            ("candidate", "FINISHED", "team-imaging"),
        ]
        places = [place for *_, place in found]
        places += [place for (place,) in sqlite_rows(self.STORE, "SELECT artifact_location FROM experiments")]
        assert all(place.startswith("mlflow-artifacts:/") for place in places)

    def test_the_runs_name_the_code_that_the_lineage_names(self) -> None:
        """MLflow's git tag and OpenLineage's facet agree on the commit."""
        tags = sqlite_rows(self.STORE, "SELECT DISTINCT value FROM tags WHERE key = 'mlflow.source.git.commit'")
        versions = {each["job"]["facets"]["sourceCodeLocation"]["version"] for each in events("tumour-classifier")}
        assert {value for (value,) in tags} == versions

    def test_the_candidates_figures_are_those_of_the_model_beside_them(self) -> None:
        """model.json, asked about every held-out sample, answers as many correctly as the run says."""
        serve = load(EXAMPLES / "tumour-classifier" / "serve.py")
        classifier = serve.Classifier(EXAMPLES / "tumour-classifier" / "model.json")
        holdout = rows("tumour-classifier/data/holdout.csv")
        answers = [
            classifier.predict({name: float(value) for name, value in row.items() if name.startswith("mean_")}) >= 0.5
            for row in holdout
        ]
        correct = sum(answer == (row["diagnosis"] == "malignant") for answer, row in zip(answers, holdout, strict=True))
        metrics = self.runs()["run"]
        assert (metrics["correct"], metrics["sample_size"]) == (correct, len(holdout))
        assert metrics["accuracy"] == pytest.approx(correct / len(holdout))

    def test_the_two_runs_differ(self) -> None:
        """The baseline was measured itself and is worse; a copy of the candidate would be equal."""
        runs = self.runs()
        assert runs["baseline"]["sample_size"] == runs["run"]["sample_size"]
        assert runs["baseline"]["correct"] < runs["run"]["correct"]


class TestServing:
    def saved(self) -> dict[str, Any]:
        """What Prometheus answered."""
        value = json.loads((EXAMPLES / "tumour-classifier" / "slo" / "prometheus.json").read_text("utf-8"))
        assert isinstance(value, dict)
        return value

    def test_every_window_was_asked_at_one_time(self) -> None:
        """All eight windows of a 30-day budget are there, each one number, evaluated at the file's time."""
        saved = self.saved()
        assert list(saved["windows"]) == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
        for answer in (*saved["windows"].values(), saved["events"]):
            assert answer["status"] == "success"
            (series,) = answer["data"]["result"]
            assert series["value"][0] == saved["time"]

    def test_the_budget_is_partly_spent(self) -> None:
        """The service failed one request in four hundred, as serve.py says, over a real number of requests."""
        saved = self.saved()
        serve = load(EXAMPLES / "tumour-classifier" / "serve.py")
        count = float(saved["events"]["data"]["result"][0]["value"][1])
        assert count >= 1000
        for answer in saved["windows"].values():
            ratio = float(answer["data"]["result"][0]["value"][1])
            assert ratio == pytest.approx(count // serve.FAIL_EVERY / count, rel=0.05)
