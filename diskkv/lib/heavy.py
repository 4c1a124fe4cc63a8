"""The keys of the greatest weight among any number of them, in bounded memory (Space-Saving).

So many are counted; a new one takes the place of the lightest and inherits its weight. So nobody's weight is said to be less than it is,
and it is more by at most the lightest's; as long as there are no more keys than places, all weights are exact.
"""

from __future__ import annotations

import heapq


class HeavyHitters:
    """Weights by key."""

    __slots__ = ("_places", "_queue", "_weights")

    def __init__(self, places: int) -> None:
        self._places = places
        self._weights: dict[bytes, int] = {}
        # (weight, key), of some an earlier weight, which is put right when it comes to the front
        self._queue: list[tuple[int, bytes]] = []

    def add(self, key: bytes, weight: int) -> None:
        """A key has become so much heavier."""
        weights = self._weights
        if key in weights:
            weights[key] += weight
            return
        if len(weights) == self._places:
            weight += self._drop_lightest()
        weights[key] = weight
        heapq.heappush(self._queue, (weight, key))

    def _drop_lightest(self) -> int:
        queue, weights = self._queue, self._weights
        while True:
            said, key = queue[0]
            weight = weights[key]
            if weight == said:
                heapq.heappop(queue)
                del weights[key]
                return weight
            heapq.heapreplace(queue, (weight, key))

    def heaviest(self, count: int) -> list[tuple[bytes, int]]:
        """Up to so many keys of some weight with their weights, the heaviest first."""
        found = heapq.nlargest(count, self._weights.items(), key=lambda item: item[1])
        return [(key, weight) for key, weight in found if weight]
