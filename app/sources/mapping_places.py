"""The place of a key in a mapping file, for errors, and suggestions for misspelled names.

May touch: the mapping file (read only).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path


def comment_of(path: str, section: str, key: str) -> str:
    """The draft's comment on the line of the key."""
    match = re.search(r", line (\d+): ", place_of(path, section, key))
    line = Path(path).read_text(encoding="utf-8").splitlines()[int(match[1]) - 1] if match else ""
    comment = re.search(r"\s#\s+(.*)$", line)
    return comment[1] if comment else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'Symbol'? ` if a known name is similar, else nothing."""
    by_folded = {text.casefold(): text for text in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return f"Did you mean {by_folded[near[0]]!r}? " if near else ""


def place_of(path: str, section: str, key: str) -> str:
    """`journal.toml, line 7: [columns] roi`; without the line where the mapping does not have the
    key."""
    words = " ".join(filter(None, (f"[{section}]" if section else "", key)))
    try:
        text = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        text = []
    current = ""
    for number, line in enumerate(text, 1):
        if header := re.match(r"\s*\[([^\]]+)\]", line):
            current = header[1].strip()
            found = not key and current == section
        else:
            found = (
                bool(key)
                and current == section
                and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line) is not None
            )
        if found:
            return f"{path}, line {number}: {words}"
    return f"{path}: {words}"
