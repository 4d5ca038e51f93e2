"""Prints the table, and writes it as Markdown into docs/benchmarks.md and, with every number, as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from .results import Missing, Results
from .rows import ROWS, Figure, Row

BEGIN, END = "<!-- measured: written by scripts/bench --write-docs -->", "<!-- end of measured -->"


@dataclass(frozen=True)
class Line:
    row: Row
    figures: tuple[Figure, ...]
    #: why there is no figure
    missing: str = ""

    @property
    def measured(self) -> str:
        return " / ".join(figure.shown for figure in self.figures) if self.figures else "not measured"

    @property
    def verdict(self) -> str:
        if not self.figures:
            return "not measured"
        if not self.row.goal:
            return ""
        return "pass" if all(figure.passed for figure in self.figures) else "MISS"

    @property
    def details(self) -> str:
        return "; ".join(figure.detail for figure in self.figures if figure.detail) or self.missing


def evaluate(results: Results) -> list[Line]:
    lines = []
    for row in ROWS:
        try:
            lines.append(Line(row, tuple(measure(results) for measure in row.figures)))
        except Missing as reason:
            lines.append(Line(row, (), str(reason)))
    return lines


def text(lines: list[Line], machine: str) -> str:
    """For a terminal: a row per figure, what it is made of below it."""
    out = [machine]
    section = ""
    for line in lines:
        if line.row.section != section:
            section = line.row.section
            out += ["", f"{section}", "-" * len(section)]
        against = f" — {line.row.against}" if line.row.against else ""
        out.append(f"{line.verdict or '·':>12}  {line.measured:<28} {line.row.goal:<28} {line.row.what}{against}")
        if line.details:
            out.append(f"{'':>14}{line.details}")
    return "\n".join(out)


def markdown(lines: list[Line], machine: str, mode: str, date: str) -> str:
    out = [f"Measured {date}, {mode} run, on {machine}."]
    section = ""
    for line in lines:
        if line.row.section != section:
            section = line.row.section
            out += ["", f"### {section}", "", "| what | against | prototype | goal | measured | | made of |",
                    "| --- | --- | --- | --- | --- | --- | --- |"]
        row = line.row
        # Why something did not run names paths of this machine: that is for the terminal and the JSON.
        made_of = line.details if line.figures else "its program did not run"
        cells = (row.what, row.against, row.prototype, row.goal, line.measured, line.verdict, made_of)
        out.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(out)


def write_docs(path: Path, table: str) -> None:
    """Replaces what is between the two marks; the rest of the page is written by hand."""
    page = path.read_text()
    if BEGIN not in page or END not in page:
        raise SystemExit(f"{path} lacks the marks between which the table goes: {BEGIN} and {END}")
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def as_json(lines: list[Line], results: Results, machine: str, mode: str, date: str) -> str:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    rows = [
        {
            "section": line.row.section,
            "what": line.row.what,
            "against": line.row.against,
            "prototype": line.row.prototype,
            "goal": line.row.goal,
            "verdict": line.verdict,
            "missing": line.missing,
            "figures": [
                {"value": number(f.value), "shown": f.shown, "passed": f.passed, "spread": f.spread, "detail": f.detail}
                for f in line.figures
            ],
        }
        for line in lines
    ]
    whole = {"date": date, "mode": mode, "machine": machine, "rows": rows, "series": results.series,
             "facts": results.facts, "failures": results.failures, "seconds": results.seconds}
    return json.dumps(whole, indent=1, ensure_ascii=False)
