"""The guard around methods of a model's class: they must not run parts of the original without the backend."""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from pytest_cpuaccel.core import tree
from pytest_cpuaccel.core.errors import UsageError


class BypassGuard:
    """Refuses arithmetic with the original's own weights in methods of a model's class that a test calls."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._of_thread = threading.local()
        self._refusals: list[str] = []

    @property
    def is_up(self) -> bool:
        """Tell whether such a method runs now, in this thread."""
        return self._mode is not None

    @property
    def _mode(self) -> _WeightsInUse | None:
        return getattr(self._of_thread, "mode", None)

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the model's parts by name, including those in plain lists."""
        return _modules(self._model)

    def around(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a method that refuses to compute with the original's weights; generators are guarded step by step."""

        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with self._raised(name):
                running = method(*args, **kwargs)
            if inspect.iscoroutine(running):
                return types.coroutine(self._steps)(running, name)
            return self._steps(running, name) if inspect.isgenerator(running) else running

        return functools.update_wrapper(call, getattr(method, "func", method))

    def _steps(self, running: Any, name: str) -> Generator[Any, Any, Any]:
        """Guard a generator or coroutine at every step; exceptions thrown into it are passed on."""
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
        mode = self._of_thread.mode = _WeightsInUse(self._model, name)
        self._refusals.clear()
        hook = register_module_forward_pre_hook(functools.partial(self._check_threads, mode))
        try:
            with mode:
                yield
        finally:
            hook.remove()
            self._of_thread.mode = None
        if self._refusals:  # in another thread; its exception may have been lost there
            raise UsageError(self._refusals[0])

    def refuse(self, refusal: str) -> NoReturn:
        """Raise in this thread, whichever it is, and again at the end of the guarded method.

        Raises:
            UsageError: always.
        """
        self._refusals.append(refusal)
        raise UsageError(refusal)

    def _check_threads(self, mode: _WeightsInUse, module: nn.Module, _: object) -> None:
        """Refuse a part of the model that runs in another thread, because this guard's mode is not entered there."""
        if self._mode is mode or getattr(self._of_thread, "is_lowered", False):
            return
        if refusal := mode.refusal_of_part(module):
            self.refuse(refusal)

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Let the backend run in this thread meanwhile; its weights may be the original's."""
        mode = self._mode
        if mode is not None:
            mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self._of_thread.is_lowered = True
        try:
            yield
        finally:
            self._of_thread.is_lowered = False
            if mode is not None:
                mode.__enter__()  # type: ignore[no-untyped-call]


_DESCRIBE = frozenset(
    {
        *("size", "dim", "numel", "nelement", "ndimension", "__len__", "stride", "storage_offset", "element_size"),
        *("is_floating_point", "is_complex", "is_signed", "is_contiguous", "get_device", "data_ptr", "type"),
        *("__hash__", "__repr__", "untyped_storage"),
    }
)
"""Methods of tensors that compute nothing with their values."""
_VIEWS = frozenset({"T", "mT", "H", "mH", "data"})


def _only_describes(func: Any) -> bool:
    """Tell whether a function of torch only describes a tensor; one that returns a view of it does not."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "") not in _VIEWS
    return name in _DESCRIBE


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a model's parts by name; for parts in lists, tuples and dicts, the container too."""
    for path, child in model.named_modules():
        if path:
            yield path, child
        for name, value in vars(child).items():
            if not name.startswith("_") and isinstance(value, (list, tuple, dict)):
                items = value.values() if isinstance(value, dict) else value
                kept = (item for item in items if isinstance(item, nn.Module))
                yield from ((f"{path}.{name}" if path else name, part) for item in kept for part in item.modules())


def _values(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a model's weights by name: parameters, buffers, other tensors, and those of modules kept in lists."""
    for path, module in (("", model), *_modules(model)):
        for name, value in (*_own_tensors(module), *vars(module).items()):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                yield f"{path}.{name}" if path else name, value


def _own_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


class _WeightsInUse(TorchFunctionMode):
    """Raises, while entered, when a function of torch is given a weight of the model."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self._method = method
        self._weights: dict[int, str] = {}
        for name, item in _values(model):
            self._weights.setdefault(id(item), name)
        self._parts = {id(part): name for name, part in _modules(model) if any(True for _ in _values(part))}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if not _only_describes(func):
            for tensor in tree.tensors([args, given]):
                if name := self._weights.get(id(tensor)):
                    raise UsageError(self._refusal(name))
        return func(*args, **given)

    def refusal_of_part(self, module: nn.Module) -> str:
        """Return why a module may not run; ``""`` for one that has no weights of the model."""
        name = self._parts.get(id(module))
        return "" if name is None else self._refusal(f"{name}.")

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
