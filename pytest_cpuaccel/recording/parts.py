"""Parts of a model as a test sees them: they can be read, but not run, because they would run without the backend."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import nn

from pytest_cpuaccel.core.errors import UsageError
from pytest_cpuaccel.recording.assignment import CHANGING, refuse_change
from pytest_cpuaccel.recording.bypass import BypassGuard
from pytest_cpuaccel.recording.unbound import unbound_method


@dataclass(frozen=True)
class Parts:
    """Hands out parts of ``model``, and ``stand_in`` in place of the model itself."""

    model: nn.Module
    stand_in: Any
    guard: BypassGuard

    def shown(self, value: Any) -> Any:
        """Return a value in which every module of the model is replaced by a :class:`Part`, within containers too."""
        if isinstance(value, nn.Module) and not isinstance(value, Part):
            return self._part(value)
        if isinstance(value, Iterator) and type(value).__module__ == "builtins":
            return (self.shown(item) for item in value)
        if isinstance(value, (ValuesView, ItemsView)):
            return [self.shown(item) for item in value]
        if type(value) in (list, tuple, set):
            items = [self.shown(item) for item in value]
            return value if all(map(_is, items, value)) else type(value)(items)
        if type(value) is dict:
            shown = {key: self.shown(item) for key, item in value.items()}
            return value if all(map(_is, shown.values(), value.values())) else shown
        return value

    def showing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose results go through :meth:`shown`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return self.shown(function(*args, **kwargs))

        return functools.update_wrapper(call, getattr(function, "func", function))

    def _part(self, module: nn.Module) -> Any:
        if module is self.model:
            return self.stand_in
        own = {id(item): path for path, item in self.guard.modules()}
        path = next((own[id(item)] for item in module.modules() if id(item) in own), None)
        return module if path is None else Part(module, path, self)


def _is(one: object, other: object) -> bool:
    return one is other


class Part:
    """Stands in for one module of a model: gives its attributes, and refuses to run in eager mode."""

    _module: Any
    _path: str
    _parts: Parts

    def __init__(self, module: nn.Module, path: str, parts: Parts) -> None:
        vars(self).update(_module=module, _path=path, _parts=parts)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._module)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to run.

        Raises:
            UsageError: always, with what to accelerate instead.
        """
        __tracebackhide__ = True
        plain = all(name.isidentifier() for name in self._path.split("."))
        which = f"eager_model.{self._path}" if plain else f"eager_model.get_submodule({self._path!r})"
        self._parts.guard.refuse(
            f"cpu_model.{self._path}: would run a part of the model in eager mode; build that part alone with "
            f"cpu_accelerate({which})"
        )

    forward = generate = _call_impl = _wrapped_call_impl = __call__

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name in CHANGING:
            self._refuse_change(name)
        if unbound_method(type(self._module), self, sys._getframe(1)):
            self()
        value = getattr(self._module, name)
        if not isinstance(value, types.MethodType) or value.__self__ is not self._module:
            return self._parts.shown(value)
        if not hasattr(nn.Module, name) and type(self._module).__module__ != nn.ModuleDict.__module__:
            value = self._parts.guard.around(value, f"{self._path}.{name}")
        return self._parts.showing(value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        self._refuse_change(name)

    def __delattr__(self, name: str) -> NoReturn:
        self._refuse_change(name)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        self._refuse_change(str(key))

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise UsageError(f"cpu_model.{self._path}: can't be copied or pickled; copy eager_model's instead")

    def _refuse_change(self, name: str) -> NoReturn:
        refuse_change(f"{self._path}.{name}")

    def __getitem__(self, key: Any) -> Any:
        return self._parts.shown(self._module[key])

    def __iter__(self) -> Iterator[Any]:
        return (self._parts.shown(item) for item in self._module)

    def __len__(self) -> int:
        return len(self._module)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return key in self._module

    def __repr__(self) -> str:
        return repr(self._module)
