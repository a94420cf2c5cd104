"""Time and requests of `propose` against the number of models, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measured
from benchmarks.row import Results
from benchmarks.rows.growth import SIZES, VERSIONS, key
from benchmarks.rows.registry import FLOOR, OURS, SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def draw(found: Mapping[str, Results], file: Path) -> bool:
    """Draw what the rows of `growth` found; False where they were not measured."""
    sizes = [models for models in SIZES if key(models) in found]
    if len(sizes) < 2:
        return False
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "stagewright", "svg.fonttype": "none", "font.size": 9}):
        figure, (times, requests) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
        _lines(times, found, sizes, "seconds", lambda one: one.wall_s)
        _lines(requests, found, sizes, "requests to MLflow", lambda one: float(one.mlflow))
        figure.suptitle(f"propose --dry-run, {VERSIONS} versions of each model")
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)
    return True


def _lines(
    axes: Axes, found: Mapping[str, Results], sizes: list[int], label: str, value: Callable[[Measured], float]
) -> None:
    for name, marker in ((SCRIPT, "s"), (OURS, "o"), (FLOOR, "^")):
        points = [(models, value(found[key(models)][name])) for models in sizes if name in found[key(models)]]
        axes.loglog([x for x, _ in points], [y for _, y in points], marker=marker, label=name)
    axes.set_xlabel("models")
    axes.set_ylabel(label)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
