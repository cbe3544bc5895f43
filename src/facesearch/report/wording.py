"""How numbers, times and messages read to a person."""

from __future__ import annotations

from datetime import datetime

from facesearch.report.terminal import escape


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A counted noun: "1 face", "15,769 faces"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def large(number: int) -> str:
    """A number that may be very large: "15,769", "4.1 million"."""
    for unit, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if number >= unit * 0.99995:
            return f"{number / unit:,.1f} {name}"
    return f"{number:,}"


def about(number: float) -> str:
    """An estimate with the two digits that mean something: "0.034", "2.6", "1,200"."""
    rough = float(f"{number:.2g}")
    return large(round(rough)) if rough >= 10 else f"{rough:g}"


def duration(seconds: float) -> str:
    """A length of time with the two units that matter: "4.2 s", "3 min 20 s", "2 h 10 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(number_of_bytes: int) -> str:
    """Bytes in decimal units: "812 bytes", "12.4 MB"."""
    if number_of_bytes < 1000:
        return count(number_of_bytes, "byte")
    amount = float(number_of_bytes)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def days_ago(moment: str, now: datetime) -> str:
    """When ``moment`` (ISO 8601, UTC) was, as seen at ``now``: "today", "3 days ago", a date."""
    zone = now.tzinfo or now.astimezone().tzinfo
    try:
        date = datetime.fromisoformat(moment).astimezone(zone).date()
    except (ValueError, OverflowError):  # a store may hold anything; it is shown as it stands
        return f"at {escape(moment)}"
    days = (now.date() - date).days
    if days == 0:
        return "today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if 1 < days < 30 else f"on {date.isoformat()}"


def message_with_path(path: str, message: str) -> str:
    """One safe line that names the path once, whether or not the message does already."""
    named = path in message or escape(path) in message
    return escape(message if named else f"{path}: {message}")
