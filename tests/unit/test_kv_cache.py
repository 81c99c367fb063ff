"""State among arguments and outputs is told by what it is, whatever the next transformers calls it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from pytest_cpuaccel.core.kv_cache import is_cache, without_state


class Cache:
    def __init__(self, length: int = 3) -> None:
        self._length = length

    def get_seq_length(self) -> int:
        return self._length


class MambaCache:
    """As transformers 4.57 has it: without a length."""


class Output(OrderedDict[str, Any]):
    def __init__(self, **fields: Any) -> None:
        super().__init__(fields)

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(self.values())


@pytest.mark.parametrize("name", ["past_key_values", "cache", "cache_params", "memory"])
@pytest.mark.parametrize("cache", [Cache(), MambaCache()])
def test_a_cache_of_any_name_is_no_answer(name: str, cache: object) -> None:
    kept = without_state(Output(logits=1, **{name: cache}))
    assert isinstance(kept, Output)
    assert dict(kept) == {"logits": 1}


def test_in_a_tuple_the_others_keep_their_places() -> None:
    assert without_state((1, Cache(), 2)) == (1, None, 2)


def test_a_cache_within_an_output_is_found() -> None:
    assert without_state({"text": {"logits": 1, "cache": Cache()}, "image": 2}) == {"text": {"logits": 1}, "image": 2}


@pytest.mark.parametrize("output", [{"cache": 1}, (1, [2]), [3], 4, Output(logits=1)])
def test_what_holds_none_is_returned_itself(output: object) -> None:
    assert without_state(output) is output


@pytest.mark.parametrize("value", [None, 0, True, "cache", {"cache": 1}, (1,)])
def test_plain_values_are_no_caches(value: object) -> None:
    assert not is_cache(value)
