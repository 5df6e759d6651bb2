"""What only the stores can say: bytes of Postgres' log so far, and what a round trip to the gate takes. Prints JSON."""

import json
import os
import statistics
import time

ROUND_TRIPS = 500


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    from apps.api_keys.gate import ADMIT
    from apps.valkey import server

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
        wal_bytes = float(cursor.fetchone()[0])
    valkey, took = server(settings.REDIS_URL, 5.0), []
    nobody = [f"{{b00}}:probe:{number}" for number in range(7)]  # a key that is not known: the script's shortest way
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        valkey.run(ADMIT, nobody, [0, "", "0" * 32, "", "", 1_000, 1_000])
        took.append(time.perf_counter() - begun)
    print(json.dumps({"wal_bytes": wal_bytes, "gate_us": statistics.median(took) * 1e6}))


if __name__ == "__main__":
    main()
