"""Counts of the operators that torch runs in a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class OperatorCalls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, while entered, the operators for which ``counts(operator, result)`` is true.

    A dispatch mode sees them below autocast; a function mode would keep ``nn.TransformerEncoder`` from fusing.
    """

    def __init__(self, counts: Callable[[Any, Any], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.count += self.counts(func, result)
        return result


def is_fused_encoder_layer(operator: Any, result: Any) -> bool:  # noqa: ARG001
    """Tell whether the operator is a whole ``nn.TransformerEncoderLayer``."""
    return operator is torch.ops.aten._transformer_encoder_layer_fwd.default


def is_bf16_product(operator: Any, result: Any) -> bool:
    """Tell whether the operator is a bfloat16 matrix product or convolution, of those that torch counts FLOPs of."""
    product = result[0] if isinstance(result, tuple) else result
    return operator._overloadpacket in flop_registry and product.dtype == torch.bfloat16
