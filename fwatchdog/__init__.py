"""The watchdog: serves one function over HTTP inside its container or process.

Inside: an HTTP/1.1 server (`http`), the ways to run a function (`modes`), what its Python process runs
(`python_worker`), the processes it runs in, drain, logs and
metrics of that one function. Standard library and `swarmfn.wire` only, and little of it: every replica of every
function carries this program. Nothing here knows a gateway, a queue or a provider.
"""
