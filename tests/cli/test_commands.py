"""The command line itself: help, errors, exit codes, and what starting it costs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Command
from read.scenes import Scene

import qflow as package
from qflow.cli.commands import COMMANDS
from qflow.store.keys import Keys
from qflow.testing.server import RedisServer

ROOT = Path(package.__file__).parents[1]


def python(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_help_lists_every_command_and_imports_none(qflow: Command) -> None:
    said = qflow("--help")
    assert said.code == 0
    for name in COMMANDS:
        assert f"  {name} " in said.out
    loaded = python(
        "import sys; from qflow.cli.commands import cli\n"
        "try: cli(['--help'], prog_name='qflow')\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('qflow.') and 'cli' not in m])"
    ).stdout
    assert loaded.strip().endswith("['qflow.errors']")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(qflow: Command, name: str) -> None:
    said = qflow(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: qflow {name}")


def test_the_version_is_the_packages(qflow: Command) -> None:
    assert qflow("--version").out == f"qflow {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("wroker",), "no command 'wroker'; did you mean 'worker'?"),
        (("zzz",), "no command 'zzz'; see qflow --help"),
        (("runs", "lst"), "list"),
        (("runs", "list", "--limt", "3"), "--limit"),
        (("runs", "list", "--limit", "0"), "--limit"),
        (("runs", "list", "--status", "done"), "completed"),
        (("runs", "show"), "ID"),
        (("send",), "NAME"),
        (("runs", "list", "--redis-url", "http://x"), "redis://"),
        (("runs", "list", "--namespace", "a b"), "QFLOW_NAMESPACE"),
        (("worker", "--slots", "many"), "--slots"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    qflow: Command, arguments: tuple[str, ...], named: str
) -> None:
    said = qflow(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert named in said.err


def test_a_redis_that_is_absent_is_one_line_and_exit_code_1(qflow: Command) -> None:
    for arguments in (("runs", "list"), ("doctor",), ("send", "a/b"), ("functions", "list")):
        said = qflow(*arguments, "--redis-url", "redis://:secret@127.0.0.1:1/0")
        assert (said.code, said.out) == (1, "")
        assert said.err.count("\n") == 1
        assert "no Redis at redis://127.0.0.1:1/0" in said.err
        assert "secret" not in said.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(qflow: Command, shell: str) -> None:
    said = qflow("completion", shell)
    assert said.code == 0
    assert "_QFLOW_COMPLETE" in said.out


def test_completion_knows_commands_and_options() -> None:
    def complete(words: str, number: int) -> str:
        code = "from qflow.cli.main import main; main()"
        env = {"_QFLOW_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return python(code, **env).stdout

    assert complete("qflow ru", 1).split() == ["plain,run", "plain,runs"]
    assert "plain,list" in complete("qflow runs l", 2)
    assert "plain,completed" in complete("qflow runs list --status c", 4)


def test_bench_away_from_the_repository_says_so(
    qflow: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != ROOT]
    monkeypatch.setattr(sys, "path", elsewhere)
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    monkeypatch.delitem(sys.modules, "benchmarks.run", raising=False)
    said = qflow("bench", "--anything")
    assert said.code == 1
    assert "repository" in said.err


def test_a_reader_that_goes_away_is_no_error(redis_server: RedisServer, keys: Keys) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "qflow", "doctor", "--json", "--redis-url", redis_server.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def test_the_polled_command_loads_neither_parser_nor_rich(
    redis_server: RedisServer, keys: Keys, scene: Scene
) -> None:
    code = (
        "import sys\nfrom qflow.cli.main import main\n"
        "sys.argv = ['qflow', 'functions', 'show', 'pay', '--json']\nmain()\n"
        "heavy = {'click', 'rich', 'redis', 'rq', 'pydantic', 'asyncio', 'importlib.resources'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = python(code, QFLOW_REDIS_URL=redis_server.url, QFLOW_NAMESPACE=keys.ns)
    assert done.stderr == "[]\n"
    assert json.loads(done.stdout)["runs"]["completed"] == 0


@pytest.mark.parametrize("function", ["pay", "payy", "p\nq"])
def test_the_polled_command_answers_as_the_parsed_one_does(
    redis_server: RedisServer, keys: Keys, scene: Scene, qflow: Command, function: str
) -> None:
    parsed = qflow("functions", "show", "--json", function)
    code = "from qflow.cli.main import main; main()"
    env = {"QFLOW_REDIS_URL": redis_server.url, "QFLOW_NAMESPACE": keys.ns}
    quick = python(code, "functions", "show", function, "--json", **env)
    assert (quick.returncode, quick.stdout, quick.stderr) == parsed


def test_ctrl_c_while_following_is_exit_code_130(
    redis_server: RedisServer, keys: Keys, scene: Scene
) -> None:
    command = [sys.executable, "-m", "qflow", "runs", "tail", scene.start("pay")]
    scene.claim()
    env = {"QFLOW_REDIS_URL": redis_server.url, "QFLOW_NAMESPACE": keys.ns, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "taken by w1" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip() == ""
