"""Draws what a proposal's table says: each gain with its bounds against its margin, and the first metric over versions.

1. The same proposal gives the same bytes with the same release of matplotlib: no date, no random names.
2. It is read in light and in dark. It brings its own background, so that it is readable on any page, and takes the
   other colours where the reader asks for dark. Colours never speak alone: outcomes have shapes of their own.
3. Text is text, with a title and a description for who does not see it. Names are from anybody: matplotlib escapes
   them, nothing in them is read as a formula, and the file refers to nothing outside of itself.
4. It is no evidence. Without matplotlib, which the extra `picture` brings, there is none.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from bot.core.comparison import Comparison, Row, has_margin, is_known
from bot.core.proposal import Proposal
from bot.views import words
from bot.views.escape import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS: Final = 12
_VERSIONS: Final = 40
_NAME: Final = 36
_LARGEST: Final = 1e50
_WIDTH: Final = 9.0
_INK: Final = "#1f2328"
_PAPER: Final = "#ffffff"
_QUIET: Final = "#59636e"
_LINE: Final = "#d1d9e0"
_DARK: Final[Mapping[str, str]] = {
    _INK: "#f0f6fc",
    _PAPER: "#0d1117",
    _QUIET: "#9198a1",
    _LINE: "#3d444d",
    "#1a7f37": "#3fb950",
    "#cf222e": "#f85149",
    "#9a6700": "#d29922",
    "#0969da": "#4493f8",
}
"""Each colour in light, and the one in dark that takes its place."""
_CANDIDATE: Final = "#0969da"
_LOOKS: Final[Mapping[str, tuple[str, str]]] = {
    "pass": ("#1a7f37", "o"),
    "fail": ("#cf222e", "X"),
    "inconclusive": ("#9a6700", "D"),
}
_SETTINGS: Final[Mapping[Any, object]] = {
    "svg.hashsalt": "stagewright",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _LINE,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
}
_PROLOGUE: Final = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Bar:
    """One gain on a scale of its own, on which its margin is 0 and the farthest mark is 1 or -1."""

    row: Row
    text: words.RowText
    gain: float
    lower: float | None
    upper: float | None
    nothing: float


@dataclass(frozen=True, slots=True)
class _Point:
    """The first metric of one version."""

    version: int
    value: float


def picture(proposal: Proposal) -> bytes | None:
    """The picture as SVG; None without matplotlib, and where there is nothing to be seen."""
    bars, points = _bars(proposal.comparison), _points(proposal)
    if find_spec("matplotlib") is None or not (bars or len(points) > 1):
        return None
    drawn = _drawn(proposal, bars, points)
    return _finished(drawn, _title(proposal), _description(_nearest(bars), points)).encode()


def _bars(comparison: Comparison) -> Sequence[_Bar]:
    """Every gain that has a margin, in order."""
    pairs = zip(comparison.rows, words.row_texts(comparison), strict=True)
    return [bar for row, text in pairs if has_margin(row.criterion) and (bar := _bar(row, text))]


def _nearest(bars: Sequence[_Bar]) -> Sequence[_Bar]:
    """As many as there is room for, in order: of slices those that are nearest to their margin, or miss it most."""
    places = range(len(bars))
    first = sorted(places, key=lambda place: (words.SLICE in bars[place].text.marks, bars[place].gain))
    return [bars[place] for place in sorted(first[:_ROWS])]


def _bar(row: Row, text: words.RowText) -> _Bar | None:
    given = row.criterion.min_gain, row.criterion.max_loss
    margin = row.judged.margin if row.judged else given[0] or given[1]
    if margin is None:
        return None
    needed = float(margin.amount) * (-1 if margin is given[1] else 1)
    gain = row.relative_gain if margin.relative else row.gain
    bounds = (row.judged.lower, row.judged.upper) if row.judged else (None, None)
    marks = [gain, *bounds, 0.0]
    known = [mark - needed for mark in marks if mark is not None and abs(mark) <= _LARGEST]
    if gain is None or max(abs(gain), abs(needed)) > _LARGEST:
        return None
    scale = max(map(abs, known)) or 1.0
    lower, upper = (None if bound is None else (bound - needed) / scale for bound in bounds)
    return _Bar(row, text, (gain - needed) / scale, lower, upper, -needed / scale)


def _points(proposal: Proposal) -> tuple[_Point, ...]:
    """The first required metric of the incumbent, of the candidate and of the newest others that have a number."""
    first = next(row for row in proposal.comparison.rows if row.criterion.required)
    others = [one.comparison for one in proposal.others if one.comparison]
    comparisons = (proposal.comparison, *others[: _VERSIONS - 2])
    rows = (
        (it.candidate.identity.version, row.candidate) for it in comparisons for row in it.rows if _same(row, first)
    )
    values = dict(rows) | ({proposal.incumbent.version: first.incumbent} if proposal.incumbent else {})
    return tuple(
        _Point(version, value)
        for version, value in sorted(values.items())
        if is_known(value) and abs(value) <= _LARGEST
    )


def _same(row: Row, other: Row) -> bool:
    return (row.index, row.metric) == (other.index, other.metric)


def _drawn(proposal: Proposal, bars: Sequence[_Bar], points: Sequence[_Point]) -> str:
    import matplotlib as mpl  # noqa: PLC0415 - it takes half a second, and is an extra
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    with mpl.rc_context(dict(_SETTINGS)), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks: the reader's font may have it
        shown = _nearest(bars)
        heights = ([0.5 + 0.36 * len(shown)] if shown else []) + ([1.9] if len(points) > 1 else [])
        figure = Figure(
            figsize=(_WIDTH, sum(heights) + 0.75 * len(heights)),
            facecolor=_PAPER,
            layout=ConstrainedLayoutEngine(h_pad=0.12),
        )
        axes = iter(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
        if bars:
            _draw_gains(next(axes), shown, len(bars))
        if len(points) > 1:
            _draw_versions(next(axes), proposal, points)
        return _saved(figure)


def _saved(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, facecolor=_PAPER)
    return out.getvalue()


def _draw_gains(axes: Axes, bars: Sequence[_Bar], count: int) -> None:
    which = "Gains" if len(bars) == count else f"{len(bars)} of {count:,} gains"
    axes.set_title(
        f"{which} against their margins, each on a scale of its own (small tick: no gain)",
        loc="left",
        color=_INK,
        fontsize=10,
    )
    axes.axvline(0, color=_INK, linewidth=1)
    for place, bar in enumerate(reversed(bars)):
        color, shape = _LOOKS.get(bar.row.outcome, (_QUIET, "o"))
        ends = (-1.08 if bar.lower is None else bar.lower, 1.08 if bar.upper is None else bar.upper)
        if bar.lower is not None or bar.upper is not None:
            axes.plot(ends, (place, place), color=color, linewidth=2.2, solid_capstyle="butt")
        axes.plot([bar.nothing], [place], marker="|", markersize=9, color=_QUIET, linestyle="none")
        face = color if bar.row.judged else _PAPER
        axes.plot([bar.gain], [place], marker=shape, markersize=7, color=color, markerfacecolor=face)
        axes.text(1.16, place, _beside(bar), va="center", color=_INK)
    names = [f"{bar.text.direction} {printable(bar.text.metric, _NAME)}" for bar in reversed(bars)]
    axes.set_yticks(range(len(bars)), names, color=_INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([-0.55, 0, 0.55], ["◂ misses it", "margin", "meets it ▸"], color=_QUIET)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-1.1, 1.1)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.spines["left"].set_visible(False)


def _beside(bar: _Bar) -> str:
    interval = f" ({bar.text.interval})" if bar.text.interval else ""
    return printable(f"{bar.text.gain}{interval}, needs {bar.text.needed}", 90)


def _draw_versions(axes: Axes, proposal: Proposal, points: Sequence[_Point]) -> None:
    first = next(row for row in proposal.comparison.rows if row.criterion.required)
    direction = "higher" if first.criterion.goal == "maximize" else "lower"
    name = printable(first.metric, _NAME)
    axes.set_title(
        f"{name} of the versions that were looked at ({direction} is better)", loc="left", color=_INK, fontsize=10
    )
    places = {point.version: place for place, point in enumerate(points)}
    values = {point.version: point.value for point in points}
    axes.plot(list(places.values()), [values[one] for one in places], "o", color=_QUIET, markersize=5)
    _draw_sides(axes, proposal, places, values)
    axes.set_xticks(
        list(places.values()), [f"v{version}" for version in places], rotation=0 if len(points) <= 20 else 90
    )
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.margins(y=0.25)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.grid(axis="y", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_sides(axes: Axes, proposal: Proposal, places: Mapping[int, int], values: Mapping[int, float]) -> None:
    sides = [(proposal.candidate.version, _CANDIDATE, "*", 13, "candidate")]
    if proposal.incumbent:
        sides.append((proposal.incumbent.version, _INK, "s", 8, printable(proposal.slot, _NAME)))
    for version, color, shape, size, label in sides:
        if version in places:
            if shape == "s":
                axes.axhline(values[version], color=color, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.plot([places[version]], [values[version]], shape, color=color, markersize=size)
            side = "left" if places[version] < len(places) / 12 else "center"
            at = places[version], values[version]
            axes.annotate(label, at, (0, 9), textcoords="offset points", ha=side, color=color)


def _title(proposal: Proposal) -> str:
    sides = words.move_text(proposal.incumbent, proposal.candidate)
    return f"{printable(proposal.model, _NAME)} {printable(proposal.slot, _NAME)}: {sides}"


def _description(bars: Sequence[_Bar], points: Sequence[_Point]) -> str:
    """The picture in words, for who does not see it."""
    gains = [f"{printable(bar.text.metric, _NAME)}: {_beside(bar)}, {bar.text.outcome}." for bar in bars]
    values = ", ".join(f"v{point.version} {point.value:.6g}" for point in points) if len(points) > 1 else ""
    return " ".join([*gains, *([f"First metric by version: {values}."] if values else [])])


def _finished(drawn: str, title: str, description: str) -> str:
    """Without what points outside or says nothing, with a title, a description and the colours for dark."""
    svg = _METADATA.sub("", _PROLOGUE.sub("", drawn, count=1), count=1)
    dark = "".join(
        f'[style*="fill: {light}"]{{fill:{night}!important}}[style*="stroke: {light}"]{{stroke:{night}!important}}'
        for light, night in _DARK.items()
    )
    told = (
        f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
        f"<style>@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
    )
    opened = svg.replace("<svg ", '<svg role="img" aria-labelledby="title description" ', 1)
    end = opened.index(">") + 1
    return f"{opened[:end]}\n{told}{opened[end:].lstrip()}"
