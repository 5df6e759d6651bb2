"""How fast the recorder drains what waits in the journal: `python -m bench.drain`, with the copy's own recorder frozen.

The real recorder runs in this process. Prints rows a second as JSON, and what a row takes of its processor: of all its
threads (`python_us`), and of the one that writes and waits for Postgres (`writer_us`).
"""

import json
import os
import time


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    import django

    django.setup()
    from django.conf import settings

    from apps.api_keys.services import get_gate
    from apps.scoring.recording.recorder import Recorder
    from apps.usage.metering.journal import Journal
    from apps.valkey import server

    journal = Journal(server(settings.REDIS_URL, 30.0))
    entries = sum(journal.lengths())
    recorder = Recorder(journal, get_gate())
    begun, processor, writer = time.perf_counter(), time.process_time(), time.thread_time()
    while sum(journal.lengths()):
        recorder.step()
    seconds = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "entries": entries,
                "per_second": entries / seconds,
                "python_us": (time.process_time() - processor) / entries * 1e6,
                "writer_us": (time.thread_time() - writer) / entries * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
