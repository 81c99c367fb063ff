"""OpenVINO's inference requests, whoever makes them: Optimum makes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def finished_requests(note: Callable[[Any], object]) -> Iterator[None]:
    """Have ``note`` called with every request that has just run, of all models in this process."""
    import openvino

    methods = {name: getattr(openvino.InferRequest, name) for name in ("infer", "start_async")}

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(request: Any, *args: Any, **kwargs: Any) -> Any:
            answer = method(request, *args, **kwargs)
            request.wait()
            note(request)
            return answer

        return run

    for name, method in methods.items():
        setattr(openvino.InferRequest, name, noting(method))
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(openvino.InferRequest, name, method)
