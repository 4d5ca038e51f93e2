"""`Results`: what the measuring programs printed, by group, and which of them could not run and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


class Missing(Exception):
    """A figure whose program did not run; the text says why."""


@dataclass
class Results:
    #: group -> name -> one number per round
    series: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: name -> what was counted or found
    facts: dict[str, object] = field(default_factory=dict)
    #: group -> why it is not there
    failures: dict[str, str] = field(default_factory=dict)
    #: group -> how long its program ran
    seconds: dict[str, float] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """Adds the JSON lines of one program."""
        for line in text.splitlines():
            if not line.startswith("{"):
                continue
            entry = json.loads(line)
            if entry["kind"] == "series":
                self.series.setdefault(entry["group"], {}).update(entry["series"])
            elif entry["kind"] == "fact":
                self.facts[entry["name"]] = entry["value"]
            else:
                raise ValueError(f"a line of an unknown kind: {line}")

    def get(self, group: str, name: str) -> list[float]:
        try:
            return self.series[group][name]
        except KeyError:
            raise Missing(self.failures.get(group.split(":")[0], f"{group} has no {name!r}")) from None

    def fact(self, name: str) -> float:
        try:
            return float(self.facts[name])  # type: ignore[arg-type]
        except KeyError:
            raise Missing(self.failures.get(name.split(":")[0], f"{name!r} was not counted")) from None
