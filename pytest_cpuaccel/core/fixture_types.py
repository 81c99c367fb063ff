"""What tests annotate our fixtures with: ``cpu_model: CpuModel``. The fixtures return values that fit these types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, overload

if TYPE_CHECKING:
    from torch import nn

    Source = nn.Module | str
    """A model, or the folder or hub id of one."""


class CpuModel(Protocol):
    """A model that stands in for the user's, and runs under the backend in force. Every call of it is recorded.

    It has the attributes of the user's model and says that it is of the same class, so that
    ``isinstance(cpu_model, torch.nn.Module)`` holds. It stays on the CPU, in fp32 and in eval mode.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take what the user's model takes, and return what it returns: the same type, names, shapes and dtypes.

        The first call of new shapes builds the model.

        Raises:
            BuildError: the backend can't build or run the model for these inputs.
            BackendUnavailableError: a package that the backend needs does not import.
            EagerError: the user's model itself is unfit as a reference, such as one in training mode.
            UsageError: an input that no backend takes, such as a tensor on another device.

        What the user's model raises on these inputs is raised as it is.
        """

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Take and return what the user's model does: token ids, (batch, length) of int64, the prompt's included.

        Only a model that has ``generate()`` itself has it here.

        Raises:
            AttributeError: the user's model has none.
            BuildError, BackendUnavailableError, EagerError, UsageError: as for a call.
        """

    def to(self, *args: Any, **kwargs: Any) -> CpuModel:
        """Return the model itself.

        Raises:
            UsageError: asked for another device than the CPU, or another dtype than float32.
        """

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the user's model; its parts can be looked at, but not run past the backend."""


class Accelerate(Protocol):
    """The fixture ``cpu_accelerate``: any model under the backend in force."""

    def __call__(
        self,
        model: Source,
        reference: Source | None = None,
        calibration: Iterable[Any] | None = None,
        keep_fp32: Iterable[str] | None = None,
    ) -> CpuModel:
        """Return ``model`` under the backend, recorded and judged like ``cpu_model``.

        It is held to ``reference`` where there is one, else to itself in eager mode. ``calibration`` are inputs that
        stand for the model's data: each a dict of keywords, a tuple of arguments, or a tensor. ``keep_fp32`` are
        paths of modules, or patterns of such, that backends of reduced precision leave in fp32.

        Raises:
            UsageError: a value that is no model, no list of inputs, or no list of modules.
            EagerError: a model that is unfit as a reference, such as one in training mode or not in fp32.
        """


class ScoreItems(Protocol):
    """The fixture ``score_items``: a function of model and item, for every item, under the backend and under eager."""

    @overload
    def __call__(
        self,
        fn: Callable[[Any, Any], Any],
        items: Iterable[Any] | ItemsByPlace,
        batch_size: int | None = None,
        stop_early: bool = False,
    ) -> list[float]:
        """Return ``fn(model, item)`` under the backend for every item, in order. A higher score is a better one.

        ``fn`` may return ``(score, answer)``; reports show the answers to items that flipped. With ``batch_size`` it
        takes a list of so many items, the last time of fewer, and returns a score for each. ``accuracy_budget`` judges
        the scores against eager's. With ``stop_early`` items are taken in random order, until that verdict is certain;
        the score of an item that was left out is NaN.

        Raises:
            UsageError: no function, no items, a score that is no number, or a model that was never called.
            BuildError, BackendUnavailableError, EagerError: as for a call of ``cpu_model``.
        """

    @overload
    def __call__(
        self,
        fn: Callable[[Any, Any], Any],
        items: Iterable[Any] | ItemsByPlace,
        batch_size: int | None = None,
        *,
        metric: Any,
    ) -> float:
        """Return the value under the backend of a metric over all items, such as F1. Higher is better.

        ``fn`` returns ``(prediction, reference)``. ``metric`` has ``update()``, ``compute()`` and ``reset()``, or
        ``add_batch()`` and ``compute()``, or is a function of lists of predictions and of references.
        ``accuracy_budget`` judges its value against the one that it has in eager.

        Raises:
            UsageError: as above; a value of the metric that is no finite number, or several.
            BuildError, BackendUnavailableError, EagerError: as for a call of ``cpu_model``.
        """


class ItemsByPlace(Protocol):
    """A data set that gives an item for each of its places, as those of torch do."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Any: ...
