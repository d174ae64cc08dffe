"""The layout tool from the command line (`config_cli_suite.md` 18.1, 22)."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import REPOSITORY, run_program
from streamline_json import Layout, main, separators_of, streamline

from core.errors import ConfigError, UsageError
from core.program import run_program as run_main

TOOL = "tools/streamline_json.py"
VALUE = {"b": [1, 2.0, 3], "a": {"c": "x" * 80, "é": None}}
PLAIN = '{\n    "b": [1,2.0,3],\n    "a": {\n        "c": "' + "x" * 80 + '",\n        "\\u00e9": null\n    }\n}'


def laid_out(folder: Path, *flags: str, text: str = json.dumps(VALUE)) -> str:
    """What the tool makes of a text."""
    path = folder / "f.json"
    path.write_text(text)
    assert main([str(path), *flags]) == 0
    return path.read_text()


def test_file_in_place(tmp_path: Path) -> None:
    """Short values on one line, no final newline, numbers as they were; a second time nothing changes."""
    path = tmp_path / "f.json"
    path.write_text(json.dumps(VALUE, indent=2) + "\n")
    assert run_program(TOOL, "f.json", cwd=tmp_path).stdout == "laid out f.json\n"
    assert path.read_text() == PLAIN
    before = path.stat().st_mtime_ns
    assert run_program(TOOL, "f.json", cwd=tmp_path).stdout == "unchanged f.json\n"
    assert path.stat().st_mtime_ns == before


def test_flags(tmp_path: Path) -> None:
    """Indent, width, separators, order of keys."""
    assert laid_out(tmp_path, "--indent", "1", "--sort-keys").startswith('{\n "a": {\n  "c": "xxx')
    assert laid_out(tmp_path, "--max-inline", "5").startswith(
        '{\n    "b": [\n        1,\n        2.0,\n        3\n    ]'
    )
    assert laid_out(tmp_path, "--max-inline", "999", text='{"a": [1, 2]}') == '{"a":[1,2]}'
    assert laid_out(tmp_path, "--separators", ", : ", text='{"a": [1, 2]}') == '{"a": [1, 2]}'
    assert laid_out(tmp_path, text="12345678901234567890") == "12345678901234567890"


@pytest.mark.parametrize(
    ("text", "separators"),
    [(", :", (",", ":")), (",:", (",", ":")), (", : ", (", ", ": ")), (",: ", (",", ": ")), (" ,  :", (" ,  ", ":"))],
)
def test_separators(text: str, separators: tuple[str, str]) -> None:
    """The two usual spellings mean compact; otherwise blanks count."""
    assert separators_of(text) == separators


@pytest.mark.parametrize("text", ["", ",", ";:", ", =", ",:x", "\n,:"])
def test_wrong_separators(text: str) -> None:
    """What would not be JSON any more is refused."""
    with pytest.raises(UsageError, match="--separators"):
        separators_of(text)


def test_directory_with_a_broken_file(tmp_path: Path) -> None:
    """All files at any depth; each failure is told, the others are done, status 1."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    good, other = tmp_path / "a.json", tmp_path / "deep" / "er" / "b.json"
    good.write_text('{"a": 1}')
    other.write_text("[1, 2]")
    broken = {"c.json": '{"a": 1,}', "d.json": "[NaN]", "e.json": "// no comment\n{}", "f.json": "[1e999]"}
    for name, text in broken.items():
        (tmp_path / "deep" / name).write_text(text)
    (tmp_path / "deep" / "notes.txt").write_text("{ }")
    result = run_program(TOOL, ".", cwd=tmp_path, expect=1)
    assert (good.read_text(), other.read_text()) == ('{"a":1}', "[1,2]")
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    for line, (name, text) in zip(lines, broken.items(), strict=True):
        assert line.startswith(f"error: deep/{name} is not JSON")
        assert (tmp_path / "deep" / name).read_text() == text
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere.json"], "nowhere.json does not exist"),
        (["empty"], "there is no *.json file below empty"),
        (["empty", "--indent", "-1"], "must not be negative"),
    ],
)
def test_usage(tmp_path: Path, argv: list[str], message: str) -> None:
    """Status 2 and one line."""
    (tmp_path / "empty").mkdir()
    result = run_program(TOOL, *argv, cwd=tmp_path, expect=2)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_mode_and_link_stay(tmp_path: Path, mode: int) -> None:
    """A file that only its owner may read stays so; a link is followed, not replaced."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "api-keys.json", tmp_path / "link.json"
    real.write_text('{"a": 1}')
    real.chmod(mode)
    link.symlink_to(real)
    assert streamline(link, Layout(4, 72, (",", ":"), False))
    assert link.is_symlink()
    assert real.read_text() == '{"a":1}'
    assert stat.S_IMODE(real.stat().st_mode) == mode


def test_other_bytes_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no text is named and left alone."""
    (tmp_path / "x.json").write_bytes(b"\xff")
    assert run_main(main, [str(tmp_path)]) == 1
    assert "x.json is not JSON" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"x\.json"):
        streamline(tmp_path / "x.json", Layout(4, 72, (",", ":"), False))


def test_shipped_template_survives(tmp_path: Path) -> None:
    """The command of the documentation, on a copy of the template."""
    text = (REPOSITORY / "configs" / "template.json").read_text()
    assert json.loads(laid_out(tmp_path, text=text)) == json.loads(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.integers(0, 90), st.sampled_from([", :", ", : "]))
def test_content_stays(tmp_path_factory: pytest.TempPathFactory, value: object, width: int, separators: str) -> None:
    """Whatever the value and the flags: the same value, ints as ints and floats as floats, and stable."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    flags = [str(path), "--max-inline", str(width), "--separators", separators]
    assert main(flags) == 0
    once = path.read_text()
    assert repr(json.loads(once)) == repr(value)
    assert main(flags) == 0
    assert path.read_text() == once
