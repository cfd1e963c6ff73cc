"""The campaign's report as one HTML page that loads nothing: for the file, and for whoever asks for proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

_STATES = {
    "delivered": "delivered",
    "silent": "taken over by the provider, nothing heard of a failure in three days",
    "told_in_app": "no letter reaches them; told in the app",
    "left": "deleted or restricted since",
    "accepted": "taken over by the provider",
    "claimed": "being written to, or in doubt",
    "undeliverable": "no letter reaches them; to be told in the app",
    "queued": "waiting",
}
_WIDTH, _HEIGHT, _PAD = 640, 220, 40


def page(report: Mapping[str, Any]) -> str:
    """The page. ``report`` is what :func:`reporting.campaign_report` says, as JSON."""
    title = f"Notice of policy version {report['version']}"
    rows = [
        ("State", report["state"]),
        ("Applies from", report["effective_on"]),
        ("Everybody to be written to by", _moment(report["written_to_by"])),
        (
            "First and last letter",
            f"{_moment(report['first_dispatch'])} – {_moment(report['last_dispatch'])}",
        ),
        ("Days between the last letter and the effective date", report["days_ahead"] or "–"),
        ("Audience", f"{report['audience']:,}"),
        ("Accounted for", f"{report['accounted_for']:,} ({report['coverage']:.2%})"),
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body {{ margin: 0 auto; padding: 1.5rem; max-width: 44rem; font: 1rem/1.5 system-ui, sans-serif; }}
  table {{ border-collapse: collapse; width: 100%; margin: 1rem 0; }}
  th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc; vertical-align: top; }}
  td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
  svg text {{ font: 12px system-ui, sans-serif; }}
</style></head><body>
<h1>{escape(title)}</h1>
<p>As of {escape(_moment(report["as_of"]))}. Counts only; nothing on this page is about a single person.</p>
{_table(rows)}
<h2>What became of each letter</h2>
{_counts(report["states"], "People of the frozen audience")}
{_counts(report["joined_later"], "People who joined later") if report["joined_later"] else ""}
<h2>Written to over time</h2>
{_curve(report["curve"], report["audience"])}
<h2>Exceptions</h2>
{_reasons(report["reasons"])}
</body></html>
"""


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    body = "".join(f"<tr><th scope=row>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in rows)
    return f"<table>{body}</table>"


def _counts(states: Mapping[str, int], caption: str) -> str:
    body = "".join(
        f"<tr><td>{escape(_STATES.get(state, state))}</td><td class=n>{count:,}</td></tr>"
        for state, count in sorted(states.items(), key=lambda each: -each[1])
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"


def _reasons(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return "<p>None.</p>"
    body = "".join(
        f"<tr><td>{escape(reason.replace('_', ' '))}</td><td class=n>{count:,}</td></tr>"
        for reason, count in reasons.items()
    )
    return f"<table>{body}</table>"


def _curve(points: Sequence[Sequence[Any]], audience: int) -> str:
    if not points:
        return "<p>Nobody has been written to yet.</p>"
    instants = [datetime.fromisoformat(str(at)).timestamp() for at, _ in points]
    first, last = instants[0] - 3600, instants[-1]
    span = max(last - first, 1.0)
    top = max(audience, *(count for _, count in points))
    coordinates = [(_PAD, _HEIGHT - _PAD)] + [
        (
            _PAD + (at - first) / span * (_WIDTH - 2 * _PAD),
            _HEIGHT - _PAD - count / top * (_HEIGHT - 2 * _PAD),
        )
        for at, (_, count) in zip(instants, points, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in coordinates)
    begins, ends = escape(_moment(points[0][0])), escape(_moment(points[-1][0]))
    label = f"{points[-1][1]:,} of {audience:,} people written to by {_moment(points[-1][0])}"
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%">'
        f'<line x1="{_PAD}" y1="{_HEIGHT - _PAD}" x2="{_WIDTH - _PAD}" y2="{_HEIGHT - _PAD}" stroke="#666"/>'
        f'<line x1="{_PAD}" y1="{_PAD}" x2="{_WIDTH - _PAD}" y2="{_PAD}" stroke="#bbb" stroke-dasharray="4"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b5cad" stroke-width="2"/>'
        f'<text x="{_PAD}" y="{_PAD - 8}">{audience:,} people</text>'
        f'<text x="{_PAD}" y="{_HEIGHT - _PAD + 18}">{begins}</text>'
        f'<text x="{_WIDTH - _PAD}" y="{_HEIGHT - _PAD + 18}" text-anchor="end">{ends}</text>'
        f"</svg><p>{escape(label)}.</p>"
    )


def _moment(value: Any) -> str:
    return str(value)[:16].replace("T", " ") + " UTC" if value else "–"
