"""What a claim, its control and an erratum are, once their YAML records have been read."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bindery.claims.criterion import Criterion
from bindery.claims.yamlfile import Problem
from bindery.root import BookError


@dataclass(frozen=True)
class Control:
    """The broken variant for which the criterion must fail, or the reason why there is none."""

    variant: str | None = None
    # What is expected of it, in words.
    expect: str | None = None
    # What it must satisfy itself, beside violating the claim's own criterion.
    criterion: Criterion | None = None
    # The quantities of the claim's criterion that it does not exercise, each with the reason.
    spared: Mapping[str, str] = field(default_factory=dict)
    # Why it could come out in one way only, where that is so.
    by_construction: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Change:
    """A change of a record: its date (YYYY-MM-DD), what changed, why, and whether a value had been seen."""

    date: str
    change: str
    why: str
    after_look: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim of one source; the fields are those of its YAML record, with its place and its source."""

    file: str
    line: int
    paper: str
    key: str
    id: str
    locus: str
    standing: str
    claim: str
    # The sentence that is true when the claim is reproduced.
    proposition: str
    kind: str
    chapter: str
    quantity: Mapping[str, str]
    criterion: Criterion | None
    tolerance: str | None
    control: Control
    unpublished: str | None
    # The verdict that was accepted by hand, and the reason.
    accepted: Mapping[str, str]
    testable: bool = True
    # Why it is not testable.
    reason: str | None = None
    # The erratum whose correction is tested.
    misprint: str | None = None
    # By what it will be judged again, until it is.
    again: str | None = None
    history: tuple[Change, ...] = ()

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is measured: what the criterion compares, or all of it where nothing is compared."""
        return self.criterion.quantities if self.criterion else tuple(self.quantity)

    @property
    def after_look(self) -> bool:
        """Whether something that decides was changed after a value had been seen: a mark for good."""
        return any(change.after_look for change in self.history)


@dataclass(frozen=True)
class Erratum:
    """A misprint of a source, the claim that shows it, and those that are tested as it corrects them."""

    file: str
    line: int
    id: str
    source: str
    locus: str
    printed: str
    corrected: str
    page: str
    claim: str
    survives: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """All that ``claims/`` holds: the sound claims and errata by id, the list, and what is wrong."""

    claims: Mapping[str, Claim] = field(default_factory=dict)
    errata: Mapping[str, Erratum] = field(default_factory=dict)
    index: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def chapters(self) -> tuple[str, ...]:
        """The book's chapters in their order: those of the list, then those that only a record names."""
        return tuple(dict.fromkeys([*self.index.values(), *(one.chapter for one in self.claims.values())]))

    def known(self, claim_id: str) -> Claim:
        """Return a claim's record, or refuse by what is wrong with it, or by the closest id."""
        if claim_id in self.claims:
            return self.claims[claim_id]
        wrong = [str(problem) for problem in self.problems if problem.id == claim_id]
        if wrong:
            raise BookError("\n".join([f"the record of {claim_id} is not sound:", *wrong]))
        close = self.closest(claim_id)
        hint = f"; did you mean {close} of {self.claims[close].file}?" if close else ""
        raise BookError(f"there is no claim {claim_id!r}{hint}")

    def closest(self, claim_id: str) -> str | None:
        """Return the known id that looks most like ``claim_id``, or None when none does."""
        return next(iter(difflib.get_close_matches(claim_id, self.claims, n=1, cutoff=0.5)), None)
