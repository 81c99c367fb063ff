"""Metadata that ``export`` leaves for ``load``: the export's route, and the calls that the artifact is right for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.shapes import Shapes
from pytest_cpuaccel.core.backend import Scalar

FILE = "route.json"


@dataclass(frozen=True)
class Route:
    """``optimum`` names the Optimum class that exported the artifact; ``""`` is our own torch.export.

    ``positions`` is the rule by which a decoder's missing ``position_ids`` are made (see ``toolkit.decoding``);
    ``None`` when the call goes in as it is. ``facts`` are what the export proved. ``cache`` is that of a decoder's
    graph with a key/value cache, ``cross`` that of cross-attention where an encoder-decoder has one.
    """

    shapes: Shapes
    optimum: str = ""
    positions: str | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    cache: CacheLayout | None = None
    cross: CacheLayout | None = None

    def write(self, folder: Path) -> None:
        """Keep the route in an artifact's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1))

    @staticmethod
    def read(folder: Path) -> Route:
        """Return the route of the artifact in ``folder``."""
        kept = json.loads((folder / FILE).read_text())
        singles = tuple(tuple(map(tuple, group)) for group in kept["shapes"]["singles"])
        caches = {name: CacheLayout.read(kept[name]) for name in ("cache", "cross") if kept.get(name)}
        return Route(**(kept | {"shapes": Shapes(kept["shapes"]["condition"], singles)} | caches))
