import os
import time
from pathlib import Path

import pytest

from awlab.execute import child
from awlab.execute.call import DeadChildError, LocalCall
from awlab.execute.devices import Share
from awlab.spec.errors import InputError, Problem, SpecError

SHARE = Share(("3",), 1)


@pytest.fixture(autouse=True)
def _torch_is_not_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PRELOAD", ("awlab.execute.server",))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "called.py").write_text(
        "import os, time\n"
        "from awlab.spec.errors import InputError, Problem, SpecError\n"
        "def double(number):\n"
        "    print('doubling')\n"
        "    return 2 * number, os.getpgid(0) == os.getpid(), os.environ['CUDA_VISIBLE_DEVICES']\n"
        "def refuse(path): raise SpecError([Problem(path, 'is wrong')])\n"
        "def fail(): raise Odd('one', 'two')\n"
        "def die(): os.kill(os.getpid(), 9)\n"
        "def leave(): os._exit(3)\n"
        "def sleep(): time.sleep(60)\n"
        "class Odd(Exception):\n"
        "    def __init__(self, first, second): super().__init__(first + second)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "log.txt"


@pytest.mark.parametrize("warm", [False, True])
def test_the_answer_of_another_process(log: Path, *, warm: bool) -> None:
    assert LocalCall("called:double", (21,), SHARE, log, warm=warm).result() == (42, True, "3")
    assert log.read_text() == "doubling\n"


def test_an_error_is_raised_here(log: Path) -> None:
    with pytest.raises(SpecError) as caught:
        LocalCall("called:refuse", ("model",), SHARE, log, warm=True).result()
    assert caught.value.problems == [Problem("model", "is wrong")]
    assert isinstance(caught.value, InputError)
    assert "called.py" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_sent_is_told(log: Path) -> None:
    with pytest.raises(RuntimeError, match="Odd: onetwo"):
        LocalCall("called:fail", (), SHARE, log, warm=True).result()


@pytest.mark.parametrize(
    ("target", "message"), [("called:die", "Killed"), ("called:leave", "exit code 3")]
)
@pytest.mark.parametrize("warm", [False, True])
def test_a_process_that_dies(log: Path, target: str, message: str, *, warm: bool) -> None:
    with pytest.raises(DeadChildError, match=f"the process died: {message}"):
        LocalCall(target, (), SHARE, log, warm=warm).result()


def test_nobody_has_to_wait(log: Path) -> None:
    call = LocalCall("called:sleep", (), SHARE, log, warm=True)
    assert not call.done()
    pid = call.pid
    begin = time.monotonic()
    call.kill()
    assert time.monotonic() - begin < 30
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    call.kill()
