"""docker-compose.swarm.yml as typed data, the same for every engine.

Inside: the records (`model`), the reading of a mapping that refuses what it does not know (`reader`), one module for
what each part of the file may say, and the values that come from the environment (`substitution`). Outside: what an
engine makes of it; nothing here knows of processes or of Docker.
"""
