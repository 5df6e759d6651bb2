"""The HTTP server of the API and the portal: gunicorn keeps the workers, uvloop moves the bytes, httptools reads them.

What stands here is what none of them does: a request is received whole, within a deadline and a bound of memory, before
any of our code is busy with it, so that a client which is slow, silent or hostile costs nobody anything.

    worker.py       one process: accepts connections, evenly with its siblings, and watches their deadlines
    connection.py   one connection: head, refusal before the body, body, answer
    uploads.py      bodies that become files while they arrive
    messages.py     bytes ↔ Django's request and response
    application.py  what a worker serves: Django, behind two questions
    limits.py       every bound, as one table
    gunicorn.py     gunicorn's settings, from the environment
"""
