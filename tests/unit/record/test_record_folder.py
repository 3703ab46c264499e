"""The run folder: names, `latest`, owner, and what happens when its disk is full."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from emulator.model.errors import EmulationError
from emulator.record.folder import RESERVE_BYTES, RunFolder, file_name, invoking_user, platform_facts

MOMENT = datetime(2026, 11, 23, 18, 30, 7, tzinfo=UTC)


def test_folder_is_named_by_time_and_id(tmp_path):
    folder = RunFolder.create(tmp_path / "runs", "leo", run_id="7f3a", now_utc=MOMENT)
    assert folder.path == tmp_path / "runs" / "leo" / "2026-11-23T18-30-07Z-7f3a"
    assert folder.logs.is_dir()
    assert not folder.warnings


def test_latest_points_to_the_newest(tmp_path):
    first = RunFolder.create(tmp_path, "leo", run_id="a", now_utc=MOMENT)
    second = RunFolder.create(tmp_path, "leo", run_id="b", now_utc=MOMENT)
    latest = tmp_path / "leo" / "latest"
    assert latest.is_symlink()
    assert not latest.readlink().is_absolute()
    assert latest.resolve() == second.path != first.path
    assert sorted(path.name for path in (tmp_path / "leo").iterdir()) == [first.path.name, second.path.name, "latest"]


def test_same_id_at_the_same_second_is_refused_and_the_first_stays(tmp_path):
    first = RunFolder.create(tmp_path, "leo", run_id="a", now_utc=MOMENT)
    first.write("note.txt", "kept")
    with pytest.raises(EmulationError, match="exists already; name another"):
        RunFolder.create(tmp_path, "leo", run_id="a", now_utc=MOMENT)
    assert (first.path / "note.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("leo", "leo"), ("../../etc", "-..-etc"), ("", "unnamed"), ("a b/c", "a-b-c"), ("..", "unnamed"), ("é", "é")],
)
def test_names_stay_inside_the_folder(name, expected):
    assert file_name(name) == expected
    assert "/" not in file_name(name)


def test_a_root_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(EmulationError, match="run folder"):
        RunFolder.create(tmp_path / "runs", "leo")


def test_owner_is_the_user_behind_sudo(tmp_path):
    assert invoking_user({}) is None
    assert invoking_user({"SUDO_UID": "x", "SUDO_GID": "1"}) is None
    assert invoking_user({"SUDO_UID": "0", "SUDO_GID": "0"}) is None
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    assert invoking_user({"SUDO_UID": "1234", "SUDO_GID": "1235"}) == (1234, 1235)
    folder = RunFolder.create(tmp_path / "new" / "runs", "leo", owner=(1234, 1235))
    folder.write("a.txt", "a")
    (folder.logs / "gs.txt").write_text("by the runtime")
    folder.close()
    latest = folder.path.parent / "latest"
    for path in (tmp_path / "new", folder.path, folder.path / "a.txt", folder.logs / "gs.txt", latest):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (1234, 1235), path
    assert tmp_path.stat().st_uid == 0


def test_scenario_names_version_and_command_in_comments(tmp_path):
    import tomllib

    folder = RunFolder.create(tmp_path, "leo")
    folder.write_scenario('name = "leo"\n', ["skyloom", "run", "leo\nevil = 1", "--seed", "7"])
    text = (folder.path / "scenario.toml").read_text()
    assert "--seed 7" in text.splitlines()[1]
    assert tomllib.loads(text) == {"name": "leo"}


def test_platform_facts_are_json_and_do_not_name_the_machine(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    assert folder.write_platform(platform_facts(["skyloom", "run"]))
    text = (folder.path / "platform.json").read_text()
    facts = json.loads(text)
    assert facts["command"] == ["skyloom", "run"]
    assert facts["cores"] >= 1
    assert {"kernel", "python", "packages"} <= set(facts)
    assert os.uname().nodename not in text


def test_failed_write_leaves_the_old_file_and_warns_once(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    assert folder.write("a/../a.txt", "x") is False  # no folder a: any OSError
    folder.write("a/../a.txt", "x")
    assert len(folder.warnings) == 1
    assert "a.txt is not written: No such file or directory" in folder.warnings[0]


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from emulator.model.errors import EmulationError
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude

root = Path(sys.argv[1])
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(root)], capture_output=True, text=True)
if mounted.returncode:
    print("cannot mount:", mounted.stderr)
    sys.exit(77)
folder = RunFolder.create(root, "leo", run_id="a")
events, samples = EventLog(folder), SampleLog(folder)
for number in range(20000):
    events.append(number * 0.1, "gs-tokyo", "probe", "tick", {"number": number, "text": "x" * 100})
    samples.append(number * 0.1, "gs-tokyo", "probe", "rtt_s", "gs-paris", 0.1)
events.flush()
whole = events.path.stat().st_size
assert events.stopped == "No space left on device", events.stopped
assert events.lost_rows > 0
converted = events.finish()
samples.finish()
verdict = Verdict(scenario="leo", seed=1, warnings=folder.warnings)
assert folder.write_verdict(conclude(verdict).to_json()), folder.warnings
folder.close()
assert Verdict.from_json((folder.path / "verdict.json").read_text()).warnings == folder.warnings
(root / "fill").open("wb", buffering=0).write(b"x" * 2_000_000)
try:
    RunFolder.create(root, "leo", run_id="b")
except EmulationError as error:
    print("refused:", error)
print("\\n".join(folder.warnings))
"""


@pytest.mark.netns
def test_full_disk_stops_the_recording_and_not_the_run(tmp_path):
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "--user", sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("no mount namespace here: " + (done.stderr or done.stdout).strip())
    assert done.returncode == 0, done.stderr
    assert "recording of events stopped: No space left on device; the run goes on without" in done.stdout
    assert "refused: run folder" in done.stdout
    assert "free some space" in done.stdout
    assert "Traceback" not in done.stderr


def test_reserve_is_given_back(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    assert (folder.path / ".reserve").stat().st_size == RESERVE_BYTES
    folder.write_verdict("{}")
    assert sorted(path.name for path in folder.path.iterdir()) == ["logs", "verdict.json"]


def test_a_refused_run_leaves_no_folder(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    folder.discard()
    assert list((tmp_path / "leo").iterdir()) == []


def test_a_folder_with_records_is_not_discarded(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    folder.write("events.parquet", b"something")
    folder.discard()
    assert (folder.path / "events.parquet").exists()
