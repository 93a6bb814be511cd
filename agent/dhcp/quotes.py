"""Quotes about the text of an option: they keep the blanks at its edges.

Quotes about anything else are part of the text: files that have them are older than this meaning.
"""

from __future__ import annotations


def quoted(text: str) -> str:
    """What `unquoted` makes the text of."""
    return f'"{text}"' if _needs_quotes(text) else text


def unquoted(text: str) -> str:
    return text[1:-1] if _needs_quotes(text) else text


def _needs_quotes(text: str) -> bool:
    while len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text != text.strip()
