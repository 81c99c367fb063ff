"""Teacher-forced logits: those of one forward call over eager's tokens, of eager and of a backend."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import kl_div


@dataclass(frozen=True)
class ForcedLogits:
    """Logits (batch, length, vocabulary); ``logits[:, i]`` scores token ``i + 1``.

    ``expected64`` are eager's in fp64, ``rounding`` eager's in the backend's precision, ``actual`` the backend's; None
    where they are not known.
    """

    expected: torch.Tensor
    expected64: torch.Tensor | None = None
    rounding: torch.Tensor | None = None
    actual: torch.Tensor | None = None

    def between(self, start: int, stop: int) -> ForcedLogits:
        """Return the logits of some positions alone."""

        def cut(logits: torch.Tensor) -> torch.Tensor:
            return logits.detach()[:, start:stop]

        others = (None if item is None else cut(item) for item in (self.expected64, self.rounding, self.actual))
        return ForcedLogits(cut(self.expected), *others)

    def distance(self) -> tuple[float, float] | tuple[None, None]:
        """Mean KL divergence from eager's next-token distribution in nats, and share of equal best tokens."""
        if self.actual is None or self.actual.shape != self.expected.shape:
            return None, None
        of_eager, of_backend = self.expected.double().log_softmax(-1), self.actual.double().log_softmax(-1)
        kl = kl_div(of_backend, of_eager, reduction="none", log_target=True).sum(-1).mean()
        agreement = (self.actual.argmax(-1) == self.expected.argmax(-1)).double().mean()
        return float(kl), float(agreement)
