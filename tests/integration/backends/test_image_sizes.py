"""The sizes of images that an export by torch.export takes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pytest_cpuaccel.backends.toolkit.runtime import Converter
from pytest_cpuaccel.backends.toolkit.runtime_export import export_program
from pytest_cpuaccel.core.backend import Subject
from pytest_cpuaccel.core.inputs import Inputs


class Images(nn.Module):
    """A part of it says whether it cuts images into windows."""

    def __init__(self, **configured: int) -> None:
        super().__init__()
        self.part = nn.Conv2d(1, 2, 3, padding=1)
        self.part.config = SimpleNamespace(**configured)  # type: ignore[assignment]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return a number for each pixel and channel."""
        return self.part(pixels)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("configured", "is_free"), [({}, True), ({"window_size": 7}, False)])
def test_windows_fix_the_size_of_images_and_not_their_number(
    configured: dict[str, int], is_free: bool, tmp_path: Path
) -> None:
    model = Images(**configured)
    pixels = torch.zeros(2, 1, 8, 8)
    subject = Subject(lambda: model, Inputs((pixels,)), model(pixels).detach(), threads=1)
    shapes = export_program(Converter("none", lambda *_: None), subject, model, tmp_path).shapes
    assert shapes.include([(5, 1, 8, 8)])
    assert shapes.include([(2, 1, 16, 24)]) is is_free
