from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from fwatchdog.children import Child, Nursery, find_program
from tests.support.processes import is_running
from tests.support.waiting import wait_until


def spawn(nursery: Nursery, *command: str, environment: Mapping[str, str] = os.environ) -> tuple[Child, int]:
    """A child, and the read end of its output."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        return nursery.spawn(command[0], command, dict(environment), null, write, null), read
    finally:
        os.close(null)
        os.close(write)


async def exit_code(child: Child) -> int:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    child.on_exit(ended.set_result)
    return await ended


async def test_exit_code_arrives_once_the_child_is_reaped() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    for command, expected in (("exit 3", 3), ("kill -TERM $$", -15)):
        child, output = spawn(nursery, "/bin/sh", "-c", command)
        assert await exit_code(child) == expected
        assert await exit_code(child) == expected
        child.kill()
        child.kill()
        os.close(output)


async def test_group_ends_with_its_child_even_when_the_leader_is_gone() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    child, output = spawn(nursery, "/bin/sh", "-c", "sleep 600 >/dev/null & echo $!")
    assert await exit_code(child) == 0
    grandchild = int(os.read(output, 100))
    os.close(output)
    assert is_running(grandchild)
    child.kill()
    wait_until(lambda: not is_running(grandchild))


async def read_line(output: int) -> list[int]:
    """The process ids in the line that a child writes."""
    loop = asyncio.get_running_loop()
    written = await loop.run_in_executor(None, os.read, output, 100)
    return [int(word) for word in written.split()]


async def test_kill_reaches_descendants_in_sessions_of_their_own() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    inner = "trap '' TERM; setsid sleep 600 & echo $$ $!; wait"
    child, output = spawn(nursery, "/bin/sh", "-c", f'setsid sh -c "{inner.replace("$", chr(92) + "$")}" & wait')
    family = await read_line(output)
    assert len(family) == 2
    assert all(map(is_running, family))
    child.kill()
    wait_until(lambda: not any(map(is_running, family)), message="all of them are dead")
    assert await exit_code(child) == -9
    os.close(output)


LEAVE_BEHIND = "setsid sleep 600 >/dev/null & until [ $(cut -d' ' -f6 /proc/$!/stat) = $! ]; do :; done; echo $!"


async def test_what_a_child_left_in_a_session_of_its_own_outlives_its_end() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    child, output = spawn(nursery, "/bin/sh", "-c", LEAVE_BEHIND)
    (daemon,) = await read_line(output)
    assert await exit_code(child) == 0
    child.kill()
    assert is_running(daemon)
    os.kill(daemon, 9)
    os.close(output)


async def test_kill_all_ends_every_child() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    children = [spawn(nursery, "/bin/sleep", "600") for _ in range(3)]
    nursery.kill_all()
    assert [await exit_code(child) for child, _ in children] == [-9, -9, -9]
    for _, output in children:
        os.close(output)


async def test_failed_start_leaves_no_descriptor_open() -> None:
    nursery = Nursery(asyncio.get_running_loop())
    before = os.listdir("/proc/self/fd")
    try:
        spawn(nursery, "/no/such/program")
    except FileNotFoundError:
        # Two less: `spawn` above did not get to hand out the pipe's read end.
        assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    else:
        raise AssertionError("there is such a program")


def test_program_is_found_in_the_path_unless_it_is_one() -> None:
    assert find_program("sh", "/nowhere:/bin") == "/bin/sh"
    assert find_program("/bin/sh", "") == "/bin/sh"
    assert find_program("sh", "/nowhere") is None
    assert find_program("/etc/passwd", "") is None
    assert find_program("/bin", "") is None
