"""Finding duplicates in bounded memory: 128-bit digests of what was seen, up to a stated number of them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from gatekeeper.errors import EvidenceError

MAX_DIGESTS = 10_000_000
"""Values that are remembered for all uniqueness checks of one file together; about a gigabyte of memory."""


class Budget:
    """Counts the digests of all checks of one file."""

    def __init__(self, subject: str, limit: int = MAX_DIGESTS) -> None:
        self.subject = subject
        self.left = limit
        self._limit = limit

    def spend(self, amount: int) -> None:
        """Take from the budget; raises `EvidenceError` (unverifiable) when nothing is left."""
        self.left -= amount
        if self.left < 0:
            raise EvidenceError(
                "unverifiable",
                self.subject,
                f"uniqueness needs more than {self._limit} values to be remembered",
                hint="check a smaller sample, or move the check to the warehouse and drop it from this contract",
            )


class Seen:
    """The values of one key that were seen so far; two values clash by chance once in 10^24 files."""

    def __init__(self, budget: Budget) -> None:
        self._digests: set[bytes] = set()
        self._budget = budget
        self.repeats = 0

    def repeated(self, identities: Sequence[str]) -> list[int]:
        """Indexes of the values that were seen before, here or in an earlier batch."""
        digests = [blake2b(each.encode("utf-8", "surrogatepass"), digest_size=16).digest() for each in identities]
        fresh = set(digests)
        if len(fresh) == len(digests) and self._digests.isdisjoint(fresh):
            self._budget.spend(len(fresh))
            self._digests |= fresh
            return []
        found = []
        for index, digest in enumerate(digests):
            if digest in self._digests:
                found.append(index)
            else:
                self._budget.spend(1)
                self._digests.add(digest)
        self.repeats += len(found)
        return found


def joined(parts: Sequence[str | None]) -> str:
    """One text for several values, so that ("ab", "c") differs from ("a", "bc") and null from every text."""
    return "".join("-;" if part is None else f"{len(part)}:{part};" for part in parts)
