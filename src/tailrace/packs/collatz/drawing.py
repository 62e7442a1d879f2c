"""Draws pictures beside the event loop, and has what draws PNG loaded before one is likely to be asked for.

Loading matplotlib takes half a second and 30 MB, which only those pay who look at chains: it is loaded with
the first PNG, or in the background once somebody opens a page from which pictures are reached.
"""

import asyncio
from collections.abc import Sequence

from tailrace.packs.collatz.picture import COLOURS, Theme, svg
from tailrace.packs.collatz.scene import Points, Scale, compose


class Drawing:
    """Pictures of chains, each with its points."""

    def __init__(self) -> None:
        self._loading: asyncio.Task[bytes] | None = None

    def expect_png(self) -> None:
        """Load what draws PNG, unless that has begun; returns at once."""
        if self._loading is None:
            # A picture of the smallest chain, so that fonts are there as well.
            self._loading = asyncio.create_task(self.draw("png", "light", "log", [(1, [(0, 1)])]))

    async def draw(
        self, kind: str, theme: Theme, scale: Scale, chains: Sequence[tuple[int, Points]]
    ) -> bytes:
        """The picture as a file: `png` or `svg`."""
        return await asyncio.to_thread(_draw, kind, theme, scale, chains)


def _draw(kind: str, theme: Theme, scale: Scale, chains: Sequence[tuple[int, Points]]) -> bytes:
    scene = compose(chains, scale)
    if kind == "svg":
        return svg(scene, COLOURS[theme])
    from tailrace.packs.collatz.raster import png

    return png(scene, COLOURS[theme])
