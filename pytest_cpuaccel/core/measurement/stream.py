"""What a streamer was told, beside the tokens that ``generate()`` returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StreamMeasurement:
    """How a backend's stream differs from what its own call returned, where eager's does not.

    ``what``: the streamer was told nothing ("silent"), was not told of the end ("endless"), was told another number of
    tokens ("length"), or another token ("token"), the first of which is at ``position`` in ``row``. ``heard`` and
    ``returned`` are the two tokens, or the two numbers of tokens.
    """

    what: Literal["silent", "endless", "length", "token"]
    row: int = 0
    position: int = 0
    heard: int = 0
    returned: int = 0
