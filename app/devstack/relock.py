"""Rewrite `jgo.lock.toml` from `jgo.toml`: `python -m app.devstack.relock`, after upgrading Kafka
to another version.

May touch: the network, the per-user cache, `jgo.lock.toml` beside this file.
"""

from __future__ import annotations

from jgo.env import EnvironmentBuilder, EnvironmentSpec, LockFile
from jgo.env._lockfile import LockedDependency
from jgo.maven import Dependency

from app.devstack import cache, jars


def relock() -> None:
    """Resolve `jgo.toml` transitively, fetch every jar, and record the SHA-256 of each, sorted,
    without addresses."""
    context = jars.maven_context(cache.cache_directory() / "jars")
    # The builder only parses: building would download a JDK to inspect the jars.
    builder = EnvironmentBuilder(context, cache_dir=cache.cache_directory() / "jgo")
    inputs, transitive = context.resolver.resolve(
        builder.spec_to_dependencies(EnvironmentSpec.load(jars.SPEC_PATH))
    )

    def coordinate(dependency: Dependency) -> tuple[str, str, str]:
        return dependency.groupId, dependency.artifactId, dependency.classifier or ""

    wanted = sorted(
        (d for d in inputs + transitive if d.scope != "test" and not d.optional), key=coordinate
    )
    LockFile(
        [LockedDependency.from_dependency(d) for d in wanted], environment_name="edgeloop-kafka"
    ).save(jars.LOCK_PATH)


if __name__ == "__main__":
    relock()
