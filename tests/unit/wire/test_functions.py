"""A function's JSON: exactly what OpenFaaS's clients send and expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmfn.wire.errors import FaasError, InvalidFunction, InvalidRequest
from swarmfn.wire.functions import FunctionSpec, FunctionStatus, Resources, check_namespace
from swarmfn.wire.policies import NO_POLICY

FULL: dict[str, Any] = {
    "service": "figlet",
    "image": "docker.io/functions/figlet:0.1",
    "namespace": "openfaas-fn",
    "envProcess": "figlet -f big",
    "envVars": {"exec_timeout": "90s"},
    "labels": {"com.openfaas.scale.min": "2"},
    "annotations": {"topic": "a,b", "note": '{"json": true}'},
    "secrets": ["key"],
    "constraints": ["node.role == worker"],
    "limits": {"memory": "40Mi", "cpu": "100m"},
    "requests": {"memory": "20Mi"},
    "readOnlyRootFilesystem": True,
    "registryAuth": "dXNlcjpwYXNz",
    "network": "func_functions",
}


def spec(**fields: Any) -> FunctionSpec:
    return FunctionSpec.from_json({"service": "echo", "image": "echo:1", **fields})


def refused(body: Any) -> InvalidFunction:
    with pytest.raises(InvalidFunction) as raised:
        FunctionSpec.from_json(body)
    return raised.value


def test_everything_a_deploy_body_holds_comes_back_out() -> None:
    assert FunctionSpec.from_json(FULL).to_json() == FULL


def test_a_spec_is_read_back_equal_from_its_own_json() -> None:
    for original in (FunctionSpec.from_json(FULL), spec()):
        assert FunctionSpec.from_json(json.loads(json.dumps(original.to_json()))) == original


def test_the_smallest_deploy_body_has_the_two_maps_and_nothing_that_was_not_set() -> None:
    assert spec().to_json() == {
        "service": "echo",
        "image": "echo:1",
        "namespace": "openfaas-fn",
        "labels": {},
        "annotations": {},
    }


def test_null_counts_as_absent_in_every_field() -> None:
    assert spec(**{key: None for key in FULL if key not in ("service", "image")}) == spec()


def test_empty_values_count_as_absent() -> None:
    empty = {
        "envProcess": "",
        "envVars": {},
        "secrets": [],
        "limits": {},
        "readOnlyRootFilesystem": False,
        "namespace": "",
    }
    assert spec(**empty) == spec()


def test_unknown_fields_are_ignored() -> None:
    assert spec(colour="blue", limits={"memory": "1Mi", "gpu": "1"}) == spec(limits={"memory": "1Mi"})


def test_the_namespace_on_the_name_is_dropped() -> None:
    assert spec(service="echo.openfaas-fn").name == "echo"


@pytest.mark.parametrize("body", [None, [], "text", 7, True])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        FunctionSpec.from_json(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", ""),
        ("service", 7),
        ("service", "no spaces"),
        ("image", ""),
        ("image", ["x"]),
        ("namespace", "dev"),
        ("namespace", 7),
        ("envProcess", ["cat"]),
        ("envVars", ["A=1"]),
        ("envVars", {"A": 1}),
        ("labels", "x"),
        ("labels", {"a": None}),
        ("annotations", {"a": True}),
        ("secrets", "key"),
        ("secrets", [1]),
        ("constraints", {}),
        ("limits", []),
        ("limits", {"memory": 40}),
        ("requests", {"cpu": 1}),
        ("readOnlyRootFilesystem", "true"),
        ("readOnlyRootFilesystem", 1),
        ("registryAuth", 1),
        ("network", {}),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_name(field: str, value: Any) -> None:
    error = refused({**FULL, field: value})
    assert error.field == field
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "amounts", "named"),
    [
        ("limits", {"memory": "lots"}, "limits.memory"),
        ("limits", {"cpu": "half"}, "limits.cpu"),
        ("requests", {"memory": "1Xi"}, "requests.memory"),
    ],
)
def test_an_amount_that_does_not_parse_is_refused_by_its_full_name(
    field: str, amounts: dict[str, str], named: str
) -> None:
    assert refused({**FULL, field: amounts}).field == named


def test_a_missing_service_or_image_is_refused() -> None:
    assert refused({"image": "x"}).field == "service"
    assert refused({"service": "x"}).field == "image"


def test_a_huge_bad_value_is_not_repeated_in_full() -> None:
    assert len(str(refused({**FULL, "envProcess": ["x" * 100_000]}))) < 300


@pytest.mark.parametrize("document", [{}, {"namespace": None}, {"namespace": ""}, {"namespace": "openfaas-fn"}])
def test_no_namespace_and_the_only_one_are_accepted(document: dict[str, Any]) -> None:
    check_namespace(document)


def test_another_namespace_is_refused_with_the_one_there_is() -> None:
    with pytest.raises(FaasError, match="openfaas-fn"):
        check_namespace({"namespace": "dev"})


@pytest.mark.parametrize(
    ("label", "replicas"), [("0", 0), ("3", 3), ("", 1), ("many", 1), ("-1", 1), ("1.5", 1), ("²", 1)]
)
def test_the_first_number_of_replicas_is_a_label_or_one(label: str, replicas: int) -> None:
    assert spec(labels={"com.openfaas.scale.min": label}).initial_replicas == replicas
    assert spec().initial_replicas == 1


def test_a_function_waits_in_its_own_queue_unless_an_annotation_names_another() -> None:
    assert spec().queue == "echo"
    assert spec(annotations={"com.openfaas.queue": ""}).queue == "echo"
    assert spec(annotations={"com.openfaas.queue": "slow-lane"}).queue == "slow-lane"
    assert spec(annotations={"com.openfaas.queue": "callbacks:gateway:8080"}).queue == "echo"
    assert spec(annotations={"com.openfaas.queue": "work:high"}).queue == "echo"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"annotations": {"com.openfaas.queue": "work:high"}}, ["com.openfaas.queue", "work:high", "echo"]),
        ({"annotations": {"com.openfaas.queue": "callbacks"}}, ["com.openfaas.queue", "callbacks", "echo"]),
        ({"envVars": {"exec_timeout": "soon"}}, ["envVars exec_timeout", "soon"]),
        ({"labels": {"exec_timeout": "-1s"}}, ["label exec_timeout", "-1s"]),
        ({"annotations": {"com.openfaas.retry.attempts": "x"}}, ["com.openfaas.retry.attempts"]),
    ],
)
def test_what_cannot_be_used_is_warned_of(fields: dict[str, Any], words: list[str]) -> None:
    (warning,) = spec(**fields).policy.warnings
    assert all(word in warning for word in words)


def test_what_can_be_used_is_not() -> None:
    plain = spec(envVars={"exec_timeout": ""}, labels={"exec_timeout": "90"}, annotations={"com.openfaas.queue": "q"})
    assert plain.policy == NO_POLICY


RETRY = "com.openfaas.retry.attempts"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("com.openfaas.retry.attemps", f"did you mean {RETRY}?"),
        ("com.openfaas.retry.max-wait", "did you mean com.openfaas.retry.max_wait?"),
        ("com.openfass.retry.attempts", f"did you mean {RETRY}?"),
        ("com.swarmfn.retry.attempts", f"did you mean {RETRY}?"),
        ("com.openfaas.health.http.initial_delay", "did you mean com.openfaas.health.http.initialDelay?"),
        ("com.swarmfn.drop_capabilites", "did you mean com.swarmfn.drop_capabilities?"),
        ("com.openfaas.sclae.min", "did you mean the label com.openfaas.scale.min?"),
        ("com.openfaas.scale.min", "means nothing: put it among the labels"),
    ],
)
def test_a_misspelt_annotation_is_warned_of_with_the_right_one(name: str, expected: str) -> None:
    (warning,) = spec(annotations={name: "1"}).policy.warnings
    assert name in warning
    assert warning.endswith(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("com.openfaas.scale.mn", "did you mean com.openfaas.scale.min?"),
        ("com.swarmfn.sit", "did you mean the annotation com.swarmfn.site?"),
        ("com.openfaas.queue", "means nothing: put it among the annotations"),
    ],
)
def test_a_misspelt_label_is_warned_of_with_the_right_one(name: str, expected: str) -> None:
    (warning,) = spec(labels={name: "1"}).policy.warnings
    assert name in warning
    assert warning.endswith(expected)


@pytest.mark.parametrize(
    "name",
    [
        "com.openfaas.scale.max", "com.openfaas.scale.zero", "com.openfaas.health.http.path", "com.openfaas.profile",
        "com.openfaas.ready.http.initialDelaySeconds", "com.openfaas.cloud.git-owner", "com.openfaas.function",
        "com.swarmfn.source", "com.swarmfn.entirely.new", "com.example.retry.attemps", "retry.attemps", "topic", "site",
        "com.docker.stack.image", "com.openfaas", "com.openfaas.", "..", "",
    ],
)  # fmt: skip
def test_names_that_are_others_or_new_are_passed_over(name: str) -> None:
    assert spec(labels={name: "1"}, annotations={name: "1"}).policy == NO_POLICY


def test_a_status_tells_of_what_was_given_in_vain() -> None:
    function = spec(annotations={"com.openfaas.retry.attemps": "3"})
    document = FunctionStatus(function, 1, 1, "2026-01-31T12:00:00Z").to_json()
    assert document["warnings"] == [f"there is no annotation com.openfaas.retry.attemps; did you mean {RETRY}?"]
    assert "warnings" not in FunctionStatus(spec(), 1, 1, "2026-01-31T12:00:00Z").to_json()


def test_exec_timeout_is_taken_from_variables_then_label_then_image_then_default() -> None:
    variables, labels, image = {"exec_timeout": "1s"}, {"exec_timeout": "2s"}, {"exec_timeout": "3s"}
    assert spec(envVars=variables, labels=labels).exec_timeout(image, 4.0) == 1.0
    assert spec(labels=labels).exec_timeout(image, 4.0) == 2.0
    assert spec().exec_timeout(image, 4.0) == 3.0
    assert spec().exec_timeout({}, 4.0) == 4.0


@pytest.mark.parametrize("text", ["", "soon", "0", "0s", "-5s"])
def test_an_exec_timeout_that_is_no_duration_or_zero_is_passed_over(text: str) -> None:
    assert spec(envVars={"exec_timeout": text}).exec_timeout({"exec_timeout": "3s"}, 4.0) == 3.0


def test_start_timeout_is_a_minute_more_than_the_initial_delay_if_that_is_longer() -> None:
    def limit(delay: str) -> float:
        return spec(annotations={"com.openfaas.health.http.initialDelay": delay}).start_timeout(300.0)

    assert spec().start_timeout(300.0) == 300.0
    assert [limit("30s"), limit("10m"), limit("900"), limit("1000h")] == [300.0, 660.0, 960.0, 86460.0]
    assert limit("soon") == 300.0
    (warning,) = spec(annotations={"com.openfaas.health.http.initialDelay": "soon"}).policy.warnings
    assert "initialDelay" in warning


def test_a_status_tells_what_was_deployed_and_how_it_is() -> None:
    status = FunctionStatus(FunctionSpec.from_json(FULL), 2, 1, "2026-01-31T12:00:00Z", 7)
    document = status.to_json()
    shared = {key: value for key, value in FULL.items() if key not in ("service", "registryAuth", "network")}
    assert document == {
        "name": "figlet",
        **shared,
        "replicas": 2,
        "availableReplicas": 1,
        "invocationCount": 7.0,
        "createdAt": "2026-01-31T12:00:00Z",
    }
    assert isinstance(document["invocationCount"], float)


def test_a_status_never_shows_the_registrys_credentials() -> None:
    assert "dXNlcjpwYXNz" not in json.dumps(FunctionStatus(FunctionSpec.from_json(FULL), 1, 1, "").to_json())


def test_a_status_has_both_maps_but_no_empty_variables() -> None:
    document = FunctionStatus(spec(), 1, 0, "").to_json()
    assert document["labels"] == {}
    assert document["annotations"] == {}
    assert "envVars" not in document


def test_usage_is_there_only_when_it_was_asked_for() -> None:
    assert "usage" not in FunctionStatus(spec(), 1, 1, "").to_json()
    usage = {"cpu": 12.5, "totalMemoryBytes": 1024.0}
    assert FunctionStatus(spec(), 1, 1, "", usage=usage).to_json()["usage"] == usage


def test_amounts_are_echoed_as_they_were_written() -> None:
    assert Resources("128m", "0.50").to_json() == {"memory": "128m", "cpu": "0.50"}
    assert Resources().to_json() == {}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"A=B": "x"}, "no variable can be called 'A=B'"),
        ({"=": "x"}, "no variable can be called '='"),
        ({"": "x"}, "no variable can be called ''"),
        ({"A\0B": "x"}, "no variable can be called"),
        ({"A": "x\0"}, "the value of 'A' has a NUL"),
        ({"A": "x" * 131_070}, "the value of 'A' is too long"),
    ],
)
def test_variables_that_no_program_can_be_started_with_are_refused(variables: dict[str, str], told: str) -> None:
    assert told in refused({"service": "echo", "image": "echo:1", "envVars": variables}).message


def test_the_longest_variable_that_linux_takes_is_taken() -> None:
    assert spec(envVars={"A": "x" * 131_069}).env_vars == {"A": "x" * 131_069}
