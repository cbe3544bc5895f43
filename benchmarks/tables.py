"""Results as Markdown: every figure, what was wanted, and what has changed since another run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measurements import MEASUREMENTS
from benchmarks.results import Figure, Measured, Ratio, Run


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in two runs. ``ratio`` is now over before."""

    measurement: str
    figure: Figure
    before: Figure

    @property
    def ratio(self) -> float | None:
        """None where it was nothing before."""
        return self.figure.median / self.before.median if self.before.median else None

    @property
    def verdict(self) -> str:
        """Only where no sample of one run lies among the other's has anything changed for sure."""
        now, then = self.figure.samples, self.before.samples
        if min(now) <= max(then) and min(then) <= max(now):
            return "within noise"
        if self.figure.better == "neither":
            return "changed"
        more = min(now) > max(then)
        return "better" if more == (self.figure.better == "more") else "worse"


def changes(now: Run, before: Run) -> list[Change]:
    """Figures that both runs have, by measurement, name and side."""
    found = []
    for name, measured in now.measured.items():
        earlier = before.measured.get(name)
        for figure in measured.figures if earlier else ():
            held = earlier.figure(figure.name, figure.side) if earlier else None
            if held is not None and held.unit == figure.unit:
                found.append(Change(name, figure, held))
    return found


def markdown(run: Run) -> str:
    """The whole run."""
    parts = [_about(run), *(_wanted(run)), *(_measured(*item) for item in run.measured.items())]
    failed = [f"- {name}: {why}" for name, why in run.failures.items()]
    if failed:
        parts.append("## Not measured\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def comparison(now: Run, before: Run) -> str:
    """What has changed since an earlier run; says so where the machine is another."""
    lines = []
    if now.machine != before.machine:
        lines.append("The machine is another one; compare ratios, not figures.\n")
    rows = [
        (change.measurement, change.figure.name, change.figure.side,
         number(change.before.median), number(change.figure.median), change.figure.unit,
         "" if change.ratio is None else f"{change.ratio:.2f}", change.verdict)
        for change in changes(now, before)
    ]  # fmt: skip
    head = ("measurement", "what", "side", f"on {before.made[:10]}", "now", "unit", "ratio", "")
    return "\n".join([*lines, table(head, rows)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in lines)  # fmt: skip


def number(value: float) -> str:
    """Three digits that say something, no exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}"


def _about(run: Run) -> str:
    machine = run.machine
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return (
        f"Measured on {run.made[:10]}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}; {versions}. Medians of "
        f"{run.options['repeats']} rounds, sides in turn."
    )


def _wanted(run: Run) -> list[str]:
    rows = [
        (name, ratio.name, _limit(ratio), number(ratio.median), "yes" if ratio.reached else "no")
        for name, measured in run.measured.items()
        for ratio in measured.ratios
        if ratio.reached is not None
    ]
    if not rows:
        return []
    head = ("measurement", "ratio", "wanted", "measured", "reached")
    return ["## What was wanted\n\n" + table(head, rows)]


def _limit(ratio: Ratio) -> str:
    limits = []
    if ratio.at_least is not None:
        limits.append(f"at least {ratio.at_least:g}")
    if ratio.at_most is not None:
        limits.append(f"at most {ratio.at_most:g}")
    return ", ".join(limits)


def _measured(name: str, measured: Measured) -> str:
    title = MEASUREMENTS[name].title if name in MEASUREMENTS else name
    rows = [
        (figure.name, figure.side, number(figure.median), figure.unit, spread(figure.samples))
        for figure in measured.figures
    ]
    parts = [f"## {title}", table(("what", "side", "median", "unit", "from .. to"), rows)]
    plain = [(ratio.name, number(ratio.median), spread(ratio.samples)) for ratio in measured.ratios]
    if plain:
        parts.append(table(("ratio", "median", "from .. to"), plain))
    facts = [f"{key.replace('_', ' ')}: {value}" for key, value in measured.facts.items()]
    if facts:
        parts.append("; ".join(facts) + ".")
    return "\n\n".join(parts)


def spread(samples: Sequence[float]) -> str:
    return "" if len(samples) < 2 else f"{number(min(samples))} .. {number(max(samples))}"
