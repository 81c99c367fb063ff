"""What a run saw of one output: what it needed in each test, and in how many cases of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_cpuaccel.core.tolerance_lock import LockKey, Need

Cases = Mapping[str, int]
"""Test function, such as ``tests/test_it.py::test_close`` -> how many cases of it, with other parameters, there are."""

_SEVERAL = re.compile(r"(.+) x([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Seen:
    """``needs`` are those of all cases of a test function together."""

    needs: Mapping[str, Need]
    cases: Cases

    @property
    def need(self) -> Need:
        """Return what covers all tests."""
        return worst_of(self.needs.values())

    def covers(self, noted: Cases) -> bool:
        """Tell whether all cases that were noted before were seen again."""
        return all(self.cases.get(test, 0) >= count for test, count in noted.items())

    def new_to(self, noted: Cases) -> frozenset[str]:
        """Return the test functions that were not noted, or with fewer cases."""
        return frozenset(test for test, count in self.cases.items() if count > noted.get(test, 0))

    def with_noted(self, noted: Cases) -> dict[str, int]:
        """Return the cases of both."""
        tests = sorted({*self.cases, *noted})
        return {test: max(self.cases.get(test, 0), noted.get(test, 0)) for test in tests}


def seen_in(needs: Mapping[str, Mapping[LockKey, Need]]) -> dict[LockKey, Seen]:
    """Return what the tests of a run needed, from the needs of each test by its node id."""
    found: dict[LockKey, dict[str, list[Need]]] = {}
    for test, of_test in needs.items():
        for key, need in of_test.items():
            found.setdefault(key, {}).setdefault(_function(test), []).append(need)
    return {
        key: Seen(
            {test: worst_of(of_cases) for test, of_cases in by_test.items()},
            {test: len(of_cases) for test, of_cases in by_test.items()},
        )
        for key, by_test in found.items()
    }


def worst_of(needs: Iterable[Need]) -> Need:
    """Return what covers several needs."""
    return functools.reduce(Need.worse_of, needs)


def texts_of(cases: Cases) -> list[str]:
    """Return cases as a file holds them: ``test_it.py::test_close x30``, without the number for one."""
    return [test if count == 1 else f"{test} x{count}" for test, count in sorted(cases.items())]


def cases_of(texts: Iterable[str]) -> dict[str, int]:
    """Return the cases that :func:`texts_of` wrote."""
    several = ((text, _SEVERAL.fullmatch(text)) for text in texts)
    return dict((found[1], int(found[2])) if found else (text, 1) for text, found in several)


def _function(node_id: str) -> str:
    """The node id of a test without its parameters, which backends are among."""
    path, colons, name = node_id.partition("::")
    return f"{path}{colons}{name.partition('[')[0]}"
