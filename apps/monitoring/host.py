"""The machine: processors, memory and the disk of the data, read from the kernel. In a container with a limit of
memory it is the container's."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from apps.monitoring.sample import Family, Sample

FAMILIES: Mapping[str, Family] = {
    "palisade_host_cpu_seconds_total": Family("Seconds of all processors together", ("mode",), "counter"),
    "palisade_host_memory_bytes": Family("Memory: all of it, and what can be had", ("state",)),
    "palisade_host_disk_bytes": Family("The disk of PALISADE_DATA: all of it, and what can be had", ("state",)),
}
MODES, STATES = ("busy", "idle"), ("total", "available")
_TICKS = os.sysconf("SC_CLK_TCK")
_CGROUP = Path("/sys/fs/cgroup")


def samples(data: Path) -> Iterator[Sample]:
    """All of them, now."""
    for mode, seconds in zip(MODES, processors(Path("/proc/stat").read_text()), strict=True):
        yield Sample("palisade_host_cpu_seconds_total", (mode,), seconds)
    for state, size in zip(STATES, memory(Path("/proc/meminfo").read_text(), _limit()), strict=True):
        yield Sample("palisade_host_memory_bytes", (state,), size)
    disk = os.statvfs(data)
    for state, blocks in zip(STATES, (disk.f_blocks, disk.f_bavail), strict=True):
        yield Sample("palisade_host_disk_bytes", (state,), blocks * disk.f_frsize)


def processors(stat: str) -> tuple[float, float]:
    """Seconds busy and idle of all processors since the machine began (/proc/stat)."""
    user, nice, system, idle, wait, interrupts, soft, stolen = map(int, stat.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / _TICKS, (idle + wait) / _TICKS


def memory(meminfo: str, limit: tuple[int, int] | None) -> tuple[int, int]:
    """Bytes in all and available (/proc/meminfo); of a container's limit (limit, used) if that is less."""
    found = {
        name: 1024 * int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in meminfo.split("\n") if line)
    }
    total, available = found["MemTotal"], found["MemAvailable"]
    if limit is not None and limit[0] < total:
        return limit[0], min(available, max(limit[0] - limit[1], 0))
    return total, available


def _limit() -> tuple[int, int] | None:
    """The container's limit of memory and what it holds that can't be dropped; None where there is none."""
    try:
        most = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cache = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return None if most == "max" else (int(most), used - int(cache.get("inactive_file", 0)))
