"""How each service is known to be ready. Each check says what is still missing, or "" once nothing is."""

from __future__ import annotations

import os

import redis
import requests
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.credentials import Credentials
from swarmfn.wire.addresses import split_address

_PATIENCE = 2.0


class ReadinessChecks:
    """The checks of one stack, which take a service's pid. `gateway` and `redis` are host:port."""

    def __init__(self, gateway: str, redis: str, credentials: Credentials) -> None:
        self._gateway = f"http://{gateway}"
        self._redis = redis
        self._credentials = credentials

    def redis_server(self, pid: int) -> str:
        """Ready when it answers, which includes that its data is loaded."""
        try:
            with self.redis_client() as client:
                client.ping()
        except redis.exceptions.BusyLoadingError:
            return "it is loading its data"
        except redis.AuthenticationError:
            return "another Redis, with another password, answers on its port"
        except redis.RedisError as exc:
            return str(exc)
        return ""

    def gateway(self, pid: int) -> str:
        """Ready when it serves, and lets us in."""
        try:
            with requests.Session() as session:
                # A proxy set for the internet has no business between us and our own gateway.
                session.trust_env = False
                health = session.get(f"{self._gateway}/healthz", timeout=_PATIENCE)
                info = session.get(f"{self._gateway}/system/info", auth=self._credentials.login, timeout=_PATIENCE)
        except requests.ConnectionError:
            return f"nothing answers at {self._gateway}"
        except requests.RequestException as exc:
            return str(exc)
        wrong = [f"{reply.url} answers {reply.status_code}" for reply in (health, info) if reply.status_code != 200]
        return "; ".join(wrong)

    def worker(self, pid: int) -> str:
        """Ready when a worker of its session is registered in Redis."""
        try:
            with self.redis_client() as client:
                keys = client.smembers("rq:workers")
                pids = [client.hget(key, "pid") for key in keys]
        except redis.RedisError as exc:
            return str(exc)
        return "" if any(_is_of_session(found, pid) for found in pids) else "it is not registered yet"

    def redis_client(self) -> redis.Redis:
        """A client of this Redis; the caller closes it."""
        host, port = split_address(self._redis)
        return redis.Redis(
            host=host,
            port=port,
            password=self._credentials.redis_password,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )


def _is_of_session(found: object, session: int) -> bool:
    """Whether the recorded pid is a process of the session that the service leads."""
    if not isinstance(found, bytes) or not found.isdigit():
        return False
    try:
        return os.getsid(int(found)) == session
    except (ProcessLookupError, PermissionError):
        return False
