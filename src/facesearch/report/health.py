"""What works on a machine: a line for each thing, or JSON."""

from __future__ import annotations

from facesearch.records import Diagnosis, Finding
from facesearch.report.facts import SCHEMA, as_json
from facesearch.report.terminal import display_width, escape, pad
from facesearch.report.wording import count


def health_lines(diagnosis: Diagnosis) -> bytes:
    """Each finding with its state, what to do below it, and how many there are of what is wrong."""
    width = max((display_width(escape(each.about)) for each in diagnosis.findings), default=0)
    lines = [line for each in diagnosis.findings for line in _lines(each, width)]
    return ("\n".join([*lines, _closing(diagnosis)]) + "\n").encode()


def health_json(diagnosis: Diagnosis) -> bytes:
    """The same facts."""
    findings = [
        {"about": each.about, "state": each.state, "text": each.text, "remedy": each.remedy or None}
        for each in diagnosis.findings
    ]
    facts = {
        "schema": SCHEMA,
        "version": diagnosis.version,
        "healthy": diagnosis.healthy,
        "findings": findings,
    }
    return as_json(facts, indent=2)


def _lines(finding: Finding, width: int) -> list[str]:
    lines = [f"{finding.state:<7}  {pad(escape(finding.about), width)}  {escape(finding.text)}"]
    if finding.remedy:
        lines.append(f"{'':<{width + 9}}  -> {escape(finding.remedy)}")
    return lines


def _closing(diagnosis: Diagnosis) -> str:
    states = [each.state for each in diagnosis.findings]
    problems, warnings = states.count("problem"), states.count("warning")
    if not problems and not warnings:
        return "all is well"
    return f"{count(problems, 'problem')}, {count(warnings, 'warning')}"
