"""`manage.py` offers no command that goes around ours."""

import pytest
from django.core.management import CommandError, call_command, get_commands

from config.hidden_commands import HIDDEN


@pytest.mark.parametrize("name", HIDDEN)
def test_commands_that_bypass_ours_are_unknown(name: str) -> None:
    assert name not in get_commands()
    with pytest.raises(CommandError, match="Unknown command"):
        call_command(name)
