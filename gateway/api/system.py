"""/system: deploy, list, update, delete and scale functions, as OpenFaaS's clients do it."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from gateway.api.json_bodies import read_object
from gateway.invoke.error_replies import error_with_status
from swarmfn import __version__
from swarmfn.provider import Provider
from swarmfn.wire.errors import InvalidFunction, InvalidRequest
from swarmfn.wire.function_requests import refuse_misspelt, requested_function
from swarmfn.wire.functions import FunctionStatus, check_namespace
from swarmfn.wire.names import NAMESPACE, function_name

_TRUE = frozenset({"1", "t", "true"})


def system_routes(
    provider: Provider,
    counts: Callable[[], Mapping[str, int]],
    limits: Callable[[], list[dict[str, Any]]],
    warnings: Callable[[], list[str]],
) -> Blueprint:
    """The routes under /system. `counts` gives the invocations so far by function; `limits` what is limited, and how
    much there is now; `warnings` what an operator should know of.

    Changes answer 202 with no body: they are accepted, and replicas follow.
    """
    views = _SystemViews(provider, counts)
    routes = Blueprint("system", __name__, url_prefix="/system")
    routes.before_request(_check_query_namespace)
    routes.get("/functions")(views.list_functions)
    routes.post("/functions")(views.deploy)
    routes.put("/functions")(views.update)
    routes.delete("/functions")(views.remove)
    routes.get("/function/<name>")(views.show)
    routes.post("/scale-function/<name>")(views.scale)
    routes.get("/info")(views.info)
    routes.get("/limits", endpoint="limits")(lambda: jsonify(limits()))
    routes.get("/warnings", endpoint="warnings")(lambda: jsonify(warnings()))
    routes.get("/namespaces")(_list_namespaces)
    routes.route("/namespace/<namespace>", methods=["GET", "POST", "PUT", "DELETE"])(_refuse_namespaces)
    return routes


class _SystemViews:
    def __init__(self, provider: Provider, counts: Callable[[], Mapping[str, int]]) -> None:
        self._provider = provider
        self._counts = counts

    def list_functions(self) -> Response:
        counts = self._counts()
        return jsonify([_describe(status, counts, with_usage=False) for status in self._provider.functions()])

    def show(self, name: str) -> Response:
        with_usage = request.args.get("usage", "").lower() in _TRUE
        return jsonify(_describe(self._provider.get(function_name(name)), self._counts(), with_usage))

    def deploy(self) -> Response:
        self._provider.deploy(requested_function(read_object(request)))
        return _accepted()

    def update(self) -> Response:
        self._provider.update(requested_function(read_object(request)))
        return _accepted()

    def remove(self) -> Response:
        body = read_object(request)
        refuse_misspelt(body, ("functionName", "namespace"))
        check_namespace(body)
        self._provider.remove(function_name(_named(body, "functionName")))
        return _accepted()

    def scale(self, name: str) -> Response:
        wanted = function_name(name)
        body = read_object(request)
        refuse_misspelt(body, ("serviceName", "replicas", "namespace"))
        check_namespace(body)
        if body.get("serviceName") and function_name(_named(body, "serviceName")) != wanted:
            raise InvalidRequest(f'serviceName: expected "{wanted}", the name in the path, or none.')
        self._provider.scale(wanted, _replicas(body))
        return _accepted()

    def info(self) -> Response:
        version = {"sha": "", "release": __version__}
        kind = self._provider.kind
        provider = {"provider": f"swarmfn-{kind}", "version": version, "orchestration": kind}
        return jsonify({"provider": provider, "version": version, "arch": platform.machine()})


def _describe(status: FunctionStatus, counts: Mapping[str, int], with_usage: bool) -> dict[str, Any]:
    counted = dataclasses.replace(
        status,
        invocation_count=counts.get(status.spec.name, 0),
        usage=status.usage if with_usage else None,
    )
    return counted.to_json()


def _check_query_namespace() -> None:
    check_namespace(request.args)


def _list_namespaces() -> Response:
    return jsonify([NAMESPACE])


def _refuse_namespaces(namespace: str) -> Response:
    raise error_with_status(501, "namespaces cannot be added or changed.", f'There is only "{NAMESPACE}".')


def _accepted() -> Response:
    return Response(status=202)


def _named(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidFunction(field, f"expected the name of a function, got {value!r:.100}.")
    return value


def _replicas(body: dict[str, Any]) -> int:
    # Left out, it would mean 0 to a Go program, and a typing error would stop the function.
    value = body.get("replicas")
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidFunction("replicas", f"expected a whole number, got {value!r:.100}.")
    return value
