"""The loss curve as SVG, for light and dark pages alike."""

from functools import lru_cache

import altair as alt

from knowledge.charts import as_svg

WIDTH, HEIGHT = 640, 220  # pixels; the page scales it
LINE = "#4c7cf0"  # 3:1 and more on white and on the dark ground
MOST_POINTS = 400  # more than the chart has pixels for

Point = tuple[int, float]  # step, loss


def loss_curve(points: list[Point], total_steps: int) -> str:
    """Return an inline SVG of the loss by step, "" before the second step.

    It carries a title, so that who can't see it hears where the curve begins and ends.
    """
    if len(points) < 2:
        return ""
    thinned = points[:: max(1, len(points) // MOST_POINTS)]
    if thinned[-1] != points[-1]:
        thinned.append(points[-1])
    return _svg(tuple(thinned), max(total_steps, points[-1][0]))


@lru_cache(maxsize=32)  # every open tab of a run asks for the same curve
def _svg(points: tuple[Point, ...], total_steps: int) -> str:
    rows = [{"step": step, "loss": loss} for step, loss in points]
    scale = alt.Scale(domain=[0, total_steps], nice=False)
    chart = (
        alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT)
        .mark_line(color=LINE, strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="Step", scale=scale, axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("loss:Q", title="Loss"),
        )
    )
    return as_svg(chart, _told(points, total_steps))


def _told(points: tuple[Point, ...], total_steps: int) -> str:
    (first, start), (last, end) = points[0], points[-1]
    lowest = min(loss for _, loss in points)
    return (
        f"Loss by step: {start:.3f} at step {first}, {end:.3f} at step {last} of "
        f"{total_steps}, lowest {lowest:.3f}."
    )
