"""The gateway's HTTP API on Flask: management, invocation (the reference front end), the dashboard and who may in.

Views translate between HTTP and plain calls and decide nothing: decisions about invocations are in gateway.invoke,
and functions are the provider's. Pages for people are in gateway.ui.
"""
