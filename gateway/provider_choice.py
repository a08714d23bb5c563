"""Where functions run: the provider that the settings name."""

from __future__ import annotations

import os

from gateway.settings import Settings
from swarmfn.provider import Provider
from swarmfn.provider.local import LocalProvider, ResourceLimits, Timing
from swarmfn.wire.secret_files import REGISTRY_LOGINS


def make_provider(settings: Settings) -> Provider:
    """Close it in the end. Raises SettingsError, or FaasError where the provider cannot work."""
    return _local(settings) if settings.functions_provider == "local" else _swarm(settings)


def _local(settings: Settings) -> Provider:
    limits = ResourceLimits(
        settings.functions_rlimit_nproc, settings.functions_rlimit_nofile, settings.functions_rlimit_as
    )
    own = f"127.0.0.1:{settings.port}"
    timing = Timing(start_limit=settings.functions_start_timeout)
    return LocalProvider(settings.local_state_dir, settings.exec_timeout, own, timing, limits)


def _swarm(settings: Settings) -> Provider:
    # Imported here: a gateway without Swarm needs no docker package, and starts faster without it.
    from swarmfn.provider.swarm import Hardening, RegistryLogins, SwarmProvider

    hardening = Hardening(
        settings.functions_drop_capabilities,
        settings.functions_pids_limit,
        settings.functions_memory_limit,
        settings.functions_cpu_limit,
    )
    return SwarmProvider(
        settings.docker_host or None,
        settings.exec_timeout,
        settings.gateway_address,
        network=settings.functions_network,
        hardening=hardening,
        start_timeout=settings.functions_start_timeout,
        logins=RegistryLogins.from_file(os.path.join(settings.secret_mount_path, REGISTRY_LOGINS)),
    )
