"""A SHAP waterfall drawn as SVG by hand: how each feature moves the baseline's log-odds to the transaction's.

Read from the bottom: it begins at the typical honest transaction, E[f(x)]; red arrows raise the risk, blue ones lower
it; the top ends at this transaction, f(x). After Lundberg's waterfall plot, which names both by their formulas alone.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from apps.scoring.engine.models import sigmoid
from apps.scoring.engine.wording import number

Item = tuple[str, float | str | None, float]  # label, value, contribution in log-odds

MOST_BARS = 9  # the rest are drawn as one
WIDTH, SIDE = 360, 16  # px: the picture, readable on a telephone, and its margins
ROW, TOP, BOTTOM = 44, 96, 56  # px: a label with its arrow below it, what stands above the first and below the last
ARROW, THICK = 20, 18  # px: an arrow below the top of its row, and its thickness
MARK = 130  # px: half of what is written at a mark
TIP = 7  # px of an arrow's head
LEAST_SPAN = 0.1  # log-odds, so that a flat explanation still has an axis
LABEL_CUT = 28  # characters
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

STYLE = """
text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2933}
.title{font-size:15px;font-weight:600}.small{font-size:11px}.quiet{fill:#52606d}.end{text-anchor:end}.mid{text-anchor:middle}
.line{stroke:#cbd2d9;stroke-width:1}.mark{stroke:#7b8794;stroke-width:1;stroke-dasharray:3 3}
.up{fill:#d92d43}.down{fill:#1f6fd6}text.up,text.down{font-weight:600}.ground{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.quiet{fill:#9aa5b1}.line{stroke:#3e4c59}.mark{stroke:#7b8794}
.up{fill:#ff6b7d}.down{fill:#6aa9ff}.ground{fill:#161b22}}
"""


class Bar(NamedTuple):
    """One step: its label, and the log-odds before and after it."""

    label: str
    start: float
    stop: float


class Scale(NamedTuple):
    """Log-odds to pixels."""

    least: float
    per_unit: float

    def x(self, log_odds: float) -> float:
        return round(SIDE + (log_odds - self.least) * self.per_unit, 1)


def waterfall_svg(title: str, base: float, total: float, items: Sequence[Item], subtitle: str = "") -> str:
    """The SVG text. `base` + the items' contributions = `total`, all in log-odds. Every text is escaped."""
    bars = _bars(base, items)
    scale = _scale(bars, base, total)
    height = TOP + ROW * len(bars) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="waterfall-title waterfall-desc">',
        f'<title id="waterfall-title">{_text(" – ".join(filter(None, (title, subtitle))))}</title>',
        f'<desc id="waterfall-desc">{_text(_described(base, total, bars))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="{SIDE}" y="26">{_text(title)}</text>',
        f'<text class="quiet small" x="{SIDE}" y="46">{_text(subtitle)}</text>',
        _mark(scale, total, "This transaction", TOP - 24, TOP - 8, TOP + ROW * len(bars)),
        *[_drawn(scale, bar, TOP + ROW * row) for row, bar in enumerate(bars)],
        _mark(scale, base, "A typical honest one", height - 18, height - 34, TOP),
        "</svg>",
    ]
    return "\n".join(parts)


def _bars(base: float, items: Sequence[Item]) -> list[Bar]:
    """From the top of the picture down: the largest first, all the small ones as one at the bottom."""
    ranked = sorted(items, key=lambda item: -abs(item[2]))
    shown, others = ranked[:MOST_BARS], ranked[MOST_BARS:]
    steps = [(_label(label, value), contribution) for label, value, contribution in shown]
    if others:
        steps.append((f"{len(others)} others", sum(contribution for _, _, contribution in others)))
    bars, at = [], base
    for label, contribution in reversed(steps):
        bars.append(Bar(label, at, at + contribution))
        at += contribution
    return bars[::-1]


def _label(label: str, value: float | str | None) -> str:
    name = label if len(label) <= LABEL_CUT else label[: LABEL_CUT - 1] + "…"
    shown_value = "unknown" if value is None else value if isinstance(value, str) else number(value)
    return f"{name} = {shown_value}"[: LABEL_CUT + 10]


def _scale(bars: Sequence[Bar], base: float, total: float) -> Scale:
    points = [base, total, *[bar.start for bar in bars], *[bar.stop for bar in bars]]
    span = max(max(points) - min(points), LEAST_SPAN)
    room = 0.2 * span  # on each side, for the numbers beside the arrows
    return Scale(min(points) - room, (WIDTH - 2 * SIDE) / (span + 2 * room))


def _drawn(scale: Scale, bar: Bar, y: int) -> str:
    side = "up" if bar.stop >= bar.start else "down"
    start, stop = scale.x(bar.start), scale.x(bar.stop)
    beside, anchor = (stop + 6, "") if side == "up" else (stop - 6, " end")
    return (
        f'<text x="{SIDE}" y="{y + 14}">{_text(bar.label)}</text>'
        f'<line class="line" x1="{stop}" x2="{stop}" y1="{y - ROW + ARROW + THICK}" y2="{y + ARROW}"/>'
        f'<path class="{side}" d="{_arrow(start, stop, y + ARROW, THICK)}"/>'
        f'<text class="{side}{anchor}" x="{beside:.1f}" y="{y + ARROW + 14}">{bar.stop - bar.start:+.2f}</text>'
    )


def _arrow(start: float, stop: float, y: float, thick: float) -> str:
    """A bar from start to stop whose end points the way it goes."""
    neck = stop - min(TIP, stop - start) if stop >= start else stop + min(TIP, start - stop)
    return f"M{start:.1f} {y}L{neck:.1f} {y}L{stop:.1f} {y + thick / 2}L{neck:.1f} {y + thick}L{start:.1f} {y + thick}Z"


def _mark(scale: Scale, log_odds: float, name: str, text_y: int, from_y: int, to_y: int) -> str:
    x = scale.x(log_odds)
    said = f"{name}: {percent(sigmoid(log_odds))} (log-odds {log_odds:.2f})"
    return (
        f'<line class="mark" x1="{x}" x2="{x}" y1="{from_y}" y2="{to_y}"/>'
        f'<text class="quiet mid" x="{min(max(x, MARK), WIDTH - MARK)}" y="{text_y}">{_text(said)}</text>'
    )


def _described(base: float, total: float, bars: Sequence[Bar]) -> str:
    steps = "; ".join(f"{bar.label}: {bar.stop - bar.start:+.2f}" for bar in bars)
    return (
        f"A typical honest transaction has log-odds {base:.2f} (probability {percent(sigmoid(base))}); "
        f"this one has {total:.2f} (probability {percent(sigmoid(total))}). {steps}."
    )


def percent(probability: float) -> str:
    """A probability in percent, with the digits that matter near 0 and 1."""
    return f"{probability:.4%}" if probability < 0.001 or probability > 0.999 else f"{probability:.1%}"


def _text(text: str) -> str:
    """Escaped, and without the characters XML forbids."""
    return escape(_NOT_XML.sub("?", text))
