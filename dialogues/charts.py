"""The use of a rule by week as SVG."""

from functools import lru_cache

import altair as alt

from dialogues.loop.effects import Week
from knowledge.charts import as_svg

WIDTH, HEIGHT = 320, 120  # pixels; the page scales it
CITED, ONLY_FOUND = "#4c7cf0", "#7d8899"  # 3:1 on white and on the dark ground


def use_by_week(weeks: list[Week]) -> str:
    """Return stacked bars, cited and only found, of each week; "" if there is none."""
    return _drawn(tuple(weeks)) if weeks else ""


@lru_cache(maxsize=64)
def _drawn(weeks: tuple[Week, ...]) -> str:
    rows = [
        {"week": week.day.isoformat(), "use": use, "times": times}
        for week in weeks
        for use, times in (("Cited", week.cited), ("Found only", week.found - week.cited))
    ]
    colours = alt.Scale(domain=["Cited", "Found only"], range=[CITED, ONLY_FOUND])
    step = alt.Axis(labelAngle=-45, labelOverlap=True, format="%-d %b")
    chart = (
        alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT)
        .mark_bar()
        .encode(
            x=alt.X("week:O", timeUnit="utcyearmonthdate", title="Week from", axis=step),
            y=alt.Y("times:Q", title="Turns", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("use:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
        )
    )
    return as_svg(chart, _told(weeks))


def _told(weeks: tuple[Week, ...]) -> str:
    found, cited = sum(w.found for w in weeks), sum(w.cited for w in weeks)
    since = weeks[0].day
    return f"Since the week of {since:%d %B %Y}: found in {found} turns, cited in {cited} of them."
