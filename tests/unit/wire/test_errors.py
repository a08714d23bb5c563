"""The errors clients see: their status, and a message that says what helps."""

from __future__ import annotations

import pytest

from swarmfn.wire import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), 400),
        (errors.InvalidFunction("image", "is required."), 400),
        (errors.Unauthorized("x"), 401),
        (errors.FunctionNotFound("x"), 404),
        (errors.InvocationNotFound("x"), 404),
        (errors.FunctionExists("x"), 409),
        (errors.TooLarge("x"), 413),
        (errors.KeyReused(), 422),
        (errors.Overloaded("x"), 429),
        (errors.FaasError("x"), 500),
        (errors.UpstreamError("x"), 502),
        (errors.Unavailable("x"), 503),
        (errors.NoReplicas("x"), 503),
        (errors.QueueUnavailable("x"), 503),
        (errors.EngineUnavailable("x"), 503),
        (errors.UpstreamTimeout("x"), 504),
    ],
)
def test_each_error_has_its_status(error: errors.FaasError, status: int) -> None:
    assert error.status == status


def test_the_text_of_an_error_is_its_message_and_its_hint() -> None:
    assert str(errors.FaasError("It broke.", "Fix it.")) == "It broke. Fix it."
    assert str(errors.FaasError("It broke.")) == "It broke."


def test_an_invalid_function_names_the_field() -> None:
    error = errors.InvalidFunction("limits.memory", "is odd.", "Use 128Mi.")
    assert error.field == "limits.memory"
    assert str(error) == "limits.memory: is odd. Use 128Mi."


def test_errors_that_pass_say_when_to_come_back() -> None:
    assert errors.Overloaded("x").retry_after == 1.0
    assert errors.NoReplicas("x", retry_after=2.5).retry_after == 2.5
