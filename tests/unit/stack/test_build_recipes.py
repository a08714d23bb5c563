"""What goes into each image, without an engine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from stack.build_recipes import Recipe, folder_files, stack_recipe, watchdog_recipe
from stack.errors import StackError
from stack.function_files import load_functions
from stack.function_images import UnknownTemplate, build_recipe, templates

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "hello"
    (folder / "parts" / "__pycache__").mkdir(parents=True)
    (folder / "handler.py").write_text("def handle(req): ...\n")
    (folder / "parts" / "words.txt").write_text("one two\n")
    (folder / "parts" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"\0")
    return folder


def names(recipe: Recipe) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(recipe.archive())) as tar:
        return set(tar.getnames())


def test_an_archive_holds_the_dockerfile_and_the_files_with_their_modes(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    recipe = Recipe("FROM scratch\n", {"bin/run.sh": script, "empty": b""})
    with tarfile.open(fileobj=io.BytesIO(recipe.archive())) as tar:
        assert {entry.name: entry.mode for entry in tar} == {"Dockerfile": 0o644, "bin/run.sh": 0o755, "empty": 0o644}
        dockerfile = tar.extractfile("Dockerfile")
        assert dockerfile is not None
        assert dockerfile.read() == b"FROM scratch\n"


def test_the_hash_changes_with_everything_that_goes_in_and_nothing_else(folder: Path) -> None:
    def now(base: str = "") -> str:
        return build_recipe(folder, "python3-http", ROOT, base).content_hash()

    hashes = [now()]
    assert now() == hashes[0]
    hashes.append(now("another/watchdog"))
    (folder / "handler.py").write_text("def handle(req): return req\n")
    hashes.append(now())
    (folder / "handler.py").chmod(0o755)
    hashes.append(now())
    (folder / "parts" / "words.txt").rename(folder / "words.txt")
    hashes.append(now())
    assert len(set(hashes)) == len(hashes)
    (folder / "parts" / "__pycache__" / "y.cpython-311.pyc").write_bytes(b"\0")
    (folder / "words.txt").touch()
    assert now() == hashes[-1]


def test_equal_content_makes_equal_bytes(folder: Path) -> None:
    before = build_recipe(folder, "python3-http", ROOT).archive()
    (folder / "handler.py").touch()
    assert build_recipe(folder, "python3-http", ROOT).archive() == before


def test_a_python_function_lies_in_the_folder_function_and_always_has_requirements(folder: Path) -> None:
    recipe = build_recipe(folder, "python3-http", ROOT, "a/watchdog")
    expected = {"Dockerfile", "function/handler.py", "function/parts/words.txt", "function/requirements.txt"}
    assert names(recipe) == expected
    assert recipe.files["function/handler.py"] == folder / "handler.py"
    assert recipe.build_args == {"BASE": "a/watchdog"}


def test_arguments_of_the_build_are_passed_on(folder: Path) -> None:
    recipe = build_recipe(folder, "python3-http", ROOT, "a/watchdog", {"ADDITIONAL_PACKAGE": "tree"})
    assert recipe.build_args == {"BASE": "a/watchdog", "ADDITIONAL_PACKAGE": "tree"}


def test_a_folder_with_a_dockerfile_is_the_context_itself(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM elsewhere\nCOPY parts /\n")
    recipe = build_recipe(folder, "dockerfile", ROOT)
    assert recipe.dockerfile == "FROM elsewhere\nCOPY parts /\n"
    assert names(recipe) == {"Dockerfile", "handler.py", "parts/words.txt"}


def test_a_folder_without_one_gets_the_watchdog_for_its_command(tmp_path: Path) -> None:
    recipe = build_recipe(tmp_path, "dockerfile", ROOT)
    assert "ARG BASE=swarmfn/watchdog" in recipe.dockerfile


def test_an_unknown_language_is_refused_with_those_that_there_are(folder: Path) -> None:
    with pytest.raises(UnknownTemplate, match=r"'cobol'.*dockerfile, python3, "):
        build_recipe(folder, "cobol", ROOT)
    with pytest.raises(UnknownTemplate):
        build_recipe(folder, "../examples/sleep", ROOT)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="gone"):
        build_recipe(tmp_path / "gone", "dockerfile", ROOT)


def test_every_example_has_a_recipe() -> None:
    for function in load_functions(ROOT / "examples" / "stack.yml"):
        folder = Path(function.image.removeprefix("dir:"))
        lang = "python3-http" if (folder / "handler.py").exists() else "dockerfile"
        assert build_recipe(folder, lang, ROOT).content_hash()
    assert templates(ROOT) == ["dockerfile", "python3", "python3-asgi", "python3-http", "python3-wsgi"]


@pytest.mark.parametrize("lang", ["python3", "python3-asgi", "python3-wsgi"])
def test_the_templates_for_python_build_in_the_same_way(lang: str) -> None:
    def lines(template: str) -> list[str]:
        text = (ROOT / "template" / template / "Dockerfile").read_text()
        return [line for line in text.splitlines() if not line.startswith("ENV mode=")]

    assert lines(lang) == lines("python3-http")


@pytest.mark.parametrize("lang", templates(ROOT))
def test_a_template_has_the_layout_that_faas_cli_knows(lang: str) -> None:
    folder = ROOT / "template" / lang
    described = yaml.safe_load((folder / "template.yml").read_text())
    assert described["language"] == lang
    assert described["welcome_message"]
    expected = ["Dockerfile"] if lang == "dockerfile" else ["handler.py", "requirements.txt"]
    assert sorted(path.name for path in (folder / "function").iterdir() if path.is_file()) == expected


def test_the_images_hold_the_programs_and_not_the_rest_of_the_repository() -> None:
    stack, watchdog = names(stack_recipe(ROOT)), names(watchdog_recipe(ROOT))
    assert {"gateway/ui/templates/ui/base.html", "worker/__main__.py", "swarmfn/__init__.py"} <= stack
    programs = {"swarmfn", "gateway", "worker"}
    assert {name.split("/")[0] for name in stack} == {"Dockerfile", "requirements.txt", "sbom.cdx.json"} | programs
    assert {"fwatchdog/run.py", "swarmfn/wire/logs.py", "swarmfn/__init__.py"} <= watchdog
    assert {name.split("/")[0] for name in watchdog} == {"Dockerfile", "swarmfn", "fwatchdog"}
    assert {"/".join(name.split("/")[:2]) for name in watchdog if name.startswith("swarmfn/")} == {
        "swarmfn/__init__.py",
        "swarmfn/wire",
    }


def test_every_copied_name_is_in_the_context() -> None:
    for recipe in (stack_recipe(ROOT), watchdog_recipe(ROOT)):
        copied = [line.split()[1] for line in recipe.dockerfile.splitlines() if line.startswith("COPY ")]
        assert copied
        for name in copied:
            assert any(file == name or file.startswith(f"{name}/") for file in recipe.files), name


def test_what_tools_leave_behind_is_no_file_of_a_folder(folder: Path) -> None:
    assert set(folder_files(folder, "x")) == {"x/handler.py", "x/parts/words.txt"}


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM scratch\n", []),
        ("FROM debian:12 AS one\nFROM one\nFROM --platform=linux/amd64 alpine\n", ["debian:12", "alpine"]),
        ("ARG BASE=python:3.11-slim\nFROM ${BASE}\n", ["given:1"]),
        ("arg BASE\nfrom $BASE as x\n", ["given:1"]),
        ('ARG OTHER="python:3"\nFROM ${OTHER}\nFROM ${NONE:-debian}\nFROM ${NONE}\n', ["python:3", "debian"]),
    ],
)
def test_the_bases_of_a_build_are_those_that_its_dockerfile_names(dockerfile: str, expected: list[str]) -> None:
    assert Recipe(dockerfile, {}, {"BASE": "given:1"}).bases() == expected


def test_the_hash_changes_with_what_the_bases_are(folder: Path) -> None:
    recipe = build_recipe(folder, "python3-http", ROOT)
    assert recipe.content_hash() == recipe.content_hash([])
    assert (
        len({recipe.content_hash(bases) for bases in ([], ["sha256:1"], ["sha256:2"], ["sha256:1", "sha256:2"])}) == 4
    )
