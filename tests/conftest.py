"""The suite's ground: real servers on a folder of their own, a database with the tenants' template, a standing cast.

Django is set up here, not by pytest-django's ini option: the data folder must be named before settings are read, so
that neither the checkout's `.palisade` nor its secrets are ever touched. The servers start with the first test that
asks for the database. With DATABASE_URL set the test database is made there (by a superuser: see `sweep`); with
REDIS_URL set, database 15 of that server is used and emptied (14, 13 … by the other processes of a parallel run).

Transactions. Use `django_db(transaction=True)` wherever the recorder, threads or another process take part: it opens
transactions of its own, its temporary tables empty themselves at COMMIT, and what it acknowledges must be really
committed. Django's flush after such a test would delete the template and the cast; `sweep` takes its place and removes
exactly what the test made (5 ms). Plain `django_db`, rolled back, is for tests of rows and forms alone.
"""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest

for name in [name for name in os.environ if name.startswith(("PALISADE_", "STRIPE_", "PYTHONDONTWRITEBYTECODE"))]:
    del os.environ[name]
sys.dont_write_bytecode = False  # compiling everything anew costs each of the many processes started here two seconds
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
os.environ["PALISADE_GIVE_WAY"] = "0"  # beside a suite that fills the processors it would starve
os.environ["PALISADE_DATA"] = tempfile.mkdtemp(prefix="palisade-test-")
if os.environ.get("REDIS_URL"):
    number = 15 - int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].partition("?")[0].rstrip("/") + f"?db={number}"
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import TransactionTestCase  # noqa: E402
from hypothesis import HealthCheck  # noqa: E402
from hypothesis import settings as laws  # noqa: E402

from apps.api_keys import uses  # noqa: E402
from apps.api_keys.services import get_gate  # noqa: E402
from apps.scoring.policies import get_policies  # noqa: E402
from apps.scoring.recording import recorder  # noqa: E402
from apps.usage.admission.admission import get_admissions  # noqa: E402
from apps.usage.admission.refused_keys import get_guesses  # noqa: E402
from apps.usage.metering.journal import Journal  # noqa: E402
from apps.valkey import Valkey, server  # noqa: E402
from config.local import embedded  # noqa: E402
from config.local.servers import Postgres  # noqa: E402
from tests import leftovers  # noqa: E402
from tests.campaign import SIZE  # noqa: E402
from tests.cast import Api, Cast, stage  # noqa: E402
from tests.faces import look_for_files_once  # noqa: E402
from tests.pace import within  # noqa: E402
from tests.parallel import (  # noqa: E402, F401 - hooks of the run
    pytest_collection_modifyitems,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
    pytest_xdist_setupnodes,
)
from tests.progress import Progress  # noqa: E402
from tests.sweeping import Snapshot  # noqa: E402

_DATA = os.environ["PALISADE_DATA"]
#: What the kernel was given outlives a killed server; the disk needs it against a power cut alone.
Postgres.options += ("fsync=off", "full_page_writes=off")
#: What holds of an example holds of it on a slow machine, too. As many examples as a test doesn't say otherwise.
laws.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, max_examples=SIZE.examples
)
laws.load_profile("suite")


@pytest.hookimpl(trylast=True)  # when there is a terminal to tell it to
def pytest_configure(config: pytest.Config) -> None:
    """Time-outs end what would never end, on slow machines too; how far the run is, is told as it goes."""
    leftovers.adopt_orphans()
    look_for_files_once()
    if not hasattr(config, "workerinput"):  # who shares our tests is told this time-out
        config.option.timeout = within(config.option.timeout)
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):  # not where others tell of our tests
        config.pluginmanager.register(Progress(terminal))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Whatever there is before the first test stays until the last: garbage is never looked for in it again."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_DATA, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """PostgreSQL and Valkey answer."""
    with embedded.running():
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: None, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it makes the test database: by then the servers must run."""


@pytest.fixture(scope="session")
def cast(django_db_setup: None, django_db_blocker: Any) -> Iterator[Cast]:
    """alice (Professional), bob (Basic) and charlie (Free): committed once, there in every test."""
    with django_db_blocker.unblock():
        call_command("migrate_schemas", verbosity=0)
        yield stage()


@pytest.fixture(scope="session")
def snapshot(cast: Cast) -> Iterator[Snapshot]:
    """What every test begins with; after transactional ones the database is swept back to it."""
    taken = Snapshot.take(cast)
    setattr(TransactionTestCase, "_fixture_teardown", lambda case: taken.sweep())  # noqa: B010 - Django's own hook
    setattr(TransactionTestCase, "_should_reload_connections", lambda case: False)  # noqa: B010 - 10 ms for a new one
    yield taken
    taken.sweeper.close()


@pytest.fixture(scope="session", autouse=True)
def _before_any_transaction(request: pytest.FixtureRequest) -> None:
    """The ground is laid before the first test's transaction opens, or it would be rolled back with it."""
    if any(item.get_closest_marker("django_db") for item in request.session.items):
        request.getfixturevalue("snapshot")
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _nothing_outlives_its_module(_before_any_transaction: None) -> Iterator[None]:
    """No thread, process or connection of a test; what is left is ended, and a failure."""
    ground = leftovers.Ground()
    yield
    left = ground.check()
    assert not left, f"left behind by this module: {left}"


@pytest.fixture(autouse=True)
def _clean_ground(request: pytest.FixtureRequest) -> None:
    """Tests of the database begin with the cast and an empty Valkey."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        request.getfixturevalue("snapshot")
        request.getfixturevalue("flush")
        forget_guesses()
        get_policies().forget()


def forget_guesses() -> None:
    """This process has refused no key yet, recognises none and has noted no use of one."""
    uses.forget()
    get_guesses().forget()
    get_admissions().forget_recognised()


@pytest.fixture
def valkey(servers: None) -> Valkey:
    return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)


@pytest.fixture
def flush(valkey: Valkey) -> None:
    """Valkey knows nothing: no key, no counter, no journal."""
    valkey.command("FLUSHDB")


@pytest.fixture
def drain(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Run the recorder until the journal is empty; the number of entries it recorded."""
    monkeypatch.setattr(recorder, "GATHER_SECONDS", 0.0)
    journal = Journal(valkey)

    def run() -> int:
        one, recorded = recorder.Recorder(journal, get_gate()), 0
        while any(journal.lengths()):
            recorded += one.step()
        return recorded

    return run


@pytest.fixture
def alice(cast: Cast) -> Api:
    return Api(cast.alice)


@pytest.fixture
def bob(cast: Cast) -> Api:
    return Api(cast.bob)


@pytest.fixture
def charlie(cast: Cast) -> Api:
    return Api(cast.charlie)
