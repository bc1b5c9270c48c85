"""The rights of roles cover every topic that is declared."""

from __future__ import annotations

import pytest

from app.kafka.acls import rights
from app.kafka.topics import declaration
from app.settings import Settings

SETTINGS = Settings(topic_prefix="x.")


@pytest.mark.parametrize(
    ("role", "operation"),
    [("owner", "Create"), ("owner", "Read"), ("worker", "Read"), ("reader", "Read")],
)
def test_a_role_may_do_what_it_does_with_every_topic(role: str, operation: str) -> None:
    allowed = {
        acl.name
        for acl in rights(SETTINGS, [role])
        if (acl.resource, acl.operation) == ("topic", operation)
    }
    assert allowed == {topic.name for topic in declaration(SETTINGS)}
