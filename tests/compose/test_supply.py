"""The supply chain of a worker: the list of licences, the audit of dependencies, and their make
targets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def program(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences, audit = program("licences"), program("audit")


def test_the_licences_are_those_of_the_lock() -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    lock = (ROOT / "requirements" / "worker.lock").read_text()
    assert licences.document(lock, text) == text, "run: make licences"
    for name, licence in licences.written(text).items():
        assert not any(word in licence for word in ("AGPL", "GPL", "UNKNOWN")), name


def test_a_new_version_or_package_is_noticed() -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    lock = (ROOT / "requirements" / "worker.lock").read_text()
    assert licences.document(lock.replace("aiokafka==0.14.0", "aiokafka==0.14.1"), text) != text
    with pytest.raises(SystemExit, match="not-known-anywhere"):
        licences.document(lock + "not-known-anywhere==1.0 \\\n", text)


def test_versions_for_several_pythons_are_one_package() -> None:
    lock = "numpy==1.0 ; python_full_version < '3.12' \\\nnumpy==2.0 \\\nsix==1 \\\n"
    assert licences.locked(lock) == {"numpy": ["1.0", "2.0"], "six": ["1"]}


FINE: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD: dict[str, Any] = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}],
}
SILENT = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("audited", "code", "says"),
    [
        ([FINE], 0, "1 packages audited, 0 vulnerabilities"),
        ([FINE, BAD], 1, "b 2: PYSEC-1, mended in 3"),
        ([SILENT, SILENT], 0, "Skipped: the database"),
        ([FINE, SILENT], 1, "Not audited, as the database did not answer: c"),
        ([BAD, SILENT], 1, "PYSEC-1"),
    ],
)
def test_a_package_that_was_not_audited_is_not_called_fine(
    audited: list[dict[str, Any]], code: int, says: str
) -> None:
    found, text = audit.verdict(audited, "x.lock")
    assert found == code
    assert says in text


def test_the_bill_of_materials_has_every_package_with_its_hashes(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (line,) = [line for line in makefile.splitlines() if "-m cyclonedx_py" in line]
    words = line.split("-m cyclonedx_py ")[1].replace("$@", str(target)).split()
    words[-1] = str(target)
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *words], cwd=ROOT, check=True)
    document = json.loads(target.read_text())
    lock = licences.locked((ROOT / "requirements" / "worker.lock").read_text())
    found = {(one["name"], one["version"]) for one in document["components"]}
    assert found == {(name, version) for name, vs in lock.items() for version in vs}
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "edgeloop"
    for one in document["components"]:
        assert one["externalReferences"][0]["hashes"], one["name"]
