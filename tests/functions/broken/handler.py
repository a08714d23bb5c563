"""Fails at import."""

import a_module_that_nobody_has


def handle(req):
    return a_module_that_nobody_has.answer(req)
