"""A cell of the support matrix: the result of one architecture under one backend."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Status(str, Enum):
    """From best to worst.

    RIGHT: every call as eager. LIMITED: forward calls as eager, and a clear refusal of something else.
    UNSUPPORTED: the model is refused, with upstream's reason. CRASH: an unexpected error, a killed
    process or a hang. WRONG: another answer than eager's.
    """

    RIGHT = "right"
    LIMITED = "limited"
    UNSUPPORTED = "unsupported"
    CRASH = "crash"
    WRONG = "wrong"

    @property
    def is_bad(self) -> bool:
        """Tell whether a backend with this status can't be trusted."""
        return self in (Status.CRASH, Status.WRONG)


@dataclass(frozen=True)
class Cell:
    """``figure`` is the parity of the answers, in few words; ``reason`` says why the status isn't RIGHT.

    ``seconds`` is the wall time of the examination, builds included.
    """

    architecture: str
    backend: str
    status: Status
    figure: str = ""
    reason: str = ""
    seconds: float = 0.0


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of statuses; RIGHT of none."""
    order = list(Status)
    return max(statuses, key=order.index, default=Status.RIGHT)


def without_folders(text: str) -> str:
    """Return the text with paths cut to their last part, because folders of this machine mean nothing to others.

    Names that only look like paths, such as ONNX's names of nodes, are kept: their first part is no folder.
    """
    return re.sub(
        r"(?<![\w.:/])/([^\s/:'\"]+)/(?:[^\s/:'\"]+/)*",
        lambda path: "" if Path("/", path[1]).exists() else path[0],
        text,
    )
