import subprocess
import sys


def test_importing_it_makes_a_process_mortal_and_loads_nothing_heavy() -> None:
    code = (
        "import ctypes, os, signal, sys, awlab.execute.server\n"
        "asked = ctypes.c_int()\n"
        "get_death_signal = 2\n"
        "assert ctypes.CDLL(None).prctl(get_death_signal, ctypes.byref(asked)) == 0\n"
        "assert asked.value == signal.SIGKILL, asked.value\n"
        "assert 'torch' not in sys.modules\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
