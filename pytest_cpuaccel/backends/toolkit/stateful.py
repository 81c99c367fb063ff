"""Key/value caches that OpenVINO itself keeps: as variables of a graph, one set for each inference request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import openvino
import torch
from openvino import opset13
from openvino.passes import MakeStateful, Manager
from transformers.cache_utils import DynamicLayer

from pytest_cpuaccel.backends.toolkit.kv_cache import CacheLayout
from pytest_cpuaccel.backends.toolkit.openvino_tensors import from_openvino, to_openvino
from pytest_cpuaccel.core.errors import BuildError

ROWS = "beam_idx"
"""The input with the cache row that each row of new tokens continues; the name is that of OpenVINO's tools."""

Tensors = tuple[torch.Tensor, ...]


def make_stateful(model: Any, layout: CacheLayout) -> None:
    """Turn the cache's inputs and outputs into variables, and add the input :data:`ROWS`, (batch,) of int32.

    A variable is read, gathered by rows, extended and written: OpenVINO fuses this order with attention.
    """
    rows = opset13.parameter([-1], dtype=openvino.Type.i32, name=ROWS)
    rows.output(0).get_tensor().set_names({ROWS})
    first = opset13.constant(0, dtype=openvino.Type.i64)
    for name in layout.inputs:
        port = model.input(name)
        readers = port.get_target_inputs()
        gathered = opset13.gather(port, rows, first)
        for reader in readers:
            reader.replace_source_output(gathered.output(0))
    model.add_parameters([rows])
    batch = opset13.gather(opset13.shape_of(model.inputs[0], "i64"), opset13.constant([0]), first)
    model.validate_nodes_and_infer_types()
    passes = Manager()
    passes.register_pass(MakeStateful(dict(zip(layout.inputs, layout.outputs, strict=True))))
    passes.run_passes(model)
    _start_empty(model, layout, batch)
    model.validate_nodes_and_infer_types()


def _start_empty(model: Any, layout: CacheLayout, batch: Any) -> None:
    """Start each variable without a token, with the rows of the first step."""
    variables = map("".join, zip(layout.inputs, layout.outputs, strict=True))
    sizes = dict(zip(variables, layout.sizes, strict=True))
    zero = opset13.constant(0.0, dtype=openvino.Type.f32)
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            heads, width = sizes[node.get_variable_id()]
            shape = opset13.concat([batch, opset13.constant([heads, 0, width], dtype=openvino.Type.i64)], 0)
            node.set_arguments([opset13.broadcast(zero, shape)])


class StateLayer(DynamicLayer):  # type: ignore[misc]
    """Represents all layers of a cache whose keys and values are in the variables of an inference request.

    ``rows`` are the variables' rows that the next step continues; None if nothing was reordered.
    """

    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request
        self.length = 0
        self.rows: torch.Tensor | None = None
        self._batch = 0

    def step(self, batch: int, length: int) -> torch.Tensor:
        """Return the rows that a step of this size continues, and count the step."""
        rows = torch.arange(batch) if self.rows is None else self.rows
        self.rows, self._batch, self.length = None, batch, self.length + length
        return rows.int()

    def get_seq_length(self) -> int:
        """Return the number of tokens that the variables hold."""
        return self.length

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Let the next step go on from these rows."""
        rows = torch.arange(self._batch) if self.rows is None else self.rows
        self.rows = rows[beam_idx.long()]

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Let the next step go on from these rows."""
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Let the next step go on from each row several times."""
        self.reorder_cache(torch.arange(self._batch).repeat_interleave(repeats))

    def reset(self) -> None:
        """Empty the variables."""
        self.request.reset_state()
        self.length, self.rows = 0, None

    def crop(self, tokens_to_remove: int) -> None:
        """Remove the last tokens: that many if the number is below 0, else all beyond that length."""
        length = self.length + tokens_to_remove if tokens_to_remove < 0 else min(self.length, tokens_to_remove)
        if tokens_to_remove and length < self.length:
            for variable in self.request.query_state():
                variable.state = openvino.Tensor(variable.state.data[:, :, :length].copy())
            self.length = length

    def __deepcopy__(self, memo: object) -> StateLayer:
        """Return the layer itself, because an inference request can't be copied."""
        return self


def run_of(compiled: Any, inputs: Sequence[str], count: int) -> Callable[[Tensors, Any | None], list[torch.Tensor]]:
    """Return a function that runs a step of a stateful model with these inputs, :data:`ROWS`, and ``count`` outputs."""
    place_of = {port.any_name: place for place, port in enumerate(compiled.inputs)}
    places = [place_of[name] for name in (*inputs, ROWS)]
    alone = StateLayer(compiled.create_infer_request())

    def run(tensors: Tensors, cache: Any | None) -> list[torch.Tensor]:
        layer = alone if cache is None else _layer(compiled, cache)
        if cache is None:
            layer.reset()
        rows = layer.step(*tensors[0].shape)
        for place, tensor in zip(places, (*tensors, rows), strict=True):
            layer.request.set_input_tensor(place, to_openvino(tensor))
        layer.request.infer()
        return [from_openvino(layer.request.get_output_tensor(place)) for place in range(count)]

    return run


def _layer(compiled: Any, cache: Any) -> StateLayer:
    """Return the layer of a cache; an empty cache's own layers are replaced by it.

    Raises:
        BuildError: it holds keys and values outside the variables.
    """
    layers = cache.layers
    if len(layers) == 1 and isinstance(layers[0], StateLayer):
        return layers[0]
    if cache.get_seq_length():
        raise BuildError("the exported graph keeps its cache itself, and goes on from none that was filled elsewhere")
    cache.layers = [StateLayer(compiled.create_infer_request())]
    layer: StateLayer = cache.layers[0]
    return layer
