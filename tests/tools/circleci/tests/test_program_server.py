"""The programs that we play in jobs: each call is what a process of its own would be, whoever answers it."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from typing import Callable

import pytest
from circleci_runner import program_server

PLAYED = '''
import os, pathlib, subprocess, sys

def main():
    if sys.argv[-1] == "fail":
        print("refused", file=sys.stderr)
        sys.exit(7)
    if sys.argv[-1] == "break":
        raise ValueError("no such thing")
    if sys.argv[-1] == "become":
        os.execvp("sh", ["sh", "-c", "exit 9"])
    if sys.argv[-1] == "hang":
        child = subprocess.Popen(["sleep", "600"])
        pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
        child.wait()
    pathlib.Path("made").touch()
    print(sys.argv[1:], os.environ["WORD"], os.getcwd(), oct(pathlib.Path("made").stat().st_mode & 0o777), sys.stdin.read())
'''

Play = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    """Starts the program in a folder of its own."""
    module, program, folder = tmp_path / "played.py", tmp_path / "program", tmp_path / "a folder"
    module.write_text(PLAYED)
    program.write_text(program_server.server().script(str(module), "fixed 'word'"))
    program.chmod(0o755)
    folder.mkdir()

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [program, *arguments], cwd=folder, env={"WORD": "two\nlines", "BASH_ENV": "/nonexistent"}, umask=0o027, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def test_a_call_has_the_caller_s_arguments_environment_folder_umask_and_descriptors(play: Play, tmp_path: pathlib.Path) -> None:
    out, err = (child := play("a b", "", "*")).communicate("given")
    assert (child.returncode, err) == (0, "")
    assert out == f"""["fixed 'word'", 'a b', '', '*'] two\nlines {tmp_path}/a folder 0o640 given\n"""


@pytest.mark.parametrize(("how", "code", "said"), [("fail", 7, "refused\n"), ("break", 1, "ValueError: no such thing"), ("become", 9, "")])
def test_its_end_is_the_caller_s(play: Play, how: str, code: int, said: str) -> None:
    _, err = (child := play(how)).communicate("")
    assert child.returncode == code and said in err


def test_calls_run_side_by_side_and_end_with_who_made_them(play: Play, tmp_path: pathlib.Path) -> None:
    first = play("hang")
    pids = tmp_path / "a folder/pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    assert play("other").communicate("")[0] != ""
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    until(lambda: not any(pathlib.Path(f"/proc/{pid}/cwd").exists() for pid in pids.read_text().split()))


def test_without_the_token_nothing_is_run(play: Play, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program"
    program.write_text(program.read_text().replace(program_server.server().token, "guessed"))
    out, _ = (child := play()).communicate("")
    assert (child.returncode, out) == (70, "")
    assert not (tmp_path / "a folder/made").exists()


def until(holds: Callable[[], bool]) -> None:
    """Waits for what must come soon."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
