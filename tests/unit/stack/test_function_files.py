"""Functions in stack files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stack.errors import StackError
from stack.examples import changed
from stack.function_files import SOURCE_ANNOTATION, Source, load_functions, load_sources
from swarmfn.wire.functions import FunctionStatus
from tests.support.processes import REPOSITORY

STACK = """
provider: {name: openfaas}
functions:
  greet:
    lang: python3-http
    handler: ./greet
    image: someone/greet:latest
    fprocess: cat
    environment: {limit: 10}
    labels: {a: b}
    annotations: {c: d}
"""


def stack_file(tmp_path: Path, text: str = STACK) -> Path:
    (tmp_path / "greet").mkdir(exist_ok=True)
    (tmp_path / "greet" / "handler.py").write_text("def handle(event, context):\n    return 'hello'\n")
    path = tmp_path / "stack.yml"
    path.write_text(text)
    return path


def test_a_function_runs_from_its_handler_folder(tmp_path: Path) -> None:
    (function,) = load_functions(stack_file(tmp_path))
    assert (function.name, function.image, function.env_process) == ("greet", f"dir:{tmp_path}/greet", "cat")
    assert (function.env_vars, function.labels) == ({"limit": "10"}, {"a": "b"})
    assert function.annotations["c"] == "d"


def test_a_change_of_code_is_a_change_of_the_function(tmp_path: Path) -> None:
    path = stack_file(tmp_path)
    (before,) = load_functions(path)
    (tmp_path / "greet" / "handler.py").write_text("changed")
    (after,) = load_functions(path)
    assert before.annotations[SOURCE_ANNOTATION] != after.annotations[SOURCE_ANNOTATION]


def test_only_functions_that_differ_are_deployed_again(tmp_path: Path) -> None:
    functions = load_functions(stack_file(tmp_path))
    deployed: dict[str, Any] = {"greet": FunctionStatus(functions[0], 1, 1, "2026-01-01T00:00:00Z").to_json()}
    assert changed(functions, {}) == functions
    assert changed(functions, deployed) == []
    deployed["greet"]["envVars"] = {"limit": "11"}
    assert changed(functions, deployed) == functions


@pytest.mark.parametrize(
    "text", ["functions: [", "{}", "functions: 1", "functions: {greet: {}}", "functions: {'b@d': {handler: .}}"]
)
def test_a_bad_stack_file_is_named(tmp_path: Path, text: str) -> None:
    path = stack_file(tmp_path, text)
    with pytest.raises(StackError, match=r"stack\.yml"):
        load_functions(path)


def test_the_examples_can_be_read() -> None:
    names = {function.name for function in load_functions(REPOSITORY / "examples" / "stack.yml")}
    assert {"echo", "wordcount", "notify"} <= names


def test_the_template_and_the_folder_of_a_function_are_known(tmp_path: Path) -> None:
    assert load_sources(stack_file(tmp_path)) == {"greet": Source("python3-http", tmp_path / "greet")}
    assert load_sources(stack_file(tmp_path, "functions: {greet: {handler: .}}"))["greet"].lang == "dockerfile"


@pytest.mark.parametrize(
    ("lang", "mode"), [("python3", None), ("python3-http", None), ("python3-wsgi", "wsgi"), ("python3-asgi", "asgi")]
)
def test_a_folder_runs_in_the_mode_that_its_templates_image_would_have(
    tmp_path: Path, lang: str, mode: str | None
) -> None:
    path = stack_file(tmp_path, f"functions: {{greet: {{lang: {lang}, handler: ., environment: {{a: 1}}}}}}")
    assert load_functions(path)[0].env_vars == {"a": "1", **({"mode": mode} if mode else {})}
    dockerfile = (REPOSITORY / "template" / lang / "Dockerfile").read_text()
    assert f"\nENV mode={mode or 'python'} " in dockerfile


def test_arguments_of_the_build_are_known(tmp_path: Path) -> None:
    text = "functions: {greet: {handler: ., build_args: {ADDITIONAL_PACKAGE: tree, N: 1}}}"
    assert load_sources(stack_file(tmp_path, text))["greet"].build_args == {"ADDITIONAL_PACKAGE": "tree", "N": "1"}
