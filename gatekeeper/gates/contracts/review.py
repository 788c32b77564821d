"""How the contracts gate reviews one contract: its faults, its changes, its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from gatekeeper.collectors import Context
from gatekeeper.collectors.contracts import MAX_EARLIER, MAX_LISTED, ContractEvidence, ContractFault, Item
from gatekeeper.contracts import violations
from gatekeeper.decision import Place
from gatekeeper.errors import EvidenceError
from gatekeeper.formats.odcs import Contract, Fault, find_faults, official_schema, parse_contract
from gatekeeper.formats.strict_yaml import Path
from gatekeeper.gates.contracts.changes import compare_versions, is_breaking, shorten, unreadable_version
from gatekeeper.gates.contracts.data import check_data
from gatekeeper.repository import Repository

_MAX_FAULTS = 1000
_MAX_CONTRACTS = 10_000
"""Files at the base ref that may look like contracts; they are listed, and only those that are gone are read."""
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class _InForce:
    """The version of a contract at the base ref."""

    source: str
    path: FilePath
    data: bytes
    contract: Contract


class Review:
    """Reviews the contracts of one promotion; each file is read once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ref = context.settings.base_ref
        self._repository = Repository(context.workspace.root)
        self._contracts: dict[str, Contract] = {}

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return official_schema()

    def examine(self, item: Item) -> ContractEvidence:
        """Review one item of the manifest; raises `EvidenceError` where there is nothing to judge."""
        contract = self._read(item.contract)
        place = place_of(contract, ())
        common: dict[str, Any] = {
            "path": item.contract,
            "id": shorten(contract.text("id")),
            "version": shorten(contract.text("version")),
            "status": shorten(contract.text("status")),
            "mode": contract.mode,
            "migration_path": contract.migration_path[:500],
            "data_path": item.data,
            "place": place,
        }
        faults = self._faults(contract)
        if faults:
            return _faulty(contract, faults, common)
        common |= self._history(item.contract, contract)
        return ContractEvidence(
            **common,
            owner_count=contract.owners,
            tables=tuple(each["name"][:500] for each in contract.tables),
            fault_count=0,
            faults=(),
            data=check_data(item, contract, self._context.workspace),
        )

    def _read(self, path: str) -> Contract:
        if path not in self._contracts:
            self._contracts[path] = parse_contract(self._context.workspace.read(path), path)
        return self._contracts[path]

    def _faults(self, contract: Contract) -> list[Fault]:
        """Faults by the standard's JSON Schema, then our own, which need a document of the right shape."""
        listed = violations(contract.value, self._schema, limit=_MAX_FAULTS)
        found = [Fault(_steps(each.pointer), each.message) for each in listed]
        return found or list(find_faults(contract))

    def _history(self, path: str, contract: Contract) -> dict[str, Any]:
        """Compare with the version in force and, in a transitive mode, with every earlier one."""
        in_force = self._version_in_force(self._context.workspace.locate(path), contract)
        if in_force is None:
            nothing = {"earlier_count": 0, "earlier_breaking_count": 0, "earlier": ()}
            return {"is_new": True, "base": None, "base_mode": None, **nothing}
        mode = in_force.contract.mode
        earlier = self._earlier(in_force, contract) if mode is not None and mode.endswith("_TRANSITIVE") else []
        breaking = [each for each in earlier if is_breaking(each) and not each.announced]
        return {
            "is_new": False,
            "base": compare_versions(in_force.contract, contract, faults=self._faults(in_force.contract)),
            "base_mode": mode,
            "earlier_count": len(earlier),
            "earlier_breaking_count": len(breaking),
            "earlier": tuple(breaking[:MAX_EARLIER]),
        }

    def _version_in_force(self, path: FilePath, contract: Contract) -> _InForce | None:
        """
        The same file at the base ref; or the one that held the same `id` there; or one that is gone and had a
        schema object of the same name: a contract that was moved or replaced is no new one.
        """
        data = self._repository.read_at(self._ref, path)
        found = [self._at_base(path, data)] if data is not None else self._moved(contract) or self._replaced(contract)
        if len(found) > 1:
            raise EvidenceError(
                "unverifiable",
                contract.name,
                f"it may follow on each of {', '.join(each.source for each in found)}"[:500],
                hint="keep the file or the id of the contract that it follows on",
            )
        for each in found:
            self._context.workspace.record_bytes(each.source, each.data)
        return found[0] if found else None

    def _moved(self, contract: Contract) -> list[_InForce]:
        identifier = str(contract.text("id"))
        paths = self._repository.paths_mentioning(self._ref, ["DataContract", identifier])
        return [each for each in self._contracts_at(paths) if each.contract.text("id") == identifier]

    def _replaced(self, contract: Contract) -> list[_InForce]:
        names = {each["name"] for each in contract.tables}
        paths = self._repository.paths_mentioning(self._ref, ["DataContract"], limit=_MAX_CONTRACTS)
        gone = self._contracts_at([each for each in paths if not each.exists()])
        return [each for each in gone if not names.isdisjoint(_table_names(each.contract))]

    def _at_base(self, path: FilePath, data: bytes) -> _InForce:
        source = self._source(self._ref, path)
        return _InForce(source, path, data, parse_contract(data, source))

    def _contracts_at(self, paths: list[FilePath]) -> list[_InForce]:
        """The contracts among some files at the base ref; what is no contract is passed over."""
        found = []
        for path in paths:
            data = self._repository.read_at(self._ref, path) if path.suffix in _SUFFIXES else None
            if data is not None:
                try:
                    found.append(self._at_base(path, data))
                except EvidenceError:
                    continue
        return found

    def _earlier(self, in_force: _InForce, contract: Contract) -> list[Any]:
        found = []
        for sha, data in self._repository.history(self._ref, in_force.path):
            if data == in_force.data:
                continue
            source = self._source(sha[:12], in_force.path)
            self._context.workspace.record_bytes(source, data)
            try:
                other = parse_contract(data, source)
            except EvidenceError as error:
                found.append(unreadable_version(source, error.problem))
            else:
                found.append(compare_versions(other, contract, faults=self._faults(other)))
        return found

    def _source(self, ref: str, path: FilePath) -> str:
        return f"git:{ref}:{path.relative_to(self._repository.root).as_posix()}"


def _faulty(contract: Contract, faults: list[Fault], common: dict[str, Any]) -> ContractEvidence:
    listed = tuple(
        ContractFault(
            pointer="".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in each.path)[:500],
            message=each.message[:500],
            place=place_of(contract, each.path),
        )
        for each in faults[:MAX_LISTED]
    )
    return ContractEvidence(
        **common,
        owner_count=0,
        tables=(),
        fault_count=len(faults),
        faults=listed,
        base_mode=None,
        is_new=False,
        base=None,
        earlier_count=0,
        earlier_breaking_count=0,
        earlier=(),
        data=None,
    )


def _table_names(contract: Contract) -> set[str]:
    """Names of the schema objects of a contract that may have faults."""
    tables = contract.value.get("schema")
    listed = tables if isinstance(tables, list) else []
    return {str(each.get("name")) for each in listed if isinstance(each, dict)}


def place_of(contract: Contract, path: Path) -> Place:
    """Place of a value of a contract, or of the nearest ancestor that is in the file."""
    location = contract.location(path)
    return Place(path=location.path, line=location.line, column=location.column)


def _steps(pointer: str) -> Path:
    """Way to a value from its RFC 6901 pointer; a number is taken for the index of a list."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return tuple(int(step) if step.isdigit() else step for step in steps)
