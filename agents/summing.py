"""Whether a figure follows from others by one step of arithmetic that its sentence speaks of.

A sum or a difference of two figures, a sum of three out of one source, a number of pieces times
a price, a percentage of an amount: in the same unit, and only beside words such as "in total" or
"left". What the rows of one list add up to needs no such words. The more figures a source has,
the more would follow from them by chance, so crowded ones count for little.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from knowledge.quantities import CURRENCIES, SECONDS, Quantity, plain, quantities

MOST_FIGURES = 12  # of a kind, in one source or in all: above it nothing is derived from them
MOST_PIECES = 20  # of one thing in an order; larger numbers are no quantities
EXACT = 0.0051  # money is rounded to cents

_SUM = re.compile(
    r"\b(total|together|altogether|in all|sums?|combined|both|plus|overall|adds? up|added up"
    r"|comes? to|amounts? to)\b|\+|共|合计|总|加",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\b(left|remain\w*|difference|minus|less|cheaper|more|after|you saved?|owed?"
    r"|outstanding|deduct\w*|off)\b|剩|差|还|减|扣|省|优惠|便宜",
    re.IGNORECASE,
)
_EACH = re.compile(r"\b(each|per|apiece|times)\b|[×x*] ?\d|\d ?[×x*]|每|各|一[件个份张]",
                   re.IGNORECASE)  # fmt: skip
_SHARE = re.compile(r"%|\b(per ?cent|discount|off|fees?|tax|tip|after)\b|折|百分|税|手续费|优惠",
                    re.IGNORECASE)  # fmt: skip
_MONEY_FIELD = re.compile(
    r"(price|amount|total|costs?|fees?|paid|refund(ed)?|balance|tax|tip|charged?|discount|credit"
    r"|voucher|delivery)$|价|额|费|款|金",
    re.IGNORECASE,
)
_PERCENT_FIELD = re.compile(r"(per ?cent|percentage|pct)$|百分", re.IGNORECASE)
# What is numbered is not measured: "costs $1001" does not follow from order 1001.
_NAMING_FIELD = re.compile(
    r"\b(ids?|no|nr|number|code|phone|zip|postcode|year|at|date|time|timestamp)$|号|码",
    re.IGNORECASE,
)
# Payment systems count in hundredths: "refund_cents", "amount_minor".
_MINOR_FIELD = re.compile(r"\b(in )?(cents?|pence|pennies|minor( units?)?)$|[额价费款]分$", re.I)
_PER = re.compile(r"(?<=\w) (per|a|each) \w+$", re.IGNORECASE)  # "price per month" is a price
_CURRENCY_FIELD = re.compile(r"\bcurrency( code| symbol)?$|币种", re.IGNORECASE)
_CODES = {"aud", "brl", "cad", "chf", "czk", "dkk", "hkd", "huf", "inr", "krw", "mxn", "myr", "nok",
          "nzd", "pln", "sek", "sgd", "thb", "try", "twd", "zar"}  # fmt: skip
_WITHOUT_HUNDREDTHS = {"JPY", "KRW"}
_SPAN = re.compile(r"(\d{1,7}(?:\.\d+)?)\s?(?:-|–|to)\s?(\d{1,7}(?:\.\d+)?)")
_COUNT_FIELD = re.compile(r"(quantity|qty|count|pieces|number of \w+)$|数量|件数", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A figure that others may be derived from; money without a unit is of any currency."""

    kind: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one source; `totals` is what the rows of its lists add up to.

    `bare` are a program's numbers in fields whose names do not say what they measure, each with
    the currency that it would be of, "" for any.
    """

    terms: list[Term] = field(default_factory=list)
    totals: list[Term] = field(default_factory=list)
    bare: set[tuple[float, str]] = field(default_factory=set)


def figures_of(read: Iterable[Quantity]) -> Figures:
    """Return what stands in a text that people wrote."""
    return Figures([Term(item.kind, item.value, item.unit) for item in read])


def figures_in(data: Any) -> Figures:
    """Return a program's figures; what they measure is told by the names of their fields."""
    found = Figures()
    _collect("", data, found, _currency_of(data) if isinstance(data, Mapping) else "")
    return found


def _collect(name: str, data: Any, found: Figures, currency: str) -> None:
    if isinstance(data, Mapping):
        currency = _currency_of(data) or currency
        for key, value in data.items():
            _collect(_spaced(key), value, found, currency)
    elif isinstance(data, list):
        found.totals.extend(_totals(data, currency))
        for value in data:
            _collect(name, value, found, currency)
    else:
        for part in _parts(data):
            if term := _term(name, part, currency):
                found.terms.append(term)
            elif (number := _number(part)) is not None and not _NAMING_FIELD.search(name):
                found.bare.add((number, currency))


def _currency_of(row: Mapping[str, Any]) -> str:
    """Return what a row's amounts are of, "" if it doesn't say."""
    named = (value for name, value in row.items() if _CURRENCY_FIELD.search(_spaced(name)))
    return next((_currency(value) for value in named if isinstance(value, str)), "")


def _currency(name: str) -> str:
    name = plain(name).strip()
    return CURRENCIES.get(name.lower(), name.upper())


def _spaced(name: object) -> str:
    return str(name).replace("_", " ")


def _parts(value: Any) -> list[Any]:
    """Return the two ends of a span ("3-5"), another value alone."""
    span = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    return list(span.groups()) if span else [value]


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        text = plain(value).strip()
        return float(text) if re.fullmatch(r"\d{1,7}(\.\d+)?", text) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _term(name: str, value: Any, currency: str = "") -> Term | None:
    if isinstance(value, str):
        text = plain(value).strip()
        read = quantities(text)
        if len(read) == 1 and read[0].text == text and read[0].kind != "number":
            return Term(read[0].kind, read[0].value, read[0].unit)
    if (value := _number(value)) is None:
        return None
    name = _PER.sub("", name)
    if unit := SECONDS.get(name.lower().rpartition(" ")[2]):
        return Term("duration", value * unit)
    if _COUNT_FIELD.search(name):
        return Term("number", value)
    if _PERCENT_FIELD.search(name):
        return Term("percent", value)
    return _money(name, value, currency)


def _money(name: str, value: float, currency: str) -> Term | None:
    """Return an amount; "total_eur" says itself what it is of, "total_cents" counts hundredths."""
    kept, _, last = name.lower().rpartition(" ")
    if kept and (last in _CODES or CURRENCIES.get(last, "") == last.upper()):
        name, currency = kept, last.upper()
    if not _MINOR_FIELD.search(name):
        return Term("money", value, currency) if _MONEY_FIELD.search(name) else None
    return Term("money", value if currency in _WITHOUT_HUNDREDTHS else value / 100, currency)


def _totals(rows: list[Any], currency: str) -> Iterator[Term]:
    """Yield how many rows there are, and the sums of what each of them has."""
    yield Term("number", len(rows))
    read = [_of_row(row, currency) for row in rows if isinstance(row, Mapping)]
    if not read or len(read) < len(rows):
        return
    for name in set.intersection(*(set(row) for row in read)):
        terms = [row[name] for row in read]
        if len({(term.kind, term.unit) for term in terms}) == 1:
            yield Term(terms[0].kind, sum(term.value for term in terms), terms[0].unit)
    units = {term.unit for row in read for term in row.values() if term.kind == "money"}
    if len(units) == 1 and all({"number", "money"} <= _kinds(row) for row in read):
        yield Term("money", sum(_worth(row.values()) for row in read), units.pop())


def _of_row(row: Mapping[str, Any], currency: str) -> dict[str, Term]:
    currency = _currency_of(row) or currency
    named = ((name, _term(_spaced(name), value, currency)) for name, value in row.items())
    return {name: term for name, term in named if term}


def _kinds(row: Mapping[str, Term]) -> set[str]:
    return {term.kind for term in row.values()}


def _worth(terms: Iterable[Term]) -> float:
    by_kind = {term.kind: term.value for term in terms}
    return by_kind["number"] * by_kind["money"]


def follows(figure: Quantity, sentence: str, sources: Sequence[Figures]) -> bool:
    """Say whether `figure`, which stands in no source, follows from figures that do."""
    wanted = Term(figure.kind, figure.value, figure.unit)
    if any(equal(total, wanted) for each in sources for total in each.totals):
        return True
    terms = ([*each.terms, *each.totals] for each in sources)
    alike = [{term.value for term in of_one if _alike(term, wanted)} for of_one in terms]
    derived = _derived(sentence, alike, sources, wanted.kind)
    return any(abs(value - wanted.value) < EXACT for value in derived)


def equal(term: Term, wanted: Term) -> bool:
    """Say whether two figures are the same, to the cent."""
    return _alike(term, wanted) and abs(term.value - wanted.value) < EXACT


def _alike(term: Term, wanted: Term) -> bool:
    units = {term.unit, wanted.unit}
    return term.kind == wanted.kind and (len(units) == 1 or (term.kind == "money" and "" in units))


def _derived(
    sentence: str, alike: list[set[float]], sources: Sequence[Figures], kind: str
) -> Iterator[float]:
    known = {value for values in alike for value in values if value > 0}
    if not known or len(known) > MOST_FIGURES or kind not in {"money", "number", "duration"}:
        return
    if _SUM.search(sentence):
        yield from _sums(alike, known)
    if _LESS.search(sentence):
        yield from (abs(one - other) for one, other in combinations(known, 2))
    if kind == "money" and (_EACH.search(sentence) or _SUM.search(sentence)):
        yield from (pieces * value for pieces in _pieces(sources) for value in known)
    if kind == "money" and _SHARE.search(sentence):
        yield from _shares(known, sources)


def _sums(alike: list[set[float]], known: set[float]) -> Iterator[float]:
    """Yield sums of figures that differ: one that is told twice is most often the same.

    Nor is a total summed up with what it is made of.
    """
    yield from map(sum, combinations(known, 2))
    for three in (each for values in alike for each in combinations(values, 3)):
        if abs(2 * max(three) - sum(three)) > EXACT:
            yield sum(three)


def _pieces(sources: Sequence[Figures]) -> set[float]:
    numbers = {term.value for each in sources for term in each.terms if term.kind == "number"}
    return {number for number in numbers if 1 < number <= MOST_PIECES and number % 1 == 0}


def _shares(known: set[float], sources: Sequence[Figures]) -> Iterator[float]:
    percents = {term.value for each in sources for term in each.terms if term.kind == "percent"}
    for percent in percents:
        for value in known:
            share = value * percent / 100
            yield share
            yield value - share
