"""Every constant of measuring parity, with its reason."""

from __future__ import annotations

LONG_SUM = 1024
"""Terms of a sum up to which a plain running sum stays below the floor of fp32: it is off by 0.3 sqrt(N) u, 6e-7."""

LONG_PRODUCT = 8192
"""Terms of a matrix product or convolution up to which a plain running sum (off by 1.6e-6) lies within k times the
rounding of eager's own (4e-7, seen at 8192 terms)."""

MOST_REORDERED = 1 << 26
"""Additions in running sums for one reference: four seconds on one core. Beyond, a sum's length alone counts."""

SELF_AGREEMENT = 1e-6
"""Relative difference allowed between two runs of eager: threads may add in another order, no more."""

INFINITE = 1e30
"""Values beyond this stand for infinity: masked scores are often ``finfo(dtype).min``, which differs by dtype."""
