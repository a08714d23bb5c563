"""Plain English: words that a reader has to stop at, each with what to say instead."""

from __future__ import annotations

import os
import re
from pathlib import Path

SUFFIXES = (".py", ".md", ".html", ".lua", ".sh", ".yml", ".conf")
PROGRAMS = ("test", "Dockerfile")
"""Files without a suffix that have comments and messages too."""

AVOID = {
    r"(?<!there\s)(?<!there\swill\s)(?<!there\swould\s)(?:is|are|was|were|be) no(?! longer| more )": '"is not a …"',
    r"(?<!there\s)is none": '"is not one"; "there is none" is fine',
    r"who(?:m|so)?ever": '"anyone who", or who it is',
    r"so (?:many|much)(?! that)": '"this many", "that much", or the number',
    r"asked of": '"has to"',
    r"the ones that": '"those that"',
    r"in no time": '"immediately"',
    r"goes? with no": '"cannot be combined with"',
    r"in vain": '"without effect", "without success"',
    r"thereby|hence|henceforth|thereupon|therefrom|thereof|therein|thereafter": '"so", "from then on"',
    r"wherein|whereby|whereof|whereupon|whence|thence|hitherto|heretofore": '"in which", "until now"',
    r"shall": '"will", "must", "should"',
    r"upon|unto": '"on", "after", "to"',
    r"whilst|amongst|albeit|notwithstanding|lest|ere": '"while", "among", "although", "so that … not"',
    r"naught|nought|aught|whatsoever": '"nothing", "anything"',
    r"anew": '"again", "from the beginning"',
    r"mend(?:s|ed|ing)?": '"fix", "repair"',
    r"dear(?:er|est)?": '"expensive", "costs much"',
    r"fores(?:ee|aw|een)": '"expect"',
    r"(?:tell|tells|telling|told) of": '"report", "say that", "notify about"',
    r"what becomes of": '"what happens to"',
    r"pass(?:es|ed) over": '"ignore", "skip"',
    r"just now": '"right now", "at the moment"',
    r"serves? on": '"keeps serving"',
    r"(?:is|are|be|was|were) said": '"is reported", "is logged", "is shown"',
    r"all the same": '"anyway", "even so"',
    r"but for|save for": '"except"',
    r"seldom|lately": '"rarely", "recently"',
    r"otherwise than": '"not", "differently from"',
    r"of before": '"previous", "earlier"',
    r"nothing beside": '"alone"',
    r"by and by|forthwith": '"soon", "immediately"',
    r"in order to|prior to|subsequent to": '"to", "before", "after"',
    r"utili[sz]e[sd]?|commence[sd]?|aforementioned": '"use", "begin"',
}


def test_no_page_comment_or_message_has_a_word_to_avoid(root: Path) -> None:
    any_of_them = re.compile("|".join(map(_pattern, AVOID)))
    found = []
    for path in _files(root):
        text = _plain(path.read_text())
        for hit in any_of_them.finditer(text):
            place = f"{path.relative_to(root)}:{text.count(chr(10), 0, hit.start()) + 1}"
            found.append(f"{place}: instead of {hit[0]!r} say {_instead(text, hit.start())}")
    assert not found, "\n".join(["words to avoid:", *found])


def _files(root: Path) -> list[Path]:
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith((".", "__"))]
        found += [Path(folder, name) for name in names if name.endswith(SUFFIXES) or name in PROGRAMS]
    return sorted(path for path in found if path != Path(__file__).resolve())


def _plain(text: str) -> str:
    """In small letters, which are found in a quarter of the time. Python's None is not the word."""
    return text.replace("None", "~").lower()


def _instead(text: str, position: int) -> str:
    return next(say for words, say in AVOID.items() if re.compile(_pattern(words)).match(text, position))


def _pattern(words: str) -> str:
    """They may be on two lines, and in a comment."""
    return rf"\b(?:{words})\b".replace(" ", r"[\s#]+")
