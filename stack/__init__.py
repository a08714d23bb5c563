"""The platform's own services: from docker-compose.swarm.yml to running, changed, shown and stopped.

Inside: the command line behind deploy_extended.py, the virtual environment it makes, the compose file as data, the
state directory, the credentials, the examples it deploys through the gateway's HTTP API, and one package for each
engine (`embedded`: supervised processes on this machine). Outside: functions, which are the gateway's and its
provider's matter. Nothing is imported by this module itself: `stack.venv` has to load before any dependency is there.
"""
