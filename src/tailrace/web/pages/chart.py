"""The histogram as numbers for an SVG: bars stacked by level, labels of the time axis."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tailrace.search.summary import BAND_LEVELS, Bucket, Histogram
from tailrace.web.parameters import SearchState

HEIGHT: Final = 72
BAR_WIDTH: Final = 10
_LABELS: Final = 6


@dataclass(frozen=True, slots=True)
class Block:
    """One level's part of a bar."""

    level: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One step in time: where it stands, what it says, and the range that it opens."""

    x: int
    title: str
    url: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """The whole drawing, `width` by HEIGHT in its own units."""

    width: int
    bars: tuple[Bar, ...]
    labels: tuple[str, ...]
    description: str


def draw(histogram: Histogram, state: SearchState) -> Chart:
    """A chart of a histogram whose bars link to their own time."""
    greatest = max(bucket.total for bucket in histogram.buckets) or 1
    bars = tuple(
        Bar(
            number * BAR_WIDTH,
            _title(bucket, histogram.step),
            _zoom_url(state, bucket.start, bucket.start + histogram.step),
            _blocks(bucket, greatest),
        )
        for number, bucket in enumerate(histogram.buckets)
    )
    return Chart(
        len(bars) * BAR_WIDTH,
        bars,
        _labels(histogram),
        f"{histogram.total:,} rows from {_iso(histogram.start)} to {_iso(histogram.end)}",
    )


def _blocks(bucket: Bucket, greatest: int) -> tuple[Block, ...]:
    """From the bottom up: everything else, then the levels from warning upwards.

    A band that is there is at least a pixel high: three errors among a million rows are seen.
    """
    counts = [
        ("INFO", bucket.total - sum(bucket.bands)),
        *zip(BAND_LEVELS, bucket.bands, strict=False),
    ]
    scale = (HEIGHT - 2 * len(counts)) / greatest
    blocks = []
    top = float(HEIGHT)
    for level, count in counts:
        if count:
            height = max(1.5, count * scale)
            top -= height
            blocks.append(Block(level.lower(), round(top, 2), round(height, 2)))
    return tuple(blocks)


def _title(bucket: Bucket, step: timedelta) -> str:
    parts = [f"{bucket.total:,} rows"]
    parts += [
        f"{count:,} {level.lower()}"
        for level, count in zip(BAND_LEVELS, bucket.bands, strict=False)
        if count
    ]
    return f"{_iso(bucket.start)} – {_iso(bucket.start + step)}: {', '.join(parts)}"


def _zoom_url(state: SearchState, start: datetime, end: datetime) -> str:
    return replace(state, start=_iso(start), end=_iso(end), cursor="").url()


def _labels(histogram: Histogram) -> tuple[str, ...]:
    span = histogram.end - histogram.start
    if span >= timedelta(days=200):
        form = "%Y-%m-%d"
    elif span >= timedelta(days=1):
        form = "%m-%d %H:%M"
    else:
        form = "%H:%M:%S" if span < timedelta(minutes=5) else "%H:%M"
    steps = len(histogram.buckets)
    labels = min(_LABELS, steps + 1)
    marks = [round(steps * number / (labels - 1)) for number in range(labels)]
    return tuple(f"{histogram.start + histogram.step * mark:{form}}" for mark in marks)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
