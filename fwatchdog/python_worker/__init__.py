"""What runs in a worker process of the modes python, wsgi and asgi, beside the user's code.

It imports little, and nothing of the watchdog itself: every worker process of every replica carries it. The watchdog's
side of it is `fwatchdog.modes.python`; the two talk in `frames` over socket pairs.
"""
