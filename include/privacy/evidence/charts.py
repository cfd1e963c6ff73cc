"""Pictures of the promise report: bars as inline SVG, readable aloud, without scripts.

Every picture has a title and a description, and the page shows its numbers as a table as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, ROW, TOP, BOTTOM = 720, 210, 26, 8, 26
_COLUMN_HEIGHT = 160


@dataclass(frozen=True)
class Bar:
    """A labelled span from ``start`` to ``end`` in the picture's unit; ``late`` is drawn differently."""

    label: str
    start: float
    end: float
    late: bool = False


def spans(title: str, description: str, bars: Sequence[Bar], limit: float, unit: str) -> str:
    """Horizontal spans against a line at ``limit``."""
    top = max([limit, *(bar.end for bar in bars)]) * 1.08 or 1.0
    scale = (WIDTH - LABEL - 10) / top
    height = TOP + ROW * len(bars) + BOTTOM
    parts = []
    for n, bar in enumerate(bars):
        y = TOP + n * ROW
        x, width = LABEL + bar.start * scale, max((bar.end - bar.start) * scale, 2)
        parts.append(f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(bar.label)}</text>')
        parts.append(_rectangle(x, y + 4, width, ROW - 10, late=bar.late))
    x = LABEL + limit * scale
    bottom = height - BOTTOM
    parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="CanvasText" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{limit:g} {escape(unit)}</text>')
    parts.append(f'<text x="{LABEL}" y="{height - 8}">0</text>')
    return _svg(title, description, height, parts)


def columns(title: str, description: str, counts: Sequence[tuple[str, int, bool]], unit: str) -> str:
    """Counts side by side: ``(label, count, late)``."""
    step = (WIDTH - 20) / max(len(counts), 1)
    most = max([count for _, count, _ in counts], default=0) or 1
    height = _COLUMN_HEIGHT + 56
    parts = []
    for n, (label, count, late) in enumerate(counts):
        x, tall = 10 + n * step, _COLUMN_HEIGHT * count / most
        middle = x + step / 2
        if count:
            parts.append(_rectangle(x + 3, 20 + _COLUMN_HEIGHT - tall, step - 6, max(tall, 2), late=late))
            at = 16 + _COLUMN_HEIGHT - tall
            parts.append(f'<text x="{middle:.1f}" y="{at:.1f}" text-anchor="middle">{count}</text>')
        label_at = f'x="{middle:.1f}" y="{_COLUMN_HEIGHT + 36}"'
        parts.append(f'<text {label_at} text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<text x="{WIDTH / 2:g}" y="{height - 4}" text-anchor="middle">{escape(unit)}</text>')
    return _svg(title, description, height, parts)


def _rectangle(x: float, y: float, width: float, height: float, *, late: bool) -> str:
    # Not by colour alone: what is late has an outline too.
    look = 'fill="#b3261e" stroke="CanvasText" stroke-width="2"' if late else 'fill="#3b6ea8"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {look}/>'


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    key = "".join(c for c in title.lower() if c.isalnum())
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-labelledby="t-{key} d-{key}">'
        f'<title id="t-{key}">{escape(title)}</title><desc id="d-{key}">{escape(description)}</desc>'
        + "".join(parts)
        + "</svg>"
    )
