"""mode=http: calls are passed on to a server of the function's own, which this package starts and watches over."""
