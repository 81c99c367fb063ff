"""The guard around methods of a model's class, which may run parts of the original past the backend."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import UsageError


class BypassGuard:
    """Refuses, in methods of a model's class that a test calls, arithmetic with the original's own weights."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._mode: _WeightsInUse | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether such a method runs now."""
        return self._mode is not None

    def around(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a method, refusing what it computes with the original's weights; in generators, step by step."""

        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with self._raised(name):
                running = method(*args, **kwargs)
            if inspect.iscoroutine(running):
                return types.coroutine(self._steps)(running, name)
            return self._steps(running, name) if inspect.isgenerator(running) else running

        return functools.update_wrapper(call, getattr(method, "func", method))

    def _steps(self, running: Any, name: str) -> Generator[Any, Any, Any]:
        """A generator or coroutine, guarded whenever it runs; what is thrown into it goes on to it."""
        step = functools.partial(running.send, None)
        while True:
            try:
                with self._raised(name):
                    item = step()
            except StopIteration as end:
                return end.value
            try:
                step = functools.partial(running.send, (yield item))
            except GeneratorExit:
                running.close()
                raise
            except BaseException as error:
                step = functools.partial(running.throw, error)

    @contextmanager
    def _raised(self, name: str) -> Iterator[None]:
        if self._mode is not None:  # within another method
            yield
            return
        self._mode = _WeightsInUse(self._model, name)
        try:
            with self._mode:
                yield
        finally:
            self._mode = None

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Let the backend work meanwhile, whose weights may be the original's."""
        assert self._mode is not None
        mode = self._mode
        mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            mode.__enter__()  # type: ignore[no-untyped-call]


_DESCRIBE = frozenset(
    {
        *("size", "dim", "numel", "nelement", "ndimension", "__len__", "stride", "storage_offset", "element_size"),
        *("is_floating_point", "is_complex", "is_signed", "is_contiguous", "get_device", "data_ptr", "type"),
        *("__hash__", "__repr__", "untyped_storage"),
    }
)
"""Functions of tensors that compute nothing with their values."""
_VIEWS = frozenset({"T", "mT", "H", "mH", "data"})


def _only_describes(func: Any) -> bool:
    """Tell whether a function of torch says what a tensor is; a view of it is as good as itself."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "") not in _VIEWS
    return name in _DESCRIBE


def _values(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a model's weights by name: parameters, buffers, other tensors, and those of modules kept in lists."""
    yield from model.named_parameters()
    yield from ((name, item) for name, item in model.named_buffers() if item.is_floating_point())
    for path, child in model.named_modules():
        for name, value in vars(child).items():
            full = f"{path}.{name}" if path else name
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                yield full, value
            for module in value if isinstance(value, (list, tuple)) else ():
                if isinstance(module, nn.Module):
                    yield from ((f"{full}.{inner}", item) for inner, item in module.named_parameters())


class _WeightsInUse(TorchFunctionMode):
    """Raises, while entered, when a function of torch is given a weight of the model."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self._method = method
        self._names = {id(item): name for name, item in _values(model)}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if not _only_describes(func):
            for tensor in tree.tensors([args, given]):
                if name := self._names.get(id(tensor)):
                    raise UsageError(self._refusal(name))
        return func(*args, **given)

    def _refusal(self, weight: str) -> str:
        part = weight.partition(".")[0]
        if part == weight:
            return (
                f"cpu_model.{self._method}: computes with '{weight}' in eager mode, past the backend; "
                "call cpu_model itself, or move that into forward()"
            )
        return (
            f"cpu_model.{self._method}: runs '{part}' in eager mode, past the backend; "
            f"accelerate that part alone: cpu_accelerate(eager_model.{part})"
        )
