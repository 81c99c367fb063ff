"""Text in GitHub-flavoured Markdown: nothing in it is read as Markdown, HTML, a mention or a reference."""

from __future__ import annotations

import re
from collections.abc import Iterable

_REFERENCE = re.compile(r"(https?://\S+|(?<!\w)[\w./-]*[@#]\w[\w./-]*)")
"""What GitHub makes a link to a person, an issue or a page: ``@parity``, ``#12``, ``owner/name#12``."""
_SIGNS = str.maketrans(
    {
        "\\": "\\\\",
        "`": "\\`",
        "*": "\\*",
        "~": "\\~",
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "|": "&#124;",
        "$": "<span>$</span>",  # else two of them enclose a formula
    }
)
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore at the edge of a word; within one it means nothing."""
_LINK = re.compile(r"\](?=[(\[:])")
_SPECIAL = re.compile(rf"[^\w .,:/=()-]|{_EMPHASIS.pattern}")
"""What may mean something between HTML tags."""
_MIDDLE = " ... "


def plain(text: str) -> str:
    """Return text for a paragraph or the cell of a table, on one line."""
    found = _REFERENCE.split(_on_one_line(text))
    return "".join(code(part) if at % 2 else _escaped(part) for at, part in enumerate(found))


def code(text: str) -> str:
    """Return text as code, for a paragraph or the cell of a table, on one line."""
    line = _on_one_line(text)
    if not line:
        return ""
    if "`" in line or "|" in line:
        return f"<code>{_SPECIAL.sub(lambda sign: f'&#{ord(sign[0])};', line)}</code>"
    return f"`{line}`"


def block(lines: Iterable[str]) -> str:
    """Return lines as a block of code."""
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def shortened(text: str, length: int) -> str:
    """Return text with its middle left out where it is longer than ``length``: the ends tell names apart."""
    if len(text) <= length:
        return text
    kept = max(length - len(_MIDDLE), 2)
    return f"{text[: kept - kept // 2]}{_MIDDLE}{text[-(kept // 2) :]}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return _LINK.sub(r"\\]", _EMPHASIS.sub(r"\\_", text.translate(_SIGNS)))
