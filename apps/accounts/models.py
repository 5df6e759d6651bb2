"""Tenants, users, memberships, the audit trail. All in the `public` schema."""

import secrets
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django_tenants.models import DomainMixin, TenantMixin

from apps.accounts.naming import check_one_line, check_slug

HANDLE_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
HANDLE_LENGTH = 6


def new_handle() -> str:
    """A tenant's short public handle: it stands in every API key and names the Valkey bucket, nothing more."""
    return "".join(secrets.choice(HANDLE_ALPHABET) for _ in range(HANDLE_LENGTH))


class Tenants(models.QuerySet["Tenant"]):
    def on_real_time(self) -> "Tenants":
        """Those without a test clock: what the real clock brings about concerns them alone."""
        return self.filter(billing_clock=None)


class Tenant(TenantMixin):
    """A company. Its schema is made by `services.create_tenant`, never by `save`."""

    auto_create_schema = False
    auto_drop_schema = False

    slug = models.SlugField(max_length=48, unique=True, validators=[check_slug])
    name = models.CharField(max_length=200, validators=[check_one_line])
    handle = models.CharField(
        max_length=HANDLE_LENGTH, unique=True, default=new_handle, validators=[RegexValidator(r"^[0-9a-z]{6}$")]
    )
    created_at = models.DateTimeField(default=timezone.now)
    suspended_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When an owner closed it; undone within 30 days.")
    #: The newest published policy in the tenant's schema; 0 = the built-in one.
    policy_version = models.PositiveIntegerField(default=0)
    lists_pending = models.BooleanField(default=False, db_default=False, help_text="Valkey is to hear of its lists.")

    objects = Tenants.as_manager()

    class Meta:
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("slug"),
                name="accounts_slug_in_any_case",
                violation_error_message="A tenant with this slug already exists; upper and lower case are the same.",
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Domain(DomainMixin):
    """A host name of a tenant's portal."""


class UserManager(BaseUserManager["User"]):
    """Users log in by e-mail."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person; may belong to several tenants, or be one of our operators (`is_staff`)."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True, validators=[check_one_line])
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email


class Membership(models.Model):
    """A person's role in a tenant."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        ANALYST = "analyst"
        VIEWER = "viewer"

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "tenant"], name="one_membership_a_tenant")]

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.tenant}"


class Invitation(models.Model):
    """Somebody asked into a tenant by e-mail; the link's secret is kept as a hash alone."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Membership.Role)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"


class AuditEntry(models.Model):
    """Who did what to which object: written once by `audit.record_audit`, never changed (a trigger refuses).

    `chain`, `sequence`, `digest`: its place among the entries of its tenant, set by the database at COMMIT.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.SET_NULL)
    actor = models.CharField(max_length=200, help_text="An e-mail, 'key:<id>' or 'command'.")
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=200)
    address = models.GenericIPAddressField(null=True, blank=True, help_text="Where the request came from.")
    request_id = models.CharField(max_length=100, blank=True, default="")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    chain = models.BigIntegerField(default=0, editable=False)
    sequence = models.BigIntegerField(null=True, editable=False)
    seal = models.CharField(max_length=80, unique=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, default="", editable=False)

    class Meta:
        ordering: ClassVar = ["-at"]
        verbose_name, verbose_name_plural = "audit entry", "audit trail"
        constraints: ClassVar = [models.UniqueConstraint(fields=["chain", "sequence"], name="one_entry_a_place")]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-at", "-id"], name="audit_newest_of_tenant"),
            models.Index(fields=["id"], condition=models.Q(sequence=None), name="audit_to_be_chained"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class AuditChain(models.Model):
    """How long the chain of a tenant's audit entries is, and its last digest. `chain`: the tenant's id, or 0."""

    chain = models.BigIntegerField(primary_key=True)
    length = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"chain {self.chain}"


class RegularCheck(models.Model):
    """What a check that runs by itself found last, for operators to see."""

    name = models.CharField(max_length=40, unique=True)
    checked_at = models.DateTimeField()
    differences = models.JSONField(default=list, help_text="In words, the first hundred of them.")
    count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class SchemaTemplate(models.Model):
    """The dump of the template schema, replayed to make a tenant. One row; refreshed by `migrate_schemas`."""

    sql = models.TextField()
    refreshed_at = models.DateTimeField(default=timezone.now)


class ReadySchema(models.Model):
    """A schema that was built beforehand: the next tenant takes it by renaming it."""

    schema_name = models.CharField(max_length=63, unique=True)
    template = models.CharField(max_length=32)  # MD5 of the template's text it was built of

    def __str__(self) -> str:
        return self.schema_name
