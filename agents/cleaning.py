"""Making what a model, a tool or a customer wrote fit to be stored and sent on."""

import math
from typing import Any


def storable(value: Any) -> Any:
    """Return a JSON value without what PostgreSQL refuses.

    That is NUL, halves of surrogate pairs, NaN and infinities; JSON text can spell them all.
    """
    match value:
        case str():
            return value.replace("\0", "").encode("utf-8", "ignore").decode()
        case list():
            return [storable(item) for item in value]
        case dict():
            return {storable(name): storable(item) for name, item in value.items()}
        case float() if not math.isfinite(value):
            return None
    return value
