"""The outcome of ``facesearch index`` and of its ``--dry-run``, for people and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from facesearch.records import Failure, IndexPrediction, IndexSummary, RootAway, SystemRun
from facesearch.report.facts import SCHEMA, as_json, rounded
from facesearch.report.terminal import escape
from facesearch.report.wording import count, duration, message_with_path, size

_FAILURES_SHOWN = 20


def render_index_summary(summary: IndexSummary, json: bool) -> bytes:
    """What an index run did: lines for people, or one JSON object with every field."""
    if json:
        return as_json(_summary_facts(summary), indent=2)
    return ("\n".join(_summary_lines(summary)) + "\n").encode()


def render_prediction(prediction: IndexPrediction, json: bool) -> bytes:
    """What an index run would do: lines for people, or one JSON object with every field."""
    if json:
        return as_json(_prediction_facts(prediction), indent=2)
    return ("\n".join(_prediction_lines(prediction)) + "\n").encode()


def render_system_run(run: SystemRun) -> bytes:
    """One of several systems' stores, for people: its name over what was done, or would be."""
    lines = [f"== {', '.join(run.systems)}"]
    if isinstance(run.outcome, IndexSummary):
        lines += _summary_lines(run.outcome)
    elif run.outcome is not None:
        lines += _prediction_lines(run.outcome)
    else:
        lines.append(f"failed: {escape(run.error)}")
    return ("\n".join(lines) + "\n\n").encode()


def render_system_runs(runs: Sequence[SystemRun]) -> bytes:
    """All of several systems' stores as one JSON object."""
    return as_json({"schema": SCHEMA, "systems": [_run_facts(run) for run in runs]}, indent=2)


def _run_facts(run: SystemRun) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "systems": list(run.systems),
        "recipe": run.recipe,
        "store": run.store,
        "error": run.error or None,
    }
    if isinstance(run.outcome, IndexPrediction):
        return {**facts, "prediction": _prediction_facts(run.outcome)}
    return {**facts, "summary": run.outcome and _summary_facts(run.outcome)}


def _summary_facts(summary: IndexSummary) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "store": summary.store,
        "subject": summary.subject,
        "seen": summary.seen,
        "new": summary.new,
        "changed": summary.changed,
        "unchanged": summary.unchanged,
        "moved": summary.moved,
        "copies": summary.copies,
        "forgotten": summary.forgotten,
        "removed": summary.removed,
        "usable": summary.usable,
        "gone_kept": summary.gone_kept,
        "faces": summary.faces,
        "without_face": summary.without_face,
        "failed": summary.failed,
        "failed_by_reason": summary.failed_by_reason,
        "failures": [
            {"path": failure.path, "reason": failure.reason, "message": failure.message}
            for failure in summary.failures
        ],
        "not_read": _most_frequent_first(summary.not_read),
        "further_pages": summary.further_pages,
        "small_faces": [
            {"under": pixels, "photos": photos} for pixels, photos in summary.small_faces
        ],
        "roots_away": _roots_away_facts(summary.roots_away),
        "seconds": rounded(summary.seconds, 3),
        "photos_per_second": rounded(summary.photos_per_second, 3),
        "device": summary.device,
        "store_bytes": summary.store_bytes,
    }


def _prediction_facts(prediction: IndexPrediction) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "photos": prediction.photos,
        "to_read": prediction.to_read,
        "sampled": prediction.sampled,
        "seconds": rounded(prediction.seconds, 3),
        "store_bytes": prediction.store_bytes,
        "not_read": _most_frequent_first(prediction.not_read),
        "roots_away": _roots_away_facts(prediction.roots_away),
    }


def _roots_away_facts(roots: Sequence[RootAway]) -> list[dict[str, Any]]:
    return [{"root": away.root, "why": away.why, "kept": away.kept} for away in roots]


def _summary_lines(summary: IndexSummary) -> list[str]:
    lines = [
        _seen_line(summary),
        *_found_lines(summary),
        *_failure_lines(summary),
        *_not_read_lines(summary.not_read),
        *_root_lines(summary.roots_away),
    ]
    if summary.gone_kept:
        verb = "is" if summary.gone_kept == 1 else "are"
        lines.append(
            f"{count(summary.gone_kept, 'photo')} {verb} gone, more than a tenth: kept; "
            "facesearch index --prune removes them"
        )
    lines += [
        f"in {count(photos, 'photo')} faces under {pixels} px could not be found "
        "(--detail high, --min-face)"
        for pixels, photos in summary.small_faces
    ]
    if summary.further_pages:
        lines.append(
            f"{count(summary.further_pages, 'further page or frame', 'further pages or frames')} "
            "not searched: only the first of each file is"
        )
    lines.append(_speed_line(summary))
    stored = f" ({size(summary.store_bytes)})" if summary.store_bytes else ""
    lines.append(f"store: {escape(summary.store)}{stored}")
    return [*lines, _next_step(summary)]


def _seen_line(summary: IndexSummary) -> str:
    parts = [f"{summary.new:,} new"]
    if summary.changed:
        parts.append(f"{summary.changed:,} changed")
    parts.append(f"{summary.unchanged:,} unchanged")
    if summary.moved:
        parts.append(f"{summary.moved:,} moved")
    if summary.copies:
        parts.append(count(summary.copies, "copy", "copies"))
    if summary.forgotten:
        parts.append(f"{summary.forgotten:,} left out (forgotten)")
    parts += [f"{summary.removed:,} removed", f"{summary.failed:,} failed"]
    return f"{count(summary.seen, 'photo')} seen: {', '.join(parts)}"


def _found_lines(summary: IndexSummary) -> list[str]:
    """Faces of the whole store; where each photo is one item there are none to count."""
    if summary.subject == "photo":
        return []
    without = f"{count(summary.without_face, 'photo')} without a face"
    return [f"{count(summary.faces, 'face')}; {without}"]


def _failure_lines(summary: IndexSummary) -> list[str]:
    if not summary.failures:
        return []
    failed = summary.failed_by_reason
    reasons = (f"{number:,} {escape(reason)}" for reason, number in failed.items())
    lines = [f"failed: {', '.join(reasons)}"]
    lines += [f"  {_failure_line(failure)}" for failure in summary.failures[:_FAILURES_SHOWN]]
    hidden = summary.failed - _FAILURES_SHOWN
    if hidden > 0:
        lines.append(f"  and {hidden:,} more: --log FILE or --json lists all")
    return lines


def _failure_line(failure: Failure) -> str:
    return message_with_path(failure.path, failure.message)


def _not_read_lines(not_read: Mapping[str, int]) -> list[str]:
    if not not_read:
        return []
    kinds = (
        f"{number:,} {escape(kind)}" for kind, number in _most_frequent_first(not_read).items()
    )
    return [f"not read: {', '.join(kinds)}"]


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _root_lines(roots: Sequence[RootAway]) -> list[str]:
    return [
        f"root away, {count(away.kept, 'photo')} kept: {escape(away.root)} ({escape(away.why)})"
        for away in roots
    ]


def _speed_line(summary: IndexSummary) -> str:
    device = f", on {escape(summary.device)}" if summary.device else ""
    rate = f", {summary.photos_per_second:,.1f} photos/s" if summary.photos_per_second else ""
    return f"took {duration(summary.seconds)}{rate}{device}"


def _next_step(summary: IndexSummary) -> str:
    if not summary.seen:
        return "next: facesearch index FOLDER, with a folder that holds photos"
    return f"next: facesearch query PHOTO --store {escape(shlex.quote(summary.store))}"


def _prediction_lines(prediction: IndexPrediction) -> list[str]:
    lines = [f"{count(prediction.photos, 'photo')} found, {prediction.to_read:,} to read"]
    if prediction.to_read:
        lines.append(
            f"about {duration(prediction.seconds)} and a store of {size(prediction.store_bytes)}, "
            f"judged by {count(prediction.sampled, 'photo')}"
        )
    lines += _not_read_lines(prediction.not_read)
    lines += _root_lines(prediction.roots_away)
    return [*lines, "nothing was written: the same command without --dry-run does it"]
