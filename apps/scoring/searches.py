"""Searches of decisions that people keep under a name: each sees their own."""

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.scoring.models import SavedSearch
from apps.text import forbidden

#: What somebody may keep; the oldest are not pushed out, a further one is refused.
MOST = 30
LONGEST_NAME = SavedSearch._meta.get_field("name").max_length or 0
LONGEST_QUERY = SavedSearch._meta.get_field("query").max_length or 0


def of(tenant: Tenant, user_id: int) -> list[SavedSearch]:
    """Somebody's searches by name."""
    with in_tenant(tenant):
        return list(SavedSearch.objects.filter(user_id=user_id).order_by("name"))


def keep(tenant: Tenant, user_id: int, name: str, query: str) -> bool:
    """Keep a search, in place of one of the same name; False for what can't be kept."""
    if forbidden(name) or forbidden(query) or len(name) > LONGEST_NAME or len(query) > LONGEST_QUERY:
        return False
    with in_tenant(tenant):
        mine = SavedSearch.objects.filter(user_id=user_id)
        if not mine.filter(name=name).exists() and mine.count() >= MOST:
            return False
        SavedSearch.objects.update_or_create(user_id=user_id, name=name, defaults={"query": query})
    return True


def forget(tenant: Tenant, user_id: int, name: str) -> None:
    """Keep it no longer. Harmless when repeated."""
    with in_tenant(tenant):
        SavedSearch.objects.filter(user_id=user_id, name=name).delete()
