"""Metrics of the function's calls, in Prometheus's text format, under the names of OpenFaaS's watchdog."""

from __future__ import annotations

from collections.abc import Iterator

from fwatchdog.http.messages import Request, Response, text_response

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Series:
    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.buckets = [0] * len(_BUCKETS)


class Metrics:
    """Counts calls by status code and method."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._series: dict[tuple[int, str], _Series] = {}

    def observe(self, code: int, method: str, seconds: float) -> None:
        method = method.lower()
        # Clients choose the method: unknown ones share a series, so that their number stays small.
        key = (code, method if method in _METHODS else "unknown")
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.count += 1
        series.seconds += seconds
        for index, bound in enumerate(_BUCKETS):
            if seconds <= bound:
                series.buckets[index] += 1
                break

    def exposition(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# HELP http_requests_in_flight Calls under way."
        yield "# TYPE http_requests_in_flight gauge"
        yield f"http_requests_in_flight {self.in_flight}"
        yield "# HELP http_requests_total Calls, by status code and method; 499 is a caller that went away."
        yield "# TYPE http_requests_total counter"
        for (code, method), series in self._series.items():
            yield f'http_requests_total{{code="{code}",method="{method}"}} {series.count}'
        yield "# HELP http_request_duration_seconds Seconds from a call's head to its answer."
        yield "# TYPE http_request_duration_seconds histogram"
        for (code, method), series in self._series.items():
            yield from _histogram(f'code="{code}",method="{method}"', series)


def _histogram(labels: str, series: _Series) -> Iterator[str]:
    total = 0
    for bound, count in zip(_BUCKETS, series.buckets, strict=True):
        total += count
        yield f'http_request_duration_seconds_bucket{{{labels},le="{bound:g}"}} {total}'
    yield f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}} {series.count}'
    yield f"http_request_duration_seconds_sum{{{labels}}} {series.seconds:.6f}"
    yield f"http_request_duration_seconds_count{{{labels}}} {series.count}"


class MetricsPage:
    """What the metrics port serves: GET /metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def handle(self, request: Request) -> Response:
        if request.raw_path != "/metrics":
            return text_response(404, "There is only /metrics here.\n")
        return Response(200, [("Content-Type", _CONTENT_TYPE)], (self._metrics.exposition().encode(),))
