"""How the image of a function is built from its folder, as `faas-cli build` does with the templates in template/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stack.build_recipes import DOCKERFILE, Recipe, base_argument, folder_files
from stack.errors import StackError

DOCKERFILE_LANG = "dockerfile"
"""The folder has a Dockerfile of its own, or runs a command that is named when the function is deployed."""

_FUNCTION = "function"
_REQUIREMENTS = f"{_FUNCTION}/requirements.txt"


class UnknownTemplate(StackError):
    """A function's `lang` names no template."""


def build_recipe(
    function_folder: Path, lang: str, root: Path, base: str = "", arguments: Mapping[str, str] | None = None
) -> Recipe:
    """The build of one function's image. `root` has the folder template/; `base` is an image with the watchdog in it,
    or "" for the one that the Dockerfile names; `arguments` are further build arguments, such as ADDITIONAL_PACKAGE.
    Raises StackError when there is no such folder, UnknownTemplate for `lang`."""
    build_args = {**(arguments or {}), **base_argument(base)}
    if not function_folder.is_dir():
        raise StackError(f"cannot build a function's image: there is no folder {function_folder}")
    if lang == DOCKERFILE_LANG:
        return _own_dockerfile(function_folder, root, build_args)
    template = root / "template" / lang
    if lang not in templates(root):
        raise UnknownTemplate(f"no template {lang!r} in {root / 'template'}; there are: {', '.join(templates(root))}")
    files: dict[str, Path | bytes] = {**folder_files(template)}
    files.update(folder_files(function_folder, _FUNCTION))
    files.setdefault(_REQUIREMENTS, b"")
    for name in ("template.yml", DOCKERFILE):
        files.pop(name, None)
    return Recipe((template / DOCKERFILE).read_text(), files, build_args)


def templates(root: Path) -> list[str]:
    """What `lang` can be."""
    return sorted(file.parent.name for file in (root / "template").glob("*/template.yml"))


def _own_dockerfile(folder: Path, root: Path, build_args: Mapping[str, str]) -> Recipe:
    files: dict[str, Path | bytes] = {**folder_files(folder)}
    own = files.pop(DOCKERFILE, root / "template" / DOCKERFILE_LANG / _FUNCTION / DOCKERFILE)
    assert isinstance(own, Path)
    return Recipe(own.read_text(), files, build_args)
