"""The effect of speaking first as SVG: shares of both groups with their intervals."""

from functools import lru_cache

import altair as alt

from dialogues.proactive.effect import Measure
from knowledge.charts import as_svg

WIDTH, HEIGHT = 420, 34  # pixels; the page scales it; height is of one group
TOLD, HELD = "#4c7cf0", "#c2571a"  # 3:1 on white and on the dark ground


def effect(measures: list[Measure]) -> str:
    """Return points with 95 % intervals, told and held out; "" if nothing is known."""
    known = tuple(measure for measure in measures if measure.is_known)
    return _drawn(known) if known else ""


@lru_cache(maxsize=64)
def _drawn(measures: tuple[Measure, ...]) -> str:
    rows = [
        {
            "measure": measure.name,
            "group": group,
            "share": share.share,
            "low": share.interval[0],
            "high": share.interval[1],
        }
        for measure in measures
        for group, share in (("Told", measure.told), ("Held out", measure.held))
    ]
    colours = alt.Scale(domain=["Told", "Held out"], range=[TOLD, HELD])
    axis = alt.Axis(format=".0%", title=None)
    across = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    group = alt.Y("group:N", title=None, sort=["Told", "Held out"])
    base = alt.Chart(width=WIDTH, height=HEIGHT).encode(
        y=group, color=alt.Color("group:N", scale=colours, legend=None)
    )
    lines = base.mark_rule(strokeWidth=2).encode(x=across, x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="share:Q", shape=alt.Shape("group:N", legend=None)
    )
    head = alt.Header(labelOrient="top", labelAnchor="start", title=None)
    rowed = alt.layer(lines, points, data=alt.InlineData(values=rows)).facet(
        row=alt.Row("measure:N", header=head, sort=[measure.name for measure in measures])
    )
    return as_svg(rowed, _told(measures))


def _told(measures: tuple[Measure, ...]) -> str:
    return " ".join(
        f"{measure.name}: {measure.told.share:.0%} of {measure.told.total} told, "
        f"{measure.held.share:.0%} of {measure.held.total} held out."
        for measure in measures
    )
