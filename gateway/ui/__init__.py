"""The pages people look at: rendered on the server, no scripts, nothing loaded from elsewhere.

Pages read from the provider and link to the dashboard; changing things is the business of gateway.api.
"""
