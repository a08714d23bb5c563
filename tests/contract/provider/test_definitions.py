"""What every provider promises about the functions that are deployed to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from swarmfn.provider import Provider
from swarmfn.wire.errors import FunctionExists, FunctionNotFound, InvalidFunction, InvalidRequest
from swarmfn.wire.functions import Resources
from tests.contract.provider.calls import wait_for_replicas
from tests.contract.provider.engines import Engine


def test_there_are_no_functions_at_first(provider: Provider) -> None:
    assert provider.functions() == []
    assert dict(provider.table()) == {}


def test_a_deployed_function_has_a_row_and_a_status_at_once(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    row = provider.table()["echo"]
    assert (row.name, row.replicas, row.queue, row.exec_timeout) == ("echo", 1, "echo", 60.0)
    assert provider.get("echo").replicas == 1


def test_a_status_carries_everything_that_was_deployed(engine: Engine, provider: Provider) -> None:
    function = replace(
        engine.echo("echo"),
        env_vars={"a": "b", "exec_timeout": "5s"},
        labels={"team": "x"},
        annotations={"topic": "t", "com.openfaas.queue": "slow"},
        limits=Resources(memory="64Mi"),
    )
    provider.deploy(function)
    assert provider.get("echo").spec == function
    assert (provider.table()["echo"].queue, provider.table()["echo"].exec_timeout) == ("slow", 5.0)


def test_created_at_is_rfc_3339_in_utc_and_kept(engine: Engine, provider: Provider) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    provider.deploy(engine.echo("echo"))
    created = provider.get("echo").created_at
    assert created.endswith("Z")
    assert before <= datetime.fromisoformat(created) <= datetime.now(UTC)
    provider.update(replace(engine.echo("echo"), labels={"a": "b"}))
    assert provider.get("echo").created_at == created


def test_functions_are_listed_by_name(engine: Engine, provider: Provider) -> None:
    for name in ("zebra", "ant", "echo"):
        provider.deploy(engine.echo(name))
    assert [status.spec.name for status in provider.functions()] == ["ant", "echo", "zebra"]


def test_a_second_deployment_of_a_name_is_refused(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    with pytest.raises(FunctionExists, match="echo"):
        provider.deploy(engine.answering("echo", "other"))
    assert provider.get("echo").spec == engine.echo("echo")


def test_names_are_matched_exactly(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    for name in ("ech", "echo2", "Echo", "cho", ""):
        with pytest.raises(FunctionNotFound):
            provider.get(name)
    provider.deploy(engine.echo("ech"))
    provider.remove("ech")
    assert [status.spec.name for status in provider.functions()] == ["echo"]
    assert wait_for_replicas(provider, "echo", 1)


def test_an_unknown_function_is_not_found_by_any_method(engine: Engine, provider: Provider) -> None:
    for action in (
        lambda: provider.get("nobody"),
        lambda: provider.update(engine.echo("nobody")),
        lambda: provider.remove("nobody"),
        lambda: provider.scale("nobody", 1),
        lambda: provider.logs("nobody"),
    ):
        with pytest.raises(FunctionNotFound, match="nobody"):
            action()


def test_an_update_of_an_unknown_function_is_not_found_even_if_it_could_not_run(
    engine: Engine, provider: Provider
) -> None:
    """`faas-cli deploy` sends PUT first, and POST only after a 404."""
    with pytest.raises(FunctionNotFound):
        provider.update(replace(engine.echo("nobody"), image="dir:/no/such/folder", env_process=""))


@pytest.mark.parametrize("replicas", [-1, 10**6])
def test_an_absurd_number_of_replicas_is_refused(engine: Engine, provider: Provider, replicas: int) -> None:
    provider.deploy(engine.echo("echo"))
    with pytest.raises(InvalidRequest, match=str(replicas)):
        provider.scale("echo", replicas)


def test_a_function_that_cannot_run_is_refused_and_not_kept(engine: Engine, provider: Provider) -> None:
    with pytest.raises(InvalidFunction):
        provider.deploy(replace(engine.echo("echo"), image="dir:/no/such/folder", env_process=""))
    assert provider.functions() == []
    assert dict(provider.table()) == {}


def test_an_update_that_cannot_run_changes_nothing(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    with pytest.raises(InvalidFunction):
        provider.update(replace(engine.echo("echo"), image="dir:/no/such/folder", env_process=""))
    assert provider.get("echo").spec == engine.echo("echo")


def test_the_label_for_the_smallest_number_of_replicas_is_the_first_number(engine: Engine, provider: Provider) -> None:
    provider.deploy(replace(engine.echo("echo"), labels={"com.openfaas.scale.min": "2"}))
    assert len(wait_for_replicas(provider, "echo", 2)) == 2
    assert provider.get("echo").available_replicas == 2


def test_a_removed_function_is_gone_at_once_and_may_be_deployed_again(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    wait_for_replicas(provider, "echo")
    provider.remove("echo")
    assert "echo" not in provider.table()
    assert provider.functions() == []
    provider.deploy(engine.echo("echo"))
    assert wait_for_replicas(provider, "echo", 1)


def test_definitions_survive_a_new_provider(engine: Engine, provider: Provider) -> None:
    provider.deploy(replace(engine.echo("echo"), env_vars={"a": "b"}))
    provider.deploy(engine.echo("other"))
    provider.scale("echo", 2)
    provider.remove("other")
    before = provider.get("echo")
    again = engine.reopen()
    after = again.get("echo")
    assert [status.spec.name for status in again.functions()] == ["echo"]
    assert (after.spec, after.replicas, after.created_at) == (before.spec, 2, before.created_at)
