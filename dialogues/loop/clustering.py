"""Groups of vectors that lie together. Plain data in, plain data out; no Django."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def average_linkage(vectors: Vectors, threshold: float) -> list[list[int]]:
    """Return groups of rows whose mean cosine to each other stays at `threshold` or above.

    Agglomerative, by chains of nearest neighbours (Murtagh 1983, "A survey of recent advances
    in hierarchical clustering algorithms"): the same groups as merging the two nearest again
    and again, in time and memory of n². The same rows in the same order give the same groups.

    Args:
        vectors: (n, dimensions), unit length.
    """
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    groups = {row: [row] for row in range(len(vectors))}
    finished: list[list[int]] = []
    chain: list[int] = []
    while groups:
        if not chain:
            chain.append(next(iter(groups)))
        last = chain[-1]
        nearest = int(similar[last].argmax())
        if similar[last, nearest] < threshold:
            # Merges among the others bring none of them nearer: this group is complete.
            finished.append(sorted(groups.pop(chain.pop())))
            similar[last] = similar[:, last] = -np.inf
        elif len(chain) > 1 and similar[last, chain[-2]] >= similar[last, nearest]:
            _merge(similar, groups, kept=chain[-2], gone=last)
            del chain[-2:]
        else:
            chain.append(nearest)
    return sorted(finished)


def _merge(similar: Vectors, groups: dict[int, list[int]], *, kept: int, gone: int) -> None:
    """Unite two groups; similarities to the whole are means over its rows."""
    sizes = len(groups[kept]), len(groups[gone])
    mean = (sizes[0] * similar[kept] + sizes[1] * similar[gone]) / sum(sizes)
    similar[kept] = similar[:, kept] = mean
    similar[kept, kept] = similar[gone] = similar[:, gone] = -np.inf
    groups[kept] += groups.pop(gone)


def typicality(vectors: Vectors) -> list[float]:
    """Return each row's cosine to the middle of all."""
    middle = vectors.mean(axis=0)
    length = float(np.linalg.norm(middle)) or 1.0
    return [float(value) for value in vectors @ (middle / length)]
