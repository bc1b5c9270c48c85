"""A mapping's errors name the key, its line, and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.sources import closes
from app.sources.mapping_file import load

GOOD = """rows = "positions"

[columns]
exit_timestamp = "closed"
roi = {column = "ret", scale = 0.01}

[pattern]
entry = "{setup}.entry"

[scope]
vol = "volatility"

[buckets]
volatility = {edges = [1, 2], labels = ["a", "b", "c"]}
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('rows = "positions"', 'rows = "trades"', "line 1: rows is 'trades'"),
        ('rows = "positions"', "rows = 1", "line 1: rows is 1; expected a string"),
        (
            'rows = "positions"',
            'row = "positions"',
            "line 1: row is not a key of a mapping. Did you mean 'rows'?",
        ),
        ('rows = "positions"', 'rows = "fills"', "line 4: [columns] exit_timestamp is not a key"),
        ("roi =", "rio =", "line 5: [columns] rio is not a key of a mapping. Did you mean 'roi'?"),
        ("scale = 0.01", "scale = 0", "line 5: [columns] roi has the scale 0"),
        ("scale = 0.01", 'scale = "x"', "line 5: [columns] roi has the scale 'x'"),
        ("scale = 0.01", 'unit = "ms"', "line 5: [columns] roi is not a time"),
        ("scale = 0.01", "part = true", "line 5: [columns] roi has part, which only a quantity"),
        ("scale = 0.01", "smallest = true", "line 5: [columns] roi has smallest, which only a fee"),
        ("scale = 0.01", 'minus = ["x"]', "line 5: [columns] roi has minus, which only a fee"),
        (
            "scale = 0.01",
            'scale = 1}\nfees_usd = {columns = ["fee", "swap"], minus = ["swaps"]',
            "line 6: [columns] fees_usd has minus, which must be a list of some of fee, swap",
        ),
        (
            "scale = 0.01",
            "scael = 1",
            "line 5: [columns] roi has 'scael', which is not allowed there",
        ),
        (
            '"closed"',
            '{column = "closed", unit = "h"}',
            "line 4: [columns] exit_timestamp has the unit 'h'",
        ),
        (
            '"closed"',
            '{column = "closed", timezone = "Mars"}',
            "line 4: [columns] exit_timestamp has 'Mars', which is not a time zone",
        ),
        ('"closed"', "5", "line 4: [columns] exit_timestamp must be the name of a column"),
        (
            'exit_timestamp = "closed"\n',
            "",
            "line 3: [columns] does not name the column of exit_timestamp",
        ),
        ('entry = "{setup}.entry"', 'exit = "x"', "line 7: [pattern] has no entry"),
        (
            '"{setup}.entry"',
            '"{setup.entry"',
            "line 8: [pattern] entry is '{setup.entry', with an unmatched brace",
        ),
        ('entry = "{setup}.entry"', 'entry = "x"\nadd = "y"', "line 9: [pattern] add is not a key"),
        (
            "edges = [1, 2]",
            "edges = [2, 1]",
            "line 14: [buckets] volatility has the edges [2, 1]; they must increase",
        ),
        (
            "edges = [1, 2]",
            "edges = [1]",
            "line 14: [buckets] volatility has 1 edges, so it needs 2 labels",
        ),
        (
            "edges = [1, 2]",
            "edges = []",
            "line 14: [buckets] volatility must be a table with edges",
        ),
        ('vol = "volatility"', "vol = 3", "line 11: [scope] vol is 3; expected a string"),
        (
            'rows = "positions"',
            'timezone = "Nowhere/Town"',
            "line 1: timezone has 'Nowhere/Town', which is not a time zone",
        ),
        ('rows = "positions"', 'decimal = ";"', "line 1: decimal is ';'"),
        ('rows = "positions"', 'encoding = "utf-9"', "line 1: encoding is 'utf-9'"),
        ('rows = "positions"', "drawdown_floor = 0", "line 1: drawdown_floor has 0"),
        ('rows = "positions"', "columns = 5", "not TOML"),
        ('rows = "positions"', "rows = positions", "not TOML"),
        (
            "[scope]",
            '[constants]\nroi = 1\n[sides]\nbuy = "x"\n[scope]',
            "line 11: [constants] roi is also in [columns]",
        ),
        (
            "[scope]",
            '[sides]\nbuy = "x"\n[scope]',
            "line 11: [sides] buy must be a list of strings",
        ),
    ],
)
def test_a_wrong_key_is_named_with_its_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigurationError) as error:
        load(path)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"closed"',
            '"Closed"',
            (
                "line 4: [columns] exit_timestamp names the column 'Closed', which {table} does not"
                " have. Did you mean 'closed'?"
            ),
        ),
        (
            "{setup}",
            "{setp}",
            (
                "line 8: [pattern] entry names the column 'setp', which {table} does not have. Did"
                " you mean 'setup'?"
            ),
        ),
        (
            'vol = "volatility"',
            'vol = "xyz"',
            (
                "line 11: [scope] vol names the column 'xyz', which {table} does not have. Its"
                " columns are: closed,"
            ),
        ),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    path, table = tmp_path / "m.toml", tmp_path / "t.csv"
    path.write_text(GOOD.replace(old, new))
    table.write_text("closed,ret,setup,volatility\n2024-01-01,1,x,1.5\n")
    with pytest.raises(ConfigurationError) as error:
        list(closes([str(table)], mapping=path))
    assert says.format(table=table) in str(error.value)


def test_labels_may_be_left_to_us(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(GOOD.replace(', labels = ["a", "b", "c"]', ""))
    assert load(path).buckets["volatility"].labels == ("q1", "q2", "q3")
