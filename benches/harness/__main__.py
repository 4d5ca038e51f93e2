"""`scripts/bench`: measures forebay side by side with its peers and prints the table of goals with what was measured."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from . import machine, plots, prepare, programs, report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_const", dest="mode", const="quick", help="under 3 minutes, rougher")
    mode.add_argument("--full", action="store_const", dest="mode", const="full", help="under 20 minutes; 100,000 races")
    groups = [program.group for program in programs.PROGRAMS]
    parser.add_argument("--only", nargs="+", choices=groups, default=[], metavar="GROUP", help=", ".join(groups))
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    parser.set_defaults(mode="default")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if missing := prepare.tools():
        print("scripts/bench: these tools are needed:", *missing, sep="\n  ", file=sys.stderr)
        return 1
    if options.write_docs and options.only:
        print("scripts/bench: --write-docs wants the whole table, so it does not go with --only", file=sys.stderr)
        return 2
    places = prepare.Places(Path(__file__).resolve().parents[2])
    failures = prepare.everything(places)
    for part, reason in failures.items():
        print(f"scripts/bench: {part}: {reason}", file=sys.stderr)
    places.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = machine.line(places.work)
    before = machine.load()
    results = programs.measure(places, options.mode, options.only, failures)
    results.facts["load before"] = before
    lines = report.evaluate(results)
    shown = [line for line in lines if not options.only or line.figures]
    print(report.text(shown, about))
    if before > 0.5 * (os.cpu_count() or 1):
        print(f"\nThe machine was busy when this began (load {before:.1f}): expect worse figures than it can give.")
    write(places, results, lines, about, options)
    missed = [line for line in shown if line.verdict in ("MISS", "not measured")]
    print(f"\n{len(shown) - len(missed)} rows pass or are controls, {len(missed)} missed or not measured.")
    return 1 if any(line.verdict == "not measured" for line in shown) else 0


def write(places: prepare.Places, results: report.Results, lines: list[report.Line], about: str,
          options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    places.results.mkdir(exist_ok=True)
    text = report.as_json(lines, results, about, options.mode, now.isoformat(timespec="seconds"))
    for name in (f"{now:%Y%m%d-%H%M%S}.json", "latest.json"):
        (places.results / name).write_text(text)
    made = plots.draw(results, about, places.results)
    print(f"\nWritten: bench-results/latest.json{''.join(f', bench-results/{path.name}' for path in made)}")
    if options.write_docs:
        table = report.markdown(lines, about, options.mode, f"{now:%Y-%m-%d}")
        report.write_docs(places.repository / "docs" / "benchmarks.md", table)
        print("Written: docs/benchmarks.md")


if __name__ == "__main__":
    sys.exit(main())
