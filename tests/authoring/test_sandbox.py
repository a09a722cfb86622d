"""Code that means harm, in the sandbox: it gets nothing, and everything of it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from authoring.projects import folder, stepping

from qflow.authoring.sandbox import cage
from qflow.authoring.sandbox.cage import Limits, Outcome

ROOT = Path(__file__).parents[2]


def play(root: Path, source: str, limits: Limits | None = None) -> Outcome:
    return cage.run(folder(root, source), {"function": "f", "faults": False}, limits=limits)


def scene(outcome: Outcome) -> dict[str, object]:
    assert outcome.result is not None, outcome
    first: dict[str, object] = outcome.result["scenarios"][0]
    return first


def test_a_fork_bomb(tmp_path: Path) -> None:
    outcome = play(tmp_path, stepping("while True: os.fork()"))
    assert scene(outcome)["reached"][0].startswith("process: os.fork")  # type: ignore[index]


def test_a_memory_hog(tmp_path: Path) -> None:
    outcome = play(tmp_path, stepping("return len([bytes(1 << 20) for _ in range(1 << 20)])"))
    assert not outcome.ok
    assert "MemoryError" in outcome.problem or "MemoryError" in str(scene(outcome)["error"])


@pytest.mark.parametrize("where", ["step", "handler", "import"])
def test_an_endless_loop(tmp_path: Path, where: str) -> None:
    loop = "while True: pass"
    handler = f"@app.function('f', trigger='a/b')\ndef f(step: SyncStep) -> None:\n    {loop}\n"
    source = {"step": stepping(loop), "handler": handler, "import": loop}[where]
    outcome = play(tmp_path, source, Limits(wall_s=3))
    assert outcome.problem == "it ran longer than 3 s and was ended"


def test_a_loop_is_also_ended_by_its_use_of_the_processor(tmp_path: Path) -> None:
    outcome = play(tmp_path, "while True: pass", Limits(cpu_s=1))
    assert "its process ended without a result" in outcome.problem
    assert "1 s of CPU" in outcome.problem


def test_a_write_outside(tmp_path: Path) -> None:
    target = tmp_path / "written"
    outcome = play(tmp_path, stepping(f"open({str(target)!r}, 'w').write('x')"))
    assert not target.exists()
    assert scene(outcome)["reached"] == [f"file: open {target}"]


def test_the_folder_itself_is_a_copy(tmp_path: Path) -> None:
    source = stepping("open(__file__, 'w').write('x'); os.remove(__file__)")
    outcome = play(tmp_path, source)
    assert scene(outcome)["status"] == "completed"
    assert (tmp_path / "workers" / "flow.py").read_text().endswith(source)


def test_hidden_files_and_what_lies_beside_are_not_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY=secret")
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / ".env").write_text("KEY=secret")
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "workers" / "link.txt").symlink_to(tmp_path / "outside.txt")
    body = "return sorted(os.listdir(os.path.dirname(__file__)))"
    assert scene(play(tmp_path, stepping(body, "list[str]")))["output"] == ["flow.py"]
    outcome = play(tmp_path, stepping(f"return open({str(tmp_path / '.env')!r}).read()", "str"))
    assert scene(outcome)["output"] == "text"  # what stands for a step that reached outside
    assert "secret" not in str(outcome)


def test_files_of_the_system(tmp_path: Path) -> None:
    outcome = play(tmp_path, stepping("return open('/etc/passwd').read()", "str"))
    assert (scene(outcome)["output"], scene(outcome)["reached"]) == (
        "text",
        ["file: open /etc/passwd"],
    )


def test_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        port = server.getsockname()[1]
        body = f"return socket.create_connection(('127.0.0.1', {port})).recv(10)"
        outcome = play(tmp_path, stepping(body, "bytes"))
        with pytest.raises(TimeoutError):
            server.accept()
    assert any("network" in each for each in scene(outcome)["reached"])  # type: ignore[attr-defined]


def test_the_network_at_import(tmp_path: Path) -> None:
    outcome = play(tmp_path, "socket.create_connection(('127.0.0.1', 9))\n")
    assert outcome.problem.startswith("import: Refused: the sandbox has no network: ")


def test_secrets_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENT_TOKEN", "hunter2")
    outcome = play(tmp_path, stepping("return [*os.environ.items()]", "object"))
    assert "hunter2" not in str(outcome)
    outcome = play(tmp_path, stepping("return os.environ['PAYMENT_TOKEN']", "str"))
    assert outcome.result is not None
    assert outcome.result["stubbed"] == {"work": "environment: PAYMENT_TOKEN"}
    assert scene(outcome)["output"] == "text"


def test_killing_the_parent(tmp_path: Path) -> None:
    body = f"os.kill({os.getpid()}, signal.SIGKILL)"
    outcome = play(tmp_path, stepping(f"{body} or os.kill(os.getppid(), 9)"))
    assert scene(outcome)["reached"][0].startswith("process: os.kill")  # type: ignore[index]


def test_huge_output(tmp_path: Path) -> None:
    outcome = play(tmp_path, stepping("while True: print('x' * 10_000)"))
    assert outcome.problem == "it printed more than 256 KiB and was ended"
    assert len(outcome.output) <= 256 << 10


def test_a_huge_file(tmp_path: Path) -> None:
    body = "open('f', 'wb').write(bytes(64 << 20))"
    assert "File too large" in str(scene(play(tmp_path, stepping(body)))["error"])


@pytest.mark.parametrize("body", ["os._exit(0)", "sys.exit()", "os.abort()"])
def test_ending_the_process(tmp_path: Path, body: str) -> None:
    assert not play(tmp_path, body + "\n").ok


def test_a_forged_result_is_data_at_most(tmp_path: Path) -> None:
    forged = '{"scenarios": 1}'
    body = f"[os.write(n, {forged!r}.encode()) for n in range(3, 9) if os.path.exists(f'/dev/fd/{{n}}') or 1]"
    outcome = play(tmp_path, f"try:\n    {body}\nexcept OSError: pass\nos._exit(0)\n")
    assert not outcome.ok


def test_a_module_that_does_not_work(tmp_path: Path) -> None:
    outcome = play(tmp_path, "1 / 0\n")
    assert outcome.problem == "import: ZeroDivisionError: division by zero (flow.py:6)"


def test_what_holds_it_is_told(tmp_path: Path) -> None:
    outcome = play(tmp_path, stepping("return 1", "int"))
    assert outcome.result is not None
    assert {"audit hook", "limits"} <= set(outcome.result["held_by"])


KERNEL = """
import os, resource, signal, socket, sys
from qflow.authoring.sandbox.kernel import confine
folder, outside = sys.argv[1:]
pair = socket.socketpair()
held = confine([os.path.dirname(os.__file__)], folder)
def tried(what):
    try: what()
    except (OSError, ValueError): return "refused"
    return "done"
print(held, [tried(what) for what in (
    lambda: socket.socket(socket.AF_INET),
    lambda: socket.socket(socket.AF_UNIX).connect("/nowhere"),
    lambda: os.fork() or os._exit(0),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.kill(os.getppid(), signal.SIGTERM),
    lambda: open(outside, "w"),
    lambda: open("/etc/passwd"),
    lambda: socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b"x", "/nowhere"),
    lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    lambda: pair[0].send(b"x"),
    lambda: resource.getrlimit(resource.RLIMIT_CORE),
    lambda: open(os.path.join(folder, "own"), "w"),
    lambda: __import__("threading").Thread(target=int).start(),
)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
def test_the_kernel_holds_what_no_hook_sees(tmp_path: Path) -> None:
    """Without the audit hook, as for code that has got around it."""
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, str(own), str(outside)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "['landlock', 'seccomp']" not in done.stdout:
        pytest.skip(f"this kernel lacks them: {done.stdout}{done.stderr}")
    expected = ["refused"] * 9 + ["done"] * 4
    assert done.stdout.strip() == f"['landlock', 'seccomp'] {expected}"
    assert done.returncode != -signal.SIGTERM
