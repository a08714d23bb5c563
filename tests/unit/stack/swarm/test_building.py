"""What the user sees while an image is built."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.swarm.building import BuildFailed, Progress
from stack.swarm.engine_api import TransferEntry


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_quick_build_needs_no_words(said: list[str]) -> None:
    Progress("one:1", said.append).follow(
        [{"stream": "Step 1/2 : FROM base"}, {"stream": "\n"}, {"stream": " ---> 0123456789ab\n"}, {"aux": {}}]
    )
    assert said == []


def test_a_base_image_on_its_way_is_named(said: list[str]) -> None:
    Progress("one:1", said.append).follow([{"status": "Pulling from library/python", "id": "3.11-slim"}])
    assert said == ["one:1: pulling library/python:3.11-slim"]


def test_a_long_step_shows_now_and_then_that_it_lives(said: list[str]) -> None:
    clock = Clock()
    progress = Progress("one:1", said.append, clock)

    def entries() -> Iterator[TransferEntry]:
        yield {"stream": "Step 1/3 : RUN pip install -r requirements.txt\n"}
        for second in range(1, 12):
            clock.now = float(second)
            yield {"stream": f"\x1b[32mCollecting package{second}\x1b[0m\n"}

        yield {"stream": f"Step 2/3 : RUN {'x' * 200}\n"}
        clock.now = 20.0
        yield {"stream": f"Step 3/3 : RUN {'x' * 200}\n"}

    progress.follow(entries())
    assert said[:2] == [
        "one:1: still building, 5 s: step 1/3: Collecting package5",
        "one:1: still building, 10 s: step 1/3: Collecting package10",
    ]
    assert said[2].startswith("one:1: still building, 20 s: step 3/3: RUN xxx")
    assert said[2].endswith("x…")
    assert len(said) == 3


def test_a_failure_shows_the_step_and_the_last_lines(said: list[str]) -> None:
    entries: list[TransferEntry] = [{"stream": f"line {n}\n"} for n in range(40)]
    with pytest.raises(BuildFailed) as caught:
        Progress("one:1", said.append).follow(
            [{"stream": "Step 2/3 : RUN make\n"}, *entries, {"error": "returned a non-zero code: 2"}]
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "cannot build the image one:1 at step 2/3 (RUN make): returned a non-zero code: 2"
    assert lines[1:] == [f"  | line {n}" for n in range(25, 40)]


def test_the_whole_answer_is_read_even_after_an_error(said: list[str]) -> None:
    failures: list[TransferEntry] = [{"error": "first"}, {"error": "second"}, {"stream": "more"}]
    entries = iter(failures)
    with pytest.raises(BuildFailed, match="first"):
        Progress("one:1", said.append).follow(entries)
    assert list(entries) == []
