"""`gateway.invoke.cross_origin` on Flask, where the setting asks for it."""

from __future__ import annotations

from flask import Flask, Response, request

from gateway.invoke.cross_origin import ORIGIN, CrossOrigin


def on_flask(app: Flask, rules: CrossOrigin) -> None:
    """Has `app` answer what `rules` say. Only where no fast lane is in front of it, which does the same."""

    def answer_preflight() -> Response | None:
        if not rules.concerns(request.path):
            return None
        headers = ((name.lower(), value) for name, value in request.headers.items())
        granted = rules.preflight(request.method, headers)
        return None if granted is None else Response(status=204, headers=granted)

    def grant(response: Response) -> Response:
        if rules.concerns(request.path):
            present = {name.lower() for name, _ in response.headers.items()}
            for name, value in rules.grant(request.headers.get(ORIGIN, ""), present):
                response.headers.add(name, value)
        return response

    app.before_request(answer_preflight)
    app.after_request(grant)
