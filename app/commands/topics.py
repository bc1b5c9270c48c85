"""`faust -A app topics create|check|mend|accept|acls`.

May touch: the broker's topics (`create` adds what is missing, `mend` changes configurations,
`accept` recreates derived topics) and access control lists (`acls --apply`); `accept` also
committed offsets and PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sys

import click

from app.commands.base import (
    check_can_ask,
    cli,
    echo,
    echo_json,
    handle_errors,
    json_option,
    yes_option,
)
from app.errors import UsageError
from app.kafka import acls as access
from app.kafka import topics as declared
from app.settings import Settings
from app.storage.accept import accept as carry_out
from app.storage.accept import plan
from schemas.kinds import CLOSES


@cli.group("topics")
def topics() -> None:
    """Create the topics, check them against their declaration, and show who may use them."""


@topics.command("create")
@click.option("--dry-run", is_flag=True, help="Show what would be created, without creating it.")
@json_option
@handle_errors
def create(dry_run: bool, as_json: bool) -> None:
    """Create missing topics; leave existing ones unchanged.

    \b
    Examples:
      faust -A app topics create
      faust -A app topics create --dry-run --json
    """
    settings = Settings.from_environment()
    made = asyncio.run(declared.create(settings, dry_run=dry_run))
    if as_json:
        echo_json({"created": made, "dry_run": dry_run})
        return
    for name in made:
        echo(f"{'would create' if dry_run else 'created'} {name}")
    if not made:
        echo("Every topic exists.")


@topics.command("check")
@json_option
@handle_errors
def check(as_json: bool) -> None:
    """Compare the broker's topics with their declaration; exit with code 3 if any differs.

    \b
    Examples:
      faust -A app topics check
      faust -A app topics check --json
    """
    mismatches = asyncio.run(declared.check(settings := Settings.from_environment()))
    if as_json:
        echo_json(
            {
                "declared": [declared.describe(topic) for topic in declared.declaration(settings)],
                "mismatches": [
                    {"topic": m.topic, "problem": m.problem, "remedy": m.remedy} for m in mismatches
                ],
            }
        )
    else:
        for m in mismatches:
            echo(f"{m.topic} {m.problem}\n    fix it with: {m.remedy}")
        if not mismatches:
            echo("Every topic matches its declaration.")
    if mismatches:
        sys.exit(3)


@topics.command("mend")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, without changing it.")
@json_option
@handle_errors
def mend(dry_run: bool, as_json: bool) -> None:
    """Apply the declared configuration to existing topics; nothing else changes, including
    partition counts.

    \b
    Examples:
      faust -A app topics mend --dry-run
      faust -A app topics mend
    """
    settings = Settings.from_environment()
    differed = asyncio.run(declared.mend(settings, dry_run=dry_run))
    if as_json:
        echo_json(
            {
                "mended": [{"topic": m.topic, "problem": m.problem} for m in differed],
                "dry_run": dry_run,
            }
        )
        return
    for m in differed:
        echo(f"{'would fix' if dry_run else 'fixed'} {m.topic}, which {m.problem}")
    if not differed:
        echo("Every configuration matches its declaration.")


@topics.command("acls")
@click.option(
    "--role",
    "roles",
    type=click.Choice(list(access.ROLES)),
    multiple=True,
    help="Only this role; repeatable (default: all).",
)
@click.option(
    "--principal",
    "given",
    multiple=True,
    metavar="ROLE=User:NAME",
    help="The user of a role (default: User:edgeloop-ROLE); repeatable.",
)
@click.option(
    "--apply", "is_applied", is_flag=True, help="Grant the rights, as the configured user."
)
@click.option("--dry-run", is_flag=True, help="With --apply: show what would be granted.")
@json_option
@handle_errors
def acls(
    roles: tuple[str, ...],
    given: tuple[str, ...],
    is_applied: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show the rights that each role needs on Kafka, as calls of kafka-acls.sh, or grant them.

    Names of topics and groups are those of this installation. No right is removed. --apply needs a
    user who may alter the cluster. With client certificates a principal is User:CN=..., or what the
    brokers map it to.

    \b
    Examples:
      faust -A app topics acls
      faust -A app topics acls --role position-manager --principal position-manager=User:pm
      faust -A app topics acls --apply --dry-run --json
      faust -A app topics acls --apply
    """
    settings, names = Settings.from_environment(), access.principals(_principals(given))
    if dry_run and not is_applied:
        raise UsageError("--dry-run changes nothing without --apply.", "Leave it out.")
    wanted = access.rights(settings, roles or tuple(access.ROLES))
    applied = is_applied and not dry_run
    if applied:
        asyncio.run(access.apply(settings, wanted, names))
    if as_json:
        echo_json({"acls": access.describe(wanted, names), "applied": applied})
    elif applied:
        echo(f"{len(wanted)} rights granted to {', '.join(_users(wanted, names))}.")
    else:
        for role in dict.fromkeys(acl.role for acl in wanted):
            echo(f"# {role}: {access.ROLES[role]}")
            of_role = [acl for acl in wanted if acl.role == role]
            for line in access.commands(settings, of_role, names):
                echo(line)


def _users(wanted: list[access.Acl], names: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(names[acl.role] for acl in wanted))


def _principals(given: tuple[str, ...]) -> dict[str, str]:
    found = dict(text.partition("=")[::2] for text in given)
    for role, name in found.items():
        if role not in access.ROLES or not name.startswith("User:") or name == "User:*":
            raise UsageError(
                f"--principal {role}={name} is not a role and a user.",
                f"Write ROLE=User:NAME; roles are {', '.join(access.ROLES)}.",
            )
    return found


@topics.command("accept")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without changing anything.")
@yes_option
@json_option
@handle_errors
def accept(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Accept the log as it is, after topics were created again, partitions were added, the broker
    was rolled back, or closes were deleted before they were read.

    Versions are offsets.  Where they would decrease, the published records are deleted, and the
    workers publish them again from the closes.  PostgreSQL is refilled as by `rebuild`.
    position_closed is never touched.  Refuses while workers are running: stop them, run this, start
    them.  Until they have published again, the position manager sizes with 1.0.

    \b
    Examples:
      faust -A app topics accept --dry-run
      faust -A app topics accept --yes
    """
    settings = Settings.from_environment()
    if not (yes or dry_run):
        check_can_ask(as_json)
    made = asyncio.run(plan(settings))
    if as_json:
        if not dry_run:
            asyncio.run(carry_out(settings, made))
        echo_json(
            {
                "dry_run": dry_run,
                "differences": [{"topic": d.topic, "what": d.what} for d in made.differences],
                "lost": [lost._asdict() for lost in made.lost],
                "recreated": made.recreate,
                "read_again": made.read_again,
                "rebuilt": made.rebuild,
            }
        )
        return
    for difference in made.differences:
        echo(f"{difference.topic} {difference.what}")
    for lost in made.lost:
        echo(f"{lost}")
    if not made.differences and not made.lost:
        echo("The log is unchanged.")
        return
    would = "would be" if dry_run else "will be"
    if made.recreate:
        echo(f"{', '.join(made.recreate)} {would} deleted and created again.")
    if any(CLOSES in names for names in made.read_again.values()):
        echo(f"All closes {would} read again; each trade counts once.")
    if made.rebuild:
        echo(f"The tables in the schema {settings.database_schema} {would} filled again.")
    if dry_run:
        return
    if not yes:
        click.confirm("Accept the log as it is?", abort=True)
    asyncio.run(carry_out(settings, made))
    echo("Done.  Start the workers.")
