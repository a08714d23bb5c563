"""The event-loop front end: calls, stored results, held requests and /healthz; the rest goes to the Flask app.

It decides nothing about invocations (gateway.invoke does); it is here because a Flask route costs more than the whole
exchange with a function (docs/adr/001-two-front-ends.md).
"""
