"""The modes python, wsgi and asgi, the watchdog's side: a pool of worker processes that have imported the function."""
