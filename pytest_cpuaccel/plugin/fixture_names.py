"""Names of the plugin's own fixtures, and which of them pytest knows beforehand that a test uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BACKEND = "_cpu_backend"
"""The fixture that has backends as parameters. Another plugin's fixture ``cpu_backend`` does not use it."""

MODELS = "_cpu_models"
"""The fixture of every test that uses a model of ours."""


def uses_backend(item: pytest.Item) -> bool:
    """Tell whether a test uses one of our fixtures with a backend."""
    return BACKEND in getattr(item, "fixturenames", ())


def uses_model(item: pytest.Item) -> bool:
    """Tell whether a test uses a model under a backend."""
    return MODELS in getattr(item, "fixturenames", ())


def takes_score_items(item: pytest.Item) -> bool:
    """Tell whether a test takes ``score_items``."""
    return "score_items" in getattr(item, "fixturenames", ())
