"""Student's t and the normal distribution, from scipy.special.

Imported on first use only: it costs a fifth of a second, which commands that judge nothing do not pay.
"""

from __future__ import annotations


def t_upper_tail(t: float, df: float) -> float:
    """The chance of a value above `t`, exact far out too. `df` is above 0; infinity is the normal distribution."""
    from scipy.special import stdtr

    return float(stdtr(df, -t))


def t_critical(level: float, df: float) -> float:
    """The t that is exceeded with the chance `level`, which is above 0 and at most 0.5."""
    from scipy.special import ndtri, stdtrit

    return -float(ndtri(level) if df == float("inf") else stdtrit(df, level))
