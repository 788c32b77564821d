"""Whole processes, measured from outside: wall seconds, CPU seconds and peak memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = """
import os, sys, time
null = os.open(os.devnull, os.O_RDWR)
actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - started
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""
"""Starts the process from a small one: a child's peak memory counts what its parent had when it was started."""


@dataclass(frozen=True)
class Cost:
    """What one process and its children cost; `code` is its exit code."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    code: int


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run one process to its end; its output is thrown away."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        cwd=cwd, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    wall, cpu, peak, code = done.stdout.split()
    return Cost(float(wall), float(cpu), int(peak), int(code))


def interleave(commands: Mapping[str, Sequence[str]], *, cwd: Path, rounds: int) -> dict[str, Cost]:
    """Run every command in turn, several rounds, so that load hits all alike; returns the medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(run(command, cwd=cwd))
    return {name: median(each) for name, each in costs.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(each.wall_seconds for each in costs),
        statistics.median(each.cpu_seconds for each in costs),
        int(statistics.median(each.peak_bytes for each in costs)),
        costs[-1].code,
    )


def show(title: str, costs: Mapping[str, Cost], *, base: str, per: int = 1) -> None:
    """Print a table: milliseconds for each of `per` things, peak memory, exit code, and the ratio to `base`."""
    print(f"\n{title}")
    print(f"  {'':<44}{'wall ms':>10}{'CPU ms':>10}{'peak MB':>9}{'exit':>6}{'x ' + base:>44}")
    for name, cost in costs.items():
        ratio = cost.wall_seconds / costs[base].wall_seconds
        print(
            f"  {name:<44}{1000 * cost.wall_seconds / per:>10.2f}{1000 * cost.cpu_seconds / per:>10.2f}"
            f"{cost.peak_bytes / 1e6:>9.0f}{cost.code:>6}{ratio:>44.2f}"
        )
