"""Labels on Swarm's services, secrets and networks, as operators and other programs see them.

The `com.openfaas…` ones are those of faas-swarm, so that what was made for it is understood here, and the other way
round. The `com.swarmfn…` ones are ours, never shown as a function's own labels.
"""

from __future__ import annotations

FUNCTION_LABEL = "com.openfaas.function"
"""On a function's service and its containers: the function's name."""

IS_FUNCTION_LABEL = "function"
IS_FUNCTION = "true"

ANNOTATION_PREFIX = "com.openfaas.annotations."
"""Before the name of an annotation, which is a label of the service."""

SECRET_OWNER_LABEL = "com.openfaas.owner"  # noqa: S105, a label's name
SECRET_OWNER = "openfaas"  # noqa: S105, a label's value
"""On secrets that functions may have. All others are out of their reach."""

SECRETS_FOLDER = "/var/openfaas/secrets"
"""Where a function finds its secrets, each a file of the secret's name."""

NETWORK_LABEL = "openfaas"
NETWORK_VALUE = "true"
"""On the networks that functions are attached to; each stack has its own."""

INTERNAL_PREFIX = "com.swarmfn."

SPEC_LABEL = "com.swarmfn.function"
"""The deploy body of the function as JSON, less the registry's password: what a status echoes."""

EXEC_TIMEOUT_LABEL = "com.swarmfn.exec_timeout"
"""Seconds that one attempt may run."""

CREATED_LABEL = "com.swarmfn.created"
"""When the function was deployed first, RFC 3339 in UTC; kept when the stack goes down and comes up again."""

IMAGE_LABEL = "com.swarmfn.image"
"""What the name of the function's image stood for when it was deployed: a digest or an id."""

OWN_LOGIN_LABEL = "com.swarmfn.own_login"
"""On a function that was deployed with a login for its image's registry: it is not given the operator's."""

IS_OWN_LOGIN = "true"

STACK_LABEL = "com.docker.stack.namespace"
"""On everything of a stack, but not on functions: `docker stack rm` would remove them."""
