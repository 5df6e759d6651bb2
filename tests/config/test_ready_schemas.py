"""Schemas that stand ready: taken once each, never of an older template, and like those that are built."""

from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from apps.accounts import migrating, ready_schemas
from apps.accounts.models import ReadySchema, Tenant
from apps.accounts.tasks import stock_schemas
from tests.cast import Cast, enter
from tests.config.test_migrating import definition
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def two_are_kept(settings: Any) -> None:
    settings.READY_SCHEMAS = 2


def there(schema: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [schema])
        return bool(cursor.fetchone()[0])


def ready() -> list[str]:
    return list(ReadySchema.objects.order_by("pk").values_list("schema_name", flat=True))


def test_a_tenant_takes_the_oldest_that_stands_ready(cast: Cast) -> None:
    assert stock_schemas() == 2
    first, second = ready()
    nina = enter("nina", "free").tenant.schema_name
    assert ready() == [second]
    assert not there(first)
    assert definition(nina) == definition(settings.TEMPLATE_SCHEMA)
    assert migrating.state_of(nina) == migrating.state_of(settings.TEMPLATE_SCHEMA)


def test_what_was_taken_is_built_again(cast: Cast) -> None:
    stock_schemas()
    assert stock_schemas() == 0
    enter("nina", "free")
    assert stock_schemas() == 1
    assert len(ready()) == 2


def test_of_an_older_template_none_is_taken_and_all_are_dropped(cast: Cast) -> None:
    stock_schemas()
    old = ready()
    ReadySchema.objects.update(template="0" * 32)
    enter("nina", "free")
    assert ready() == old
    assert stock_schemas() == 2
    assert not set(ready()) & set(old)
    assert not any(there(schema) for schema in old)


def test_who_does_not_sign_up_after_all_leaves_it(cast: Cast) -> None:
    stock_schemas()
    before = ready()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ready_schemas.create_schema("t_zz0000")
        raise ZeroDivisionError
    assert ready() == before
    assert all(there(schema) for schema in before)


def test_six_at_once_get_a_schema_each(cast: Cast) -> None:
    stock_schemas()
    made = together(6, lambda number: enter(f"nina-{number}", "free").tenant.schema_name)
    assert len(set(made)) == 6
    assert all(there(schema) for schema in made)
    assert ready() == []
    assert Tenant.objects.filter(schema_name__in=made).count() == 6
