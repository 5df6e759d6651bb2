"""What `make bench-scale` reckons: no part does more than its time allows."""

from bench.scale import Costs, Hardware, most, told

COSTS = Costs(api_us=1_000, gate_us=100, valkey_us=50, recorder_us=40, postgres_us=100, wal_bytes=2_000)
HARDWARE = Hardware(cores=4, postgres_cores=8, disk_mb=100)


def test_each_part_can_do_what_its_time_allows() -> None:
    assert most(COSTS, HARDWARE, machines=4, primaries=3) == {
        "API": 16_000,
        "Valkey": 60_000,
        "recorder": 25_000,
        "Postgres, processors": 80_000,
        "Postgres, log": 50_000,
    }


def test_the_page_says_what_is_full_first() -> None:
    rows = [row for row in told(COSTS, HARDWARE) if row.startswith(("| 16 ", "| 1 "))]
    assert rows == [
        "| 1 | 1 | 4,000 | API | 100% |",
        "| 16 | 1 | 20,000 | Valkey | 31% |",
        "| 16 | 3 | 25,000 | recorder | 39% |",
    ]
