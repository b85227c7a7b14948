"""Sums as customers mean them: numbers, + - * / and parentheses, nothing else."""

import ast
import operator
from collections.abc import Callable

_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 200  # characters


def reckon(expression: str) -> float:
    """Return the value, rounded to cents.

    Raises:
        ValueError: it is no such sum, or divides by zero.
    """
    if len(expression) > LONGEST:
        raise ValueError("The sum is too long.")
    try:
        return round(_value(ast.parse(expression.strip(), mode="eval").body), 2)
    except (SyntaxError, ZeroDivisionError, OverflowError):
        raise ValueError("This is no sum.") from None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left), _value(right))
    raise ValueError("This is no sum.")
