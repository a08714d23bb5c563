"""Handlers that use Flask themselves."""

import io

import flask
from flask import Response, abort, current_app, jsonify, make_response, request, send_file


def json_answer(event, context):
    return jsonify(b=1, a=[1, 2])


def json_with_status(event, context):
    return jsonify({"made": True}), 201, {"X-Made": "yes"}


def made_response(event, context):
    response = make_response("tea", 418)
    response.headers["X-Pot"] = "yes"
    return response


def current_request(event, context):
    return {"body": {"args": request.args.to_dict(), "json": request.get_json(silent=True), "method": request.method}}


def form(event, context):
    return {"body": request.form.to_dict()}


def data_of_both(event, context):
    return {"body": {"same": request.get_data() == event.body, "size": len(event.body)}}


def attachment(event, context):
    return send_file(io.BytesIO(b"a,b\n1,2\n"), mimetype="text/csv", as_attachment=True, download_name="rows.csv")


def part_of_a_file(event, context):
    return send_file(io.BytesIO(b"0123456789"), mimetype="text/plain", conditional=True, etag=False)


def aborted(event, context):
    abort(400, "what?")


def rendered(event, context):
    return flask.render_template_string("<p>{{ name }}</p>", name=event.query.get("name"))


def redirected(event, context):
    return flask.redirect("/login")


def application_makes_it(event, context):
    return current_app.make_response(("made", 201))


def streamed(event, context):
    return Response((piece for piece in ("a", "b")), content_type="text/plain")
