"""
The lint that keeps a policy's meaning the same on both engines, run whenever policies are loaded.

regorus looks functions up when it reaches them, so that a misspelt one behind a false guard would never be
noticed, and it computes with IEEE doubles where OPA computes with decimals. What could differ is refused, with
its place. docs/engines.md gives the reason for each refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from gatekeeper.engine.builtins import DIFFERENT, PORTABLE, is_forbidden
from gatekeeper.engine.expressions import check_literals, check_tokens
from gatekeeper.engine.heads import bind_heads
from gatekeeper.engine.negation import check_negations
from gatekeeper.engine.rego import Call, Outline, read_outline
from gatekeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from gatekeeper.policy import Module

Functions = dict[str, tuple[int, str]]
"""Number of arguments and file of each function, by full name."""


def check_portable(modules: Iterable[Module]) -> tuple[Module, ...]:
    """
    Check all modules together and return them in an order in which each comes after what it needs.

    OPA compiles modules one by one as they are uploaded. Raises `ConfigurationError` with path, line and column.
    """
    outlines = [read_outline(module) for module in modules]
    bind_all_heads(outlines)
    return check_outlines(outlines)


def bind_all_heads(outlines: list[Outline]) -> dict[str, str]:
    """Text for regorus of each module, by path; raises `ConfigurationError`."""
    return {outline.module.path: bind_heads(outline, _undefinable(outline, outlines)) for outline in outlines}


def check_outlines(outlines: list[Outline]) -> tuple[Module, ...]:
    """Do what `check_portable` does, for modules that have been read."""
    functions = _functions(outlines)
    _check_packages(outlines)
    needs: dict[str, set[str]] = {}
    for outline in outlines:
        check_tokens(outline)
        check_negations(outline, _undefinable(outline, outlines))
        owners = {owner for call in outline.calls if (owner := _check_call(outline, call, functions))}
        needs[outline.module.path] = owners - {outline.module.path} | _siblings(outline, outlines)
    return _ordered({outline.module.path: outline.module for outline in outlines}, needs)


def _undefinable(outline: Outline, outlines: list[Outline]) -> frozenset[str]:
    """Names that may have no value: rules of the package, in whichever file, and imports."""
    package = outline.module.package
    heads = (name.partition(".")[0] for each in outlines if each.module.package == package for name in each.heads)
    return frozenset(heads) | frozenset(outline.imports)


def _ordered(modules: dict[str, Module], needs: dict[str, set[str]]) -> tuple[Module, ...]:
    try:
        return tuple(modules[path] for path in TopologicalSorter(needs).static_order())
    except CycleError as error:
        files = error.args[1]
        raise ConfigurationError(
            files[0],
            f"these files need each other: {', '.join(sorted(set(files)))}",
            hint="OPA takes files one by one; move what both need into a third",
        ) from error


def _siblings(outline: Outline, outlines: list[Outline]) -> set[str]:
    """Files of the same package whose rules a module names."""
    others = [
        each
        for each in outlines
        if each.module.package == outline.module.package and each.module.path != outline.module.path
    ]
    if not others:
        return set()
    words = {text.partition(".")[0] for text in outline.tokens} - outline.heads.keys()
    return {each.module.path for each in others if not words.isdisjoint(each.heads)}


def _functions(outlines: list[Outline]) -> Functions:
    found: Functions = {}
    for outline in outlines:
        path = outline.module.path
        for name, arity in outline.heads.items():
            if arity is None:
                continue
            if name in PORTABLE or name in DIFFERENT or is_forbidden(name):
                raise ConfigurationError(path, f"{name} is a builtin", hint="give the function another name")
            full = f"data.{outline.module.package}.{name}"
            if found.setdefault(full, (arity, path))[0] != arity:
                raise ConfigurationError(path, f"{full} is defined with different numbers of arguments")
    return found


def _check_packages(outlines: list[Outline]) -> None:
    """Refuse a rule whose name is a package too: regorus would answer with either."""
    packages = {outline.module.package for outline in outlines}
    parts = {package.rsplit(".", cut)[0] for package in packages for cut in range(package.count(".") + 1)}
    for outline in outlines:
        package, path = outline.module.package, outline.module.path
        if package.split(".")[0] == "system":
            raise ConfigurationError(path, "the package `system` is OPA's own", hint="begin it with `custom`")
        for name in outline.heads:
            if f"{package}.{name}" in parts:
                raise ConfigurationError(path, f"rule {name!r} is also a package below {package}", hint="rename one")


def _check_call(outline: Outline, call: Call, functions: Functions) -> str | None:
    """Check one call and return the file that defines the function; None for a builtin."""
    index, name = call.opening - 1, call.name
    first, dot, rest = name.partition(".")
    full = f"{outline.imports[first]}{dot}{rest}" if first in outline.imports else name
    ours = functions.get(f"data.{outline.module.package}.{name}") or functions.get(full)
    arity = ours[0] if ours else _builtin(outline, index, name)
    if call.arguments != arity:
        raise outline.refuse(index, f"{name} takes {arity} arguments, {call.arguments} given")
    if ours:
        return ours[1]
    check_literals(outline, call)
    return None


def _builtin(outline: Outline, index: int, name: str) -> int:
    """Look up a builtin's number of arguments."""
    if is_forbidden(name):
        raise outline.refuse(index, f"{name} is forbidden: a policy sees only its input, so that it can be replayed")
    if name in DIFFERENT:
        raise outline.refuse(index, f"{name} is not the same on both engines: {DIFFERENT[name]}")
    if name not in PORTABLE:
        apart = "" if outline.touches(index + 1) else ": regorus takes a `(` for a call even when it stands apart"
        raise outline.refuse(index, f"unknown function {name}{apart}")
    return PORTABLE[name]
