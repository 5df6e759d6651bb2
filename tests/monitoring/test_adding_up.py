"""The page is the one prometheus_client would write, value for value, however files come, grow, are folded and go."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from apps.monitoring import process_files
from apps.monitoring.adding_up import LATEST, SUM, Sums
from tests.monitoring import table

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
GONE = 4_000_000  # above every process' number


class Writer:
    """One process's files, written as prometheus_client does."""

    def __init__(self, folder: Path, process: int) -> None:
        self.files = {
            kind: MmapedDict(str(folder / f"{kind}_{process}.db"))
            for kind in ("counter", "histogram", "gauge_mostrecent", "gauge_livemostrecent", "gauge_livesum")
        }

    def count(self, rng: random.Random, now: float) -> None:
        label = rng.choice(["a", "b", 'qu"ote', "back\\slash", "two\nlines", "ü"])
        self._add("counter", mmap_key("calls_total", "calls_total", ["of"], [label], "Calls"), rng.randint(0, 9))
        value = rng.random() * 3
        bound = "1.0" if value <= 1 else "2.0" if value <= 2 else "+Inf"
        for le in ("1.0", "2.0", "+Inf"):
            names = ["of", "le"]
            key = mmap_key("seconds", "seconds_bucket", names, [label, le], "Seconds")
            self._add("histogram", key, float(le == bound))
        self._add("histogram", mmap_key("seconds", "seconds_sum", ["of"], [label], "Seconds"), value)
        self._set("gauge_mostrecent", mmap_key("last", "last", [], [], "The last"), value, now)
        self._set("gauge_livemostrecent", mmap_key("live", "live", [], [], "Of the living"), value, now)
        self._set("gauge_livesum", mmap_key("busy", "busy", [], [], "Busy"), value, now)

    def _add(self, kind: str, key: str, more: float) -> None:
        known, _ = self.files[kind].read_value(key)
        self.files[kind].write_value(key, known + more, 0.0)

    def _set(self, kind: str, key: str, value: float, now: float) -> None:
        self.files[kind].write_value(key, value, now)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def by_the_library(folder: Path) -> Samples:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    found = [sample for metric in registry.collect() for sample in metric.samples]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}


def by_us(sums: Sums, folder: Path) -> Samples:
    families = text_string_to_metric_families(sums.text(folder))
    found = [sample for family in families for sample in family.samples]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[Writer]]:
    started: list[Writer] = []
    yield started
    for writer in started:
        writer.close()


@pytest.mark.parametrize("seed", range(4))
def test_every_look_is_the_librarys(tmp_path: Path, writers: list[Writer], seed: int) -> None:
    """One `Sums` over all of it: what it remembers of files that grow, are replaced or gone must not show."""
    rng, sums = random.Random(seed), Sums()
    writers += [Writer(tmp_path, os.getpid()), Writer(tmp_path, GONE), Writer(tmp_path, GONE + 1)]
    for now in range(1, 25):
        rng.choice(writers).count(rng, float(now))
        if now % 8 == 0:
            process_files.fold_dead(tmp_path)
            writers += [Writer(tmp_path, GONE + now)]
        assert by_us(sums, tmp_path) == pytest.approx(by_the_library(tmp_path))


def test_page_says_what_each_family_is(tmp_path: Path, writers: list[Writer]) -> None:
    writers.append(Writer(tmp_path, os.getpid()))
    writers[0].count(random.Random(1), 1.0)
    text = Sums().text(tmp_path)
    assert "# HELP calls_total Calls\n# TYPE calls_total counter\ncalls_total{" in text
    assert "# TYPE seconds histogram\n" in text


def test_nothing_is_told_where_nobody_counted(tmp_path: Path) -> None:
    assert Sums().text(tmp_path) == ""


def test_every_gauge_of_the_house_is_put_together_in_a_way_that_is_known_here() -> None:
    modes = {one._multiprocess_mode for one in table.collectors() if one._type == "gauge"}
    assert {f"gauge_{mode}" for mode in modes} <= {*LATEST, *SUM}
