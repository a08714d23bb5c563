"""What a program shows to Prometheus: the listener, and histograms that cost little on the path of every call.

What is counted, and under which names, is each program's own.
"""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus's text format."""
