"""HTTP in: the management API, the pages, and the two invocation routes.

`invoke` is the core that decides, `api` and `ui` are Flask, `threaded` is the server they run on, `fastlane` is the
event-loop front end over the same core; `app.create_app` puts the Flask side together. Where functions run is the
provider's business, and running queued calls the worker's: the gateway meets them through the replica table and Redis.
"""
