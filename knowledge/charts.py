"""Charts as inline SVG, for light and dark pages alike."""

import html
import re
from functools import lru_cache
from typing import Any

import altair as alt
import vl_convert

WIDTH, HEIGHT = 640, 140  # pixels; the page scales it
# 3:1 and more on white and on the dark ground; each line is also dashed differently.
COLOURS = ["#4c7cf0", "#c2571a", "#2f8f5b", "#a64fc0"]

SIZE = re.compile(r' (width|height)="\d+"')

# Of one measurement: its number, what it was of (index), a label, the measure and its share.
Point = tuple[int, str, str, str, float]


def as_svg(chart: Any, title: str) -> str:
    """Return an Altair chart as SVG in the page's colours; who can't see it hears `title`."""
    chart = (
        chart.configure(background="transparent")
        .configure_axis(labelColor="black", titleColor="black", gridOpacity=0.25, gridColor="gray")
        .configure_legend(labelColor="black", titleColor="black")
        .configure_header(labelColor="black", titleColor="black")
        .configure_view(strokeOpacity=0)
    )
    drawn: str = vl_convert.vegalite_to_svg(chart.to_dict())
    # The page's own colour; Vega knows fixed ones only.
    return _titled(drawn.replace('"black"', '"currentColor"'), title)


@lru_cache(maxsize=32)  # every open tab asks for the same trend
def trend(points: tuple[Point, ...], title: str) -> str:
    """Return shares from 0 to 1 by measurement, a line per index, a panel per measure."""
    names = ("number", "index", "label", "measure", "share")
    rows = [dict(zip(names, point, strict=True)) for point in points]
    measures = list(dict.fromkeys(point[3] for point in points))
    first_labels = {point[0]: point[2] for point in points}
    x = alt.X("number:O", title=None, axis=_axis(first_labels))
    colour = alt.Color(
        "index:N", title="Index", scale=alt.Scale(range=COLOURS), legend=alt.Legend(orient="top")
    )
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT)
    panels = [
        base.transform_filter(alt.datum.measure == measure)
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("share:Q", title=measure, scale=alt.Scale(domain=[0, 1])),
            color=colour,
            strokeDash=alt.StrokeDash("index:N", legend=None),
        )
        for measure in measures
    ]
    return as_svg(alt.vconcat(*panels), title)


def _axis(labels: dict[int, str]) -> alt.Axis:
    # Vega looks each number up in this expression; the labels are dates and versions of ours.
    choice = "".join(f"datum.value == {number} ? '{text}' : " for number, text in labels.items())
    return alt.Axis(labelExpr=f"{choice}''", labelAngle=0)


def _titled(svg: str, title: str) -> str:
    head, _, rest = svg.partition(">")
    head = SIZE.sub("", head)  # the page says how wide; viewBox keeps the shape
    return f'{head} role="img" aria-label="{html.escape(title)}">{rest}'
