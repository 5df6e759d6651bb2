"""api: the API as its clients see it, a face over the rooms. One file a resource: what it takes, answers and refuses.

Owns `endpoint.ApiView` (what every endpoint does before and after its own part), `problems` (every refusal as HTTP) and
the OpenAPI file. Hands on: nothing. Never: decides; a view translates, calls one service, and translates back.
"""
