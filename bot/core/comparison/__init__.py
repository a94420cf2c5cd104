"""Deciding whether one candidate is better than the incumbent.

1. A gain is signed so that positive is better: candidate minus incumbent when the goal is to maximize, incumbent minus
   candidate when it is to minimize. A margin in % is a share of |incumbent|, so an incumbent of zero, or one so small
   that the share is beyond a float, makes such a row unknown.
2. A number that is missing, NaN, infinite or no number at all never passes: its row is unknown and the verdict
   `incomparable`, also for a first version, since nothing could ever be compared with it. MLflow returns an infinite
   metric as the largest float, so that one counts as infinite. Only a criterion without margins does without the
   incumbent's number.
3. Margins may be zero or negative ("no worse than"). A number on the boundary passes: the arithmetic is exact, on the
   shortest decimal form of each float, so that from 0.20 to 0.198 is a gain of 1%, whatever binary rounding says.
4. Noise takes a pass away and never gives one: a gain that meets its margin, but not surely enough at the level that
   the candidate is tested at, is inconclusive (see `bot.core.noise`). Floors are on the number as it is. Where noise is
   unknown the row says so, and the policy may forbid to promote on it.
5. A pair is comparable only when the runs of both can be read and, where the policy says `must_match`, each names
   exactly one evaluation data digest and both the same. Several digests are as good as none: which one a metric comes
   from is unknown. Other differences forbid what the policy says (see `bot.core.traits`).
6. Without an incumbent only `at_least` and `at_most` are judged. A criterion without them has nothing to compare and
   does not block; when no criterion has them, the verdict is `reject`, since nothing would have been judged at all.
7. A gain above `max_gain` is inconclusive until somebody acknowledges it in the model's file: a leak looks like that.
   Over an incumbent of zero any gain is above a `max_gain` in %.
8. A criterion with `slices` is judged for its metric and for every metric of either side that matches, those aside that
   hold the noise of another one (`val_auc/region:EU_fold`). A slice that one side lacks is unknown, and so is a
   criterion with a pattern that nothing matches.
9. A row that is not required informs; the verdict does not depend on it. Where nothing is required the verdict is
   `reject`, since nothing would have been judged.
10. The verdict is `incomparable` when anything needed is unknown, else `reject` when a row fails, else `inconclusive`
    when a row is, else `promote`.
"""

from bot.core.comparison.measured import Measured, is_known, measured, name_of
from bot.core.comparison.rows import (
    Estimates,
    Known,
    Outcome,
    Row,
    has_floor,
    has_margin,
    margin_text,
    metrics_of,
    signed,
)
from bot.core.comparison.verdict import Comparison, Verdict, at_level, compare, full_level

__all__ = [
    "Comparison",
    "Estimates",
    "Known",
    "Measured",
    "Outcome",
    "Row",
    "Verdict",
    "at_level",
    "compare",
    "full_level",
    "has_floor",
    "has_margin",
    "is_known",
    "margin_text",
    "measured",
    "metrics_of",
    "name_of",
    "signed",
]
