"""Writing a file of the working tree: whole or not at all, and never elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bot.adapters.watermark_file import WatermarkFile
from bot.adapters.working_files import WorkingFiles
from bot.errors import CouldNotTell, Refused


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "repository/policies").mkdir(parents=True)
    (tmp_path / "repository/policies/audit.yaml").write_bytes(b"old\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/audit.yaml").write_bytes(b"theirs\n")
    return tmp_path / "repository"


def test_replaces_the_content(top: Path) -> None:
    WorkingFiles(top).write("policies/audit.yaml", b"new \xff\n")
    assert (top / "policies/audit.yaml").read_bytes() == b"new \xff\n"
    assert os.listdir(top / "policies") == ["audit.yaml"]


def test_below_a_relative_folder(top: Path) -> None:
    WorkingFiles(Path(os.path.relpath(top))).write("policies/audit.yaml", b"new\n")
    assert (top / "policies/audit.yaml").read_bytes() == b"new\n"


def test_keeps_permissions(top: Path) -> None:
    (top / "policies/audit.yaml").chmod(0o640)
    WorkingFiles(top).write("policies/audit.yaml", b"new\n")
    assert stat.S_IMODE((top / "policies/audit.yaml").stat().st_mode) == 0o640


def test_a_new_file(top: Path) -> None:
    WorkingFiles(top).write("policies/promotion.yaml", b"new\n")
    assert (top / "policies/promotion.yaml").read_bytes() == b"new\n"


def test_the_repository_itself_may_be_reached_by_a_link(top: Path) -> None:
    (top.parent / "link").symlink_to(top)
    WorkingFiles(top.parent / "link").write("policies/audit.yaml", b"new\n")
    assert (top / "policies/audit.yaml").read_bytes() == b"new\n"


@pytest.mark.parametrize("path", ["../elsewhere/audit.yaml", "policies/../../elsewhere/audit.yaml", "/etc/hostname"])
def test_refuses_to_leave_the_repository(top: Path, path: str) -> None:
    with pytest.raises(Refused, match=r"is not a file of this repository. Replace the symbolic link by a file."):
        WorkingFiles(top).write(path, b"new\n")
    assert (top.parent / "elsewhere/audit.yaml").read_bytes() == b"theirs\n"


@pytest.mark.parametrize("target", ["../../elsewhere/audit.yaml", "../../nowhere", "other.yaml"])
def test_refuses_a_symbolic_link(top: Path, target: str) -> None:
    (top / "policies/other.yaml").write_bytes(b"other\n")
    (top / "policies/audit.yaml").unlink()
    (top / "policies/audit.yaml").symlink_to(target)
    with pytest.raises(Refused):
        WorkingFiles(top).write("policies/audit.yaml", b"new\n")
    assert (top / "policies/audit.yaml").is_symlink()
    assert (top / "policies/other.yaml").read_bytes() == b"other\n"
    assert (top.parent / "elsewhere/audit.yaml").read_bytes() == b"theirs\n"
    assert not (top.parent / "nowhere").exists()


@pytest.mark.parametrize("target", ["../elsewhere", ".git"])
def test_refuses_a_folder_that_is_a_symbolic_link(top: Path, target: str) -> None:
    (top / ".git").mkdir()
    (top / "linked").symlink_to(target)
    with pytest.raises(Refused):
        WorkingFiles(top).write("linked/audit.yaml", b"new\n")
    assert (top.parent / "elsewhere/audit.yaml").read_bytes() == b"theirs\n"
    assert list((top / ".git").iterdir()) == []


def test_a_failure_half_way_leaves_the_old_file_and_no_other(top: Path) -> None:
    """A folder cannot be replaced by a file, so the last step fails."""
    (top / "policies/audit.yaml").unlink()
    (top / "policies/audit.yaml").mkdir()
    with pytest.raises(CouldNotTell, match=r"^policies/audit.yaml could not be written: Is a directory\."):
        WorkingFiles(top).write("policies/audit.yaml", b"new\n")
    assert os.listdir(top / "policies") == ["audit.yaml"]
    assert (top / "policies/audit.yaml").is_dir()


def test_a_file_where_the_folder_should_be_is_told(top: Path) -> None:
    (top / "models").write_bytes(b"a file\n")
    with pytest.raises(CouldNotTell, match=r"run the command again, which goes on\."):
        WorkingFiles(top).write("models/churn.yaml", b"new\n")
    assert (top / "models").read_bytes() == b"a file\n"


def test_makes_a_file_that_everybody_may_read_and_its_folder(top: Path) -> None:
    WorkingFiles(top).write("models/churn.yaml", b"new\n")
    assert (top / "models/churn.yaml").read_bytes() == b"new\n"
    assert stat.S_IMODE((top / "models/churn.yaml").stat().st_mode) == 0o644


def test_makes_no_folder_elsewhere(top: Path) -> None:
    (top / "models").symlink_to(top.parent / "elsewhere")
    with pytest.raises(Refused):
        WorkingFiles(top).write("models/deeper/churn.yaml", b"new\n")
    assert os.listdir(top.parent / "elsewhere") == ["audit.yaml"]


# The watermark


def test_a_watermark_is_kept_and_replaced(tmp_path: Path) -> None:
    file = WatermarkFile(tmp_path / "below/watermark.json")
    assert file.read() is None
    file.write(b"one")
    file.write(b"two")
    assert (file.read(), os.listdir(tmp_path / "below")) == (b"two", ["watermark.json"])


def test_a_watermark_that_cannot_be_read_or_written_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    file = WatermarkFile(tmp_path / "file/below")
    assert file.read() is None
    file.write(b"one")
    read, written = (record.getMessage() for record in caplog.records)
    assert read == f"The watermark {tmp_path}/file/below cannot be read: Not a directory."
    assert written.startswith(f"The watermark {tmp_path}/file/below cannot be written: ")
