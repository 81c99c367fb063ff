"""What eager's modules give for a call, which those of a backend are compared with."""

import torch
from torch import nn
from torch.nn import functional

from pytest_cpuaccel.core.call import Call
from pytest_cpuaccel.core.inputs import Inputs
from pytest_cpuaccel.diagnose.localize.reference import eager_modules


class Attention(nn.Module):
    """As in a decoder of transformers: a mask of the least number, and softmax in fp32."""

    def forward(self, x, mask):
        scores = (x @ x.mT).masked_fill(~mask, torch.finfo(x.dtype).min)
        return functional.softmax(scores, dim=-1, dtype=torch.float32).to(x.dtype) @ x


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Attention(), Attention()])

    def forward(self, x, attention_mask):
        length = x.shape[1]
        mask = torch.ones(length, length).tril().bool() & attention_mask.bool()[:, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return x


def test_padding_on_the_left_leaves_all_modules_comparable():
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    inputs = Inputs(kwargs={"x": torch.randn(2, 4, 8), "attention_mask": mask})
    modules = eager_modules(Decoder().eval(), Call("forward", inputs, None))
    for place in ("layers.0", "layers.1", ""):
        assert modules.error_of(place, modules.rounded[place].output).ratio <= 1
        assert modules.exact[place].output.dtype is torch.float64
