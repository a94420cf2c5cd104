"""How much of a gain chance could explain, and whether what remains meets a margin.

`estimate` weighs two measurements of one metric, `judge` tests the gain against a margin, `holm` sets the level that
each candidate is tested at. docs/deciding.md has the formulas and a worked example.

 1. Noise is known from repeated measurements (`Folds`: one value per fold or seed), from single examples (`Examples`)
    or from a logged standard error (`StandardError`). Anything else is `Unknown`, with the reason: nothing logged,
    fewer than 2 folds or 50 examples, a number that is NaN, infinite or beyond 1e50, values or differences that do not
    vary at all. Five equal values are one value logged five times more often than they are five measurements.
 2. The sides are paired when they were measured on the same evaluation data and by the same folds, seeds or examples;
    then the differences are what varies (Student 1908). Otherwise each side varies for itself (Welch 1947). Two
    standard errors are never paired and are taken as exact, with the normal distribution. `Estimate.method` says
    which.
 3. Folds that share training data (`resampled`) are no independent measurements: the variance of their mean is
    s²·(1/k + n_test/n_train) instead of s²/k (Nadeau and Bengio 2003). Where the ratio is not known it is that of
    k-fold cross-validation, 1/(k - 1). Seeds are independent repetitions, for what a seed changes.
 4. Examples are as skewed as errors are, so t is corrected for skewness by the transformation of Hall (1992): the
    studentized bootstrap (Efron and Tibshirani 1993, chapter 12) to second order, in closed form. The more careful of
    the corrected and the plain t counts, so that the correction takes a promotion away and never grants one. It needs
    50 examples, 10 of them with a difference.
 5. A margin in % is tested in its linear form, gain - margin·|incumbent|, whose noise contains that of the incumbent
    (Fieller 1954), rather than as a ratio. A share of something can be no surer than that this is not zero: t is never
    beyond the t of the incumbent against zero.
 6. Everything is one-sided. Tested is the hypothesis that the true gain is below the margin; p <= level rejects it,
    and so the gain meets the margin. Margins may be zero or negative ("no worse than") and are tested alike.
 7. A gain below its margin fails, a gain that meets it with p <= level passes, and between the two it straddles. So
    noise takes a pass away and never gives one.
 8. All criteria of one candidate have to pass, so that each is tested at the full level and the candidate's p is the
    largest of theirs (intersection-union, Berger 1982). Of several candidates one has to pass: Holm (1979).
 9. The family of a candidate is every candidate that was first looked at from one window before it was, up to now. It
    never shrinks, so that waiting for a quiet week makes nothing significant (`looked_at_with`).
10. A family that is looked at while it grows holds its level when the number of candidates to expect is given to `holm`
    beforehand. Those to come count as if their p were 1, and Holm only rejects more as p-values fall: what an early
    look rejects, the last one would have rejected too. Should more come than expected, one by one and after a window
    without any, the level is exceeded by what `if_one_by_one` says; looked at together they hold it.
11. Sums are exactly rounded and results have 10 significant digits, so that neither the order of the values nor
    another machine or release of a library changes a byte.

Sources: Student (1908), Biometrika 6:1-25. Welch (1947), Biometrika 34:28-35. Fieller (1954), JRSS B 16:175-185. Holm
(1979), Scandinavian Journal of Statistics 6:65-70. Berger (1982), Technometrics 24:295-300. Hall (1992), JRSS B
54:221-228. Efron and Tibshirani (1993), An Introduction to the Bootstrap. Nadeau and Bengio (2003), Machine Learning
52:239-281.
"""

from bot.core.noise.family import Step, holm, if_one_by_one, looked_at_with
from bot.core.noise.gain import Estimate, Source, estimate
from bot.core.noise.judging import Judged, Outcome, judge, p_value
from bot.core.noise.values import Examples, Folds, Noise, StandardError, Unknown

__all__ = [
    "Estimate",
    "Examples",
    "Folds",
    "Judged",
    "Noise",
    "Outcome",
    "Source",
    "StandardError",
    "Step",
    "Unknown",
    "estimate",
    "holm",
    "if_one_by_one",
    "judge",
    "looked_at_with",
    "p_value",
]
