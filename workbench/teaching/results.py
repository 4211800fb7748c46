"""What `check` gives back: a grade, the failing case in text and as a picture, and three hints."""

from __future__ import annotations

import html
import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats import FloatFormat, Format
from .picture import Mark, number_line
from .records import Exercise

GRADES = {
    "exact": ("✓", "exact"),
    "right": ("✓", "right"),
    "close": ("≈", "within one ulp, not exact"),
    "wrong": ("✗", "wrong"),
    "refused": ("!", "not checked"),
}


@dataclass(frozen=True)
class Failure:
    """The first input with a wrong answer.

    Args:
        inputs: the arguments of the call.
        expected: the true answer.
        got: the student's answer.
        rows: what is said about it: word, number, bits.
        format: the format it is about, or None.
        around: the number whose neighbours are drawn; NaN draws nothing.
        marks: what is marked there.
        arrays: SVG of arrays, in the place of a number and its neighbours.
    """

    inputs: tuple[Any, ...]
    expected: Any
    got: Any
    rows: tuple[tuple[str, str, str], ...]
    format: Format | None = None
    around: float = math.nan
    marks: tuple[Mark, ...] = ()
    arrays: str = ""


class Result:
    """How good an answer is; its text and its picture say it, `hint()` helps.

    Args:
        exercise: what was asked.
        grade: "exact" or "right"; "close" is within one ulp; "wrong"; or "refused".
        said: the grade in numbers and words.
        failure: the first failing case, where there is one.
        ulps: the largest error in steps of the format; infinite where it is not measured so.

    Example:
        >>> from workbench.teaching import check
        >>> result = check("count-values", lambda exponent, mantissa: 0)
        >>> result.passed, result.hint()
        (False, 'Hint 1 of 3: How many bits has a code, and how many codes are there?')
    """

    def __init__(
        self,
        exercise: Exercise,
        grade: str,
        said: str,
        failure: Failure | None = None,
        ulps: float = 0.0,
    ):
        self.exercise, self.grade, self.said = exercise, grade, said
        self.failure, self.ulps = failure, ulps
        self._hints = 0

    @property
    def passed(self) -> bool:
        """Whether nothing is left to do."""
        return self.grade in ("exact", "right")

    def hint(self) -> str:
        """The next of three hints; after the last one, the last one again."""
        hints = self.exercise.hints
        self._hints = min(self._hints + 1, len(hints))
        return f"Hint {self._hints} of {len(hints)}: {hints[self._hints - 1]}"

    @property
    def headline(self) -> str:
        """The grade in one line."""
        if self.grade == "refused":
            return f"{self.exercise.name}: {self.said}"
        between = " " if self.said.startswith("for ") else ": "
        return f"{self.exercise.name}: {GRADES[self.grade][1]}{between}{self.said}"

    def __repr__(self) -> str:
        if self.failure is None:
            return self.headline
        wide = [max(len(row[i]) for row in self.failure.rows) for i in range(2)]
        rows = [f"  {a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in self.failure.rows]
        lines = [f"{self.headline}. The first:", *rows, "For a hint: result.hint()"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for a notebook, with the failing case drawn."""
        sign = f'<b style="font-size:1.2em">{GRADES[self.grade][0]}</b> '
        head = f"<p>{sign}{html.escape(self.headline)}</p>"
        if self.failure is None:
            return f"<div>{head}</div>"
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(a)}</th>'
            f'<td style="text-align:left">{html.escape(b)}</td>'
            f'<td style="text-align:left"><code>{html.escape(c)}</code></td></tr>'
            for a, b, c in self.failure.rows
        )
        failure = self.failure
        picture = failure.arrays or number_line(failure.format, failure.around, failure.marks)
        label = html.escape(f"First failing case of {self.exercise.name}")
        return (
            f'<div>{head}{picture}<table style="color:inherit" aria-label="{label}"><tbody>{body}'
            "</tbody></table><p>For a hint: <code>result.hint()</code></p></div>"
        )


def text_of(value: Any) -> str:
    """A number as text that Python reads back; whole numbers without a point.

    Example:
        >>> text_of(3.0), text_of(0.1), text_of(-0.0), text_of(float("nan"))
        ('3', '0.1', '-0', 'NaN')
    """
    value = float(value)
    if math.isnan(value):
        return "NaN"
    return repr(value).removesuffix(".0")


def drawn(code: int, widths: tuple[int, ...]) -> str:
    """A code in binary, its fields set apart.

    Example:
        >>> drawn(0b0101, (1, 2, 1))
        '0|10|1'
    """
    text, fields, at = f"{code:0{sum(widths)}b}", [], 0
    for width in widths:
        fields.append(text[at : at + width])
        at += width
    return "|".join(fields)


def bits_of_code(format: Format, code: Any) -> str:
    """Sign, exponent and mantissa of a float's code; of another format the bits alone.

    Example:
        >>> from workbench.formats import parse
        >>> bits_of_code(parse("e4m3fn"), 0x44)
        '0|1000|100'
    """
    if not isinstance(code, int):
        return ""
    if isinstance(format, FloatFormat):
        return drawn(code, (*([1] * format.sign), format.exponent, format.mantissa))
    return drawn(code, (format.bits,))


def bits_of_float(value: Any, width: int = 32) -> str:
    """Sign, exponent and mantissa of a number as float32 or float64, and which of the two.

    Example:
        >>> bits_of_float(2.5)
        '0|10000000|01000000000000000000000 (float32)'
    """
    letters, exponent = (">f", 8) if width == 32 else (">d", 11)
    code = int.from_bytes(struct.pack(letters, value), "big")
    return f"{drawn(code, (1, exponent, width - exponent - 1))} (float{width})"


def value_bits(format: Format, value: float) -> str:
    """The bits of a value in a format, or a word on why it has none.

    Example:
        >>> from workbench.formats import parse
        >>> value_bits(parse("e2m1"), 3.0), value_bits(parse("e2m1"), 2.5)
        ('0|10|1', 'no value of e2m1')
    """
    codes = format.code_values
    nan = math.isnan(value)
    found = np.isnan(codes) if nan else (codes == value) & (np.signbit(codes) == np.signbit(value))
    if not found.any():
        return f"no value of {format.name}"
    return bits_of_code(format, int(np.argmax(found)))
