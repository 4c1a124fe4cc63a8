"""Numbers as people read them: sizes, counts, bars."""

from __future__ import annotations

EIGHTHS = " ▏▎▍▌▋▊▉"


def size(number: float) -> str:
    """Bytes, with a unit."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(number) < 1024 or unit == "TB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def bar(part: float, width: int) -> str:
    """A share of one as a bar, to an eighth of a character."""
    eighths = round(min(1.0, max(0.0, part)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[rest] if rest else "")).ljust(width)


def printable(name: bytes, longest: int = 60) -> str:
    """A key's name, in one line of a terminal whatever is in it."""
    text = name.decode("utf-8", "backslashreplace")
    text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
