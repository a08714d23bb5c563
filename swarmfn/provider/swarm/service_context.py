"""Finding what a function's service refers to: its network, its secrets, its image's ENV."""

from __future__ import annotations

from swarmfn.provider.starting import START_TIMEOUT
from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused
from swarmfn.provider.swarm.hardening import DEFAULTS, Hardening, offers_no_new_privileges
from swarmfn.provider.swarm.image_identity import environment_of
from swarmfn.provider.swarm.service_spec import ServiceContext
from swarmfn.wire.errors import EngineUnavailable, InvalidFunction
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.swarm_labels import NETWORK_LABEL, NETWORK_VALUE, SECRET_OWNER, SECRET_OWNER_LABEL


class ContextFinder:
    """`network` is the name of the functions' network, "" for the one that is labelled so."""

    def __init__(
        self,
        api: EngineApi,
        network: str,
        gateway_url: str,
        default_exec_timeout: float,
        restart_delay: float,
        hardening: Hardening = DEFAULTS,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._api = api
        self._network = network
        self._gateway_url = gateway_url
        self._default_exec_timeout = default_exec_timeout
        self._restart_delay = restart_delay
        self._hardening = hardening
        self._start_timeout = start_timeout

    def context(self, function: FunctionSpec) -> ServiceContext:
        """Raises InvalidFunction for what the function names and the swarm does not have."""
        return ServiceContext(
            network=self._network_id(function),
            gateway_url=self._gateway_url,
            default_exec_timeout=self._default_exec_timeout,
            restart_delay=self._restart_delay,
            start_timeout=self._start_timeout,
            image_env=self._image_env(function.image),
            secrets=self._secret_ids(function),
            hardening=self._hardening,
            has_no_new_privileges=offers_no_new_privileges(self._api.version()),
        )

    def _image_env(self, image: str) -> dict[str, str]:
        try:
            return environment_of(self._api.image(image))
        except EngineRefused as exc:
            raise InvalidFunction("image", f"{exc.text}.") from exc

    def _network_id(self, function: FunctionSpec) -> str:
        if function.network:
            return self._asked_network(function.network)
        if self._network:
            network = self._api.network_named(self._network)
            if network is None:
                raise EngineUnavailable(f'there is no network "{self._network}" (functions_network) in the swarm.')
            return str(network["Id"])
        return self._labelled_network()

    def _asked_network(self, name: str) -> str:
        """The right to deploy functions gives no way into the platform's other networks: Redis is in one of them."""
        networks = {network["Name"]: str(network["Id"]) for network in self._api.function_networks()}
        if self._network:
            networks = {found: network_id for found, network_id in networks.items() if found == self._network}
        if name not in networks:
            raise InvalidFunction(
                "network",
                f'"{name:.100}" is not a network for functions.',
                f"There is {', '.join(sorted(networks)) or 'none'}; leave the field empty for the default.",
            )
        return networks[name]

    def _labelled_network(self) -> str:
        label = f"{NETWORK_LABEL}={NETWORK_VALUE}"
        networks = self._api.function_networks()
        if not networks:
            raise EngineUnavailable(f"the swarm has no network with the label {label}.", "Deploy the stack again.")
        if len(networks) > 1:
            names = ", ".join(sorted(network["Name"] for network in networks))
            raise EngineUnavailable(
                f"several networks have the label {label}: {names}.", "Name one in the setting functions_network."
            )
        return str(networks[0]["Id"])

    def _secret_ids(self, function: FunctionSpec) -> dict[str, str]:
        if not function.secrets:
            return {}
        # Without the label it may be the platform's own: no function gets to read the admin's password.
        found = {
            secret["Spec"]["Name"]: str(secret["ID"])
            for secret in self._api.secrets(function.secrets)
            if SECRET_OWNER_LABEL in (secret["Spec"].get("Labels") or {})
        }
        missing = [name for name in function.secrets if name not in found]
        if missing:
            raise InvalidFunction(
                "secrets",
                f"there is no secret {', '.join(repr(name) for name in missing)} for functions.",
                f"Create it with the label {SECRET_OWNER_LABEL}={SECRET_OWNER} first.",
            )
        return found
