"""mode=python, the watchdog's side: a pool of worker processes that have imported the handler and are called."""
