"""An entry point, ``module:function``: the user's function that returns a model and inputs of its calls."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from pytest_cpuaccel.builder.calibration import inputs_of
from pytest_cpuaccel.core.call import Method
from pytest_cpuaccel.core.errors import Terminated, UsageError, UserCodeError
from pytest_cpuaccel.core.suggestion import suggestion
from pytest_cpuaccel.gate.example import Examined, Example

_FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_RETURNS = "return (model, inputs): inputs are a dict of keywords, a tuple of arguments, a tensor, or a list of such"


def is_entry_point(text: str) -> bool:
    """Tell whether a text has the form of an entry point, ``package.module:function``."""
    return _FORM.fullmatch(text) is not None


def check_source(text: str) -> None:
    """Check that a text may be a folder, a hub id or an entry point.

    Raises:
        UsageError: it is a file, or an entry point in another form.
    """
    path = Path(text).expanduser()
    if path.is_file():
        what_would_do = f"{path.stem}:function" if path.suffix == ".py" else "the folder that it lies in"
        raise UsageError(f"FOLDER_OR_ID: {text!r} is a file; give {what_would_do}")
    file, colon, function = text.partition(":")
    if not colon or path.exists():
        return
    if file.endswith(".py") and function.isidentifier():
        module = ".".join(Path(file[: -len(".py")]).parts)
        raise UsageError(f"FOLDER_OR_ID: {text!r} names a file; write module:function, {module}:{function}")
    if not is_entry_point(text):
        raise UsageError(f"FOLDER_OR_ID: {text!r} names no function; write module:function, such as served:ranker")


def examined_by(text: str, method: Method, resolve: Callable[[object, str], nn.Module]) -> Examined:
    """Return what the function at an entry point returns; modules are sought in the current folder too.

    ``method`` is the one that its inputs are for. ``resolve(model, name)`` returns the model of what the user gave.

    Raises:
        UsageError: there is no such module or function, or it returns something else.
        UserCodeError: the user's code raises.
        EagerError: the model can't be a reference.
    """
    returned = _called(_function(text), text)
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise UsageError(f"{text} returns {_kind(returned)}; {_RETURNS}")
    source, inputs = returned
    model = resolve(source, text)
    if method == "generate" and not hasattr(model, "generate"):
        raise UsageError(f"{text}: {type(model).__name__} has no generate(); leave out --task")
    given = inputs if isinstance(inputs, list) else [inputs]
    if not given:
        raise UsageError(f"{text} returns no inputs; {_RETURNS}")
    is_list = given is inputs
    places = [f"{text}: item {n} of the inputs" if is_list else f"{text}: the second value" for n in range(len(given))]
    for item, place in zip(given, places, strict=True):
        if isinstance(item, (tuple, dict)) and not item:
            raise UsageError(f"{place} is an empty {type(item).__name__}; {_RETURNS}")
    examples = [Example(method, inputs_of(item, place)) for item, place in zip(given, places, strict=True)]
    return Examined(text, model, tuple(examples), inputs_are_given=True)


def model_at(text: str, resolve: Callable[[object, str], nn.Module]) -> nn.Module:
    """Return the model that the function at an entry point returns, alone or with inputs, as in :func:`examined_by`."""
    returned = _called(_function(text), text)
    is_pair = isinstance(returned, (tuple, list)) and len(returned) == 2
    return resolve(returned[0] if is_pair else returned, text)


def _function(text: str) -> Callable[[], Any]:
    module_name, _, path = text.partition(":")
    found: Any = _module(module_name, text)
    for name in path.split("."):
        if not hasattr(found, name):
            offered = _offered(found)
            hint = f"; {suggestion(name, offered)}" if offered else ""
            raise UsageError(f"{text}: {module_name} has no {name!r}{hint}")
        found = getattr(found, name)
    if isinstance(found, nn.Module) or not callable(found):
        raise UsageError(f"{text} is {_kind(found)}, not a function; write one without arguments that is to {_RETURNS}")
    try:
        inspect.signature(found).bind()
    except TypeError as refusal:
        raise UsageError(f"{text} takes arguments ({refusal}); write a function without arguments") from None
    except ValueError:  # a built-in has no signature
        pass
    return found  # type: ignore[no-any-return]


def _offered(found: Any) -> list[str]:
    """The names of the functions that a module or class defines itself."""
    own = getattr(found, "__name__", None) if inspect.ismodule(found) else None
    return [
        name
        for name, value in vars(found).items()
        if callable(value)
        and not name.startswith("_")
        and not isinstance(value, type)
        and own in (None, getattr(value, "__module__", own))
    ]


def _module(name: str, text: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and f"{name}.".startswith(f"{missing.name}."):
            raise UsageError(f"{text}: no module {missing.name!r} in {here!r} or among installed packages") from None
        raise UserCodeError(f"{text}: importing {name} raises {type(missing).__name__}", missing) from missing
    except Terminated:
        raise
    except SystemExit:
        raise UsageError(f"{text}: importing {name} raises SystemExit") from None
    except Exception as error:
        raise UserCodeError(f"{text}: importing {name} raises {type(error).__name__}", error) from error


def _called(function: Callable[[], Any], text: str) -> Any:
    try:
        returned = function()
    except Terminated:
        raise
    except SystemExit:
        raise UsageError(f"{text} raises SystemExit") from None
    except Exception as error:
        raise UserCodeError(f"{text} raises {type(error).__name__}", error) from error
    if inspect.iscoroutine(returned):
        returned.close()
    if inspect.iscoroutine(returned) or inspect.isasyncgen(returned):
        raise UsageError(f"{text} is async; write a function without async that is to {_RETURNS}")
    return returned


def _kind(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
