"""Preemption of a process: SIGTERM, Ctrl-C, or a driver that is gone.

A training that is asked to stop saves its state at the next row and raises `Preempted`. One that does not get there in
time, because of a long compilation or evaluation, is killed, and goes on from its last checkpoint.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait

PREEMPTED = 75  # exit status EX_TEMPFAIL of sysexits.h: try again later
GRACE = 20.0  # seconds

_asked = threading.Event()
_timers: list[threading.Timer] = []


class Preempted(BaseException):
    """A training was asked to stop and has saved its state; like KeyboardInterrupt, not an Exception."""


def asked() -> bool:
    """Return True if this process was asked to stop."""
    return _asked.is_set()


def ask(reason: str, grace: float = GRACE) -> None:
    """Ask this process to stop, and end it in `grace` seconds if it has not."""
    if _asked.is_set():
        return
    _asked.set()
    timer = threading.Timer(grace, end, (f"{reason}, and at no row within {grace:.0f} s",))
    timer.daemon = True
    _timers.append(timer)
    timer.start()


def end(reason: str) -> None:
    """End this process at once, with the status of one that can be resumed."""
    print(f"rnngen: {reason}; the same command goes on from the last checkpoint", file=sys.stderr, flush=True)
    os._exit(PREEMPTED)


@contextlib.contextmanager
def listening(grace: float = GRACE, interrupts: bool = True) -> Iterator[None]:
    """Let SIGTERM and, with `interrupts`, Ctrl-C ask this process to stop; a second one ends it at once.

    A thread receives them, since Python's handlers do not run while the main thread compiles. A request stays set until
    the next `listening` begins. Outside of the main thread, which alone can set handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = [signal.SIGTERM, *([signal.SIGINT] if interrupts else [])]
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    _asked.clear()
    hearing = threading.Thread(target=_hear, args=(ears, signals, grace), name="signals", daemon=True)
    hearing.start()
    # In this order, and undone in reverse: a signal must not reach the empty handlers without the descriptor.
    descriptor = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        mouth.close()
        hearing.join()
        while _timers:
            _timers.pop().cancel()


def _hear(ears: socket.socket, signals: list[signal.Signals], grace: float) -> None:
    with ears:
        while heard := ears.recv(1):
            if heard[0] in signals:
                reason = f"stopped by {signal.Signals(heard[0]).name}"
                if asked():
                    end(f"{reason} again")
                print(f"rnngen: {reason}: saving; once more ends it at once", file=sys.stderr, flush=True)
                ask(reason, grace)


def watch(sentinel: int, reason: str) -> None:
    """Ask this process to stop when the process with this sentinel ends."""

    def hear() -> None:
        wait([sentinel])
        ask(reason)

    threading.Thread(target=hear, name="driver", daemon=True).start()
