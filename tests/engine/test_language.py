"""Policies that the lint lets through never get two different answers, whatever they are."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import regorus
from engine.engines import FAILED, answer, both
from engine.making import GATE, module, policy_set
from engine.random_policies import PolicyMaker

from gatekeeper.engine.portable import check_portable
from gatekeeper.errors import ConfigurationError

GATES, INPUTS = 130, 16


def compiling(opa: str, folder: Path, texts: dict[str, str]) -> list[str]:
    """The texts that the lint and both engines take; `opa check` stops at the first stage with errors."""
    left = {name: text for name, text in texts.items() if _taken(text)}
    for name, text in left.items():
        (folder / f"{name}.rego").write_text(text, "utf-8")
    command = [opa, "check", "--max-errors", "0", str(folder)]
    while (done := subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)).returncode:
        for name in set(re.findall(r"(p[0-9]+)\.rego:[0-9]+: rego_", done.stderr)):
            (folder / f"{name}.rego").unlink()
            del left[name]
    return list(left.values())


def _taken(text: str) -> bool:
    engine = regorus.Engine()
    try:
        check_portable([module(text)])
        engine.add_policy("p.rego", text)
        engine.eval_query_as_json("1")
    except (ConfigurationError, RuntimeError):
        return False
    return True


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
    assert len(texts) >= 30
    assert kinds["findings"] >= 60, kinds
    assert kinds["none"] >= 60, kinds
