"""Limits of what a client may take of a worker, each beside its reason."""

KILOBYTE, MEGABYTE = 1024, 1024 * 1024

#: A request must come, and an answer be taken, whole within this many seconds …
SECONDS = 5.0
#: … or, while it is longer than that, by at least so many bytes in each such span.
SPAN_BYTES = 80 * KILOBYTE
#: Seconds a connection may stay open between two requests.
IDLE_SECONDS = 75.0
#: Bytes and number of a request's headers, its first line included.
HEAD_BYTES = 32 * KILOBYTE
HEADERS = 100
#: Bytes of all bodies that are still coming to a worker; beyond it 503. Those nobody vouches for (no key is asked
#: there) have their own, and no single sender may take more than its share of either.
KNOWN_BODIES = 128 * MEGABYTE
UNKNOWN_BODIES = 32 * MEGABYTE
SHARE = 4
#: Bytes of uploads, which become files while they arrive, on their way to a worker; a sender's share as of bodies: one
#: of the largest. However quick its sender is, one takes no longer than this.
UPLOADS = 4096 * MEGABYTE
UPLOAD_SECONDS = 3600.0
#: Uploads that are answered at a time, in threads of their own: what they ask for takes longer than a turn of the loop.
UPLOAD_THREADS = 2
#: Seconds a refused client is listened to, so that it reads why instead of a broken connection; and how many bytes.
LINGER_SECONDS = 2.0
LINGER_BYTES = 32 * MEGABYTE
#: Requests that may be sent ahead on one connection (pipelining).
PIPELINED = 64
#: Bytes of an answer the kernel takes of us before its client reads: it would take 4 MB from each that never does.
SEND_BUFFER = 256 * KILOBYTE
#: Bytes of answers a worker holds for clients that are slow to read; beyond it the slowest are cut.
UNREAD_BYTES = 64 * MEGABYTE
#: Connections of a worker; beyond it the one idle for longest is closed, and new ones wait for a place.
CONNECTIONS = 4096
#: Requests that wait for a thread, where there are threads; beyond it 503.
WAITING = 256
#: Requests that are answered side by side on the loop: more would make the first wait longer and save little.
TOGETHER = 16
#: Seconds between two looks at the deadlines.
LOOK_SECONDS = 0.25
