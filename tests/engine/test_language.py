"""Policies that the lint lets through never get two different answers, whatever they are."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

from engine.engines import FAILED, answer, both
from engine.making import GATE, policy_set
from engine.random_policies import PolicyMaker

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import ConfigurationError
from gatekeeper.settings import EngineSettings

GATES, INPUTS = 260, 8


def compiling(opa: str, folder: Path, texts: dict[str, str]) -> list[str]:
    """The texts that both engines compile."""
    engine = EmbeddedEngine(EngineSettings())
    for name, text in texts.items():
        try:
            engine.load(policy_set(text))
        except ConfigurationError:
            continue
        (folder / f"{name}.rego").write_text(text, "utf-8")
    engine.close()
    done = subprocess.run(
        [opa, "check", "--max-errors", "0", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    refused = set(re.findall(r"(p[0-9]+)\.rego:[0-9]+: rego_", done.stderr))
    return [text for name, text in texts.items() if (folder / f"{name}.rego").exists() and name not in refused]


def test_random_policies_never_get_two_different_answers(opa: str, tmp_path: Path) -> None:
    """
    Either engine may refuse a policy or fail on an input; where both answer, they answer the same.

    This found every rule of negation.py and heads.py: regorus loses findings, and negates what OPA does not.
    """
    maker = PolicyMaker(5)
    names = [f"p{number}" for number in range(GATES)]
    texts = compiling(opa, tmp_path, {name: maker.gate(f"{GATE}_{name}") for name in names})
    kinds: Counter[str] = Counter()
    with both(opa, policy_set(*texts)) as engines:
        for text in texts:
            package = text.partition("\n")[0].removeprefix("package ")
            for _ in range(INPUTS):
                document = maker.document()
                embedded, real = (answer(engine, package, document) for engine in engines)
                if FAILED not in (embedded, real):
                    assert embedded == real, (document, text)
                    kinds["findings" if real["deny"] else "none"] += 1
    assert len(texts) >= 40
    assert kinds["findings"] >= 60, kinds
    assert kinds["none"] >= 60, kinds
