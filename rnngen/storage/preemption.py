"""Preemption of a process: SIGTERM, Ctrl-C, or a driver that is gone.

A training that is asked to stop saves its state at the next row and raises `Preempted`. One that does not get there in
time, because of a long compilation or evaluation, is killed, and goes on from its last checkpoint. The process of a
notebook or script is the user's, and Ctrl-C never ends it: asked twice, it gets a KeyboardInterrupt at once.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait

PREEMPTED = 75  # exit status EX_TEMPFAIL of sysexits.h: try again later
GRACE = 20.0  # seconds

_asked = threading.Event()
_listening = threading.Event()
_timers: list[threading.Timer] = []


class Preempted(KeyboardInterrupt):
    """A training was asked to stop and has saved its state: the KeyboardInterrupt of a call that can be repeated.

    Its argument names the place, such as "at step 200".
    """

    def __str__(self) -> str:
        return f"stopped {self.args[0]}; the same call goes on"

    def _render_traceback_(self) -> list[str]:
        """Show one line in IPython and Jupyter, since there is no error to trace."""
        return [f"Preempted: {self}"]


def asked() -> bool:
    """Return True if this process was asked to stop."""
    return _asked.is_set()


def ask(reason: str, grace: float | None = GRACE) -> None:
    """Ask this process to stop, and end it in `grace` seconds if it has not (None: never)."""
    if _asked.is_set():
        return
    _asked.set()
    if grace is None:
        return
    timer = threading.Timer(grace, end, (f"{reason}, and at no row within {grace:.0f} s",))
    timer.daemon = True
    _timers.append(timer)
    timer.start()


def end(reason: str) -> None:
    """End this process at once, with the status of one that can be resumed."""
    print(f"rnngen: {reason}; the same command goes on from the last checkpoint", file=sys.stderr, flush=True)
    os._exit(PREEMPTED)


@contextlib.contextmanager
def listening(grace: float = GRACE, interrupts: bool = True, own: bool = True) -> Iterator[None]:
    """Let SIGTERM and, with `interrupts`, Ctrl-C ask this process to stop; a second one ends it at once.

    A thread receives them, since Python's handlers do not run while the main thread compiles. A request stays set until
    the next `listening` begins. Outside of the main thread, which alone can set handlers, nothing changes.

    Args:
      grace: seconds until a process is ended that was asked to stop and has not.
      interrupts: hear Ctrl-C as well.
      own: the process is rnngen's. Else Ctrl-C does not end it: a second one raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        if not _listening.is_set():
            _asked.clear()
        yield
        return
    heard: list[int] = []
    handlers: dict[signal.Signals, Callable] = {signal.SIGTERM: _ignore}
    if interrupts:
        handlers[signal.SIGINT] = _ignore if own else _second_interrupt(heard)
    ears, mouth = socket.socketpair()
    mouth.setblocking(False)
    _asked.clear()
    _listening.set()
    arguments = (ears, [*handlers], grace, own, heard)
    hearing = threading.Thread(target=_hear, args=arguments, name="signals", daemon=True)
    hearing.start()
    # In this order, and undone in reverse: a signal must not reach the empty handlers without the descriptor.
    descriptor = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        mouth.close()
        hearing.join()
        _listening.clear()
        while _timers:
            _timers.pop().cancel()


def _ignore(number: int, frame: object) -> None:
    """Do nothing: a thread hears the signal."""


def _second_interrupt(heard: list[int]) -> Callable:
    """Return a handler that raises KeyboardInterrupt unless it is called for the first SIGINT alone."""
    calls: list[int] = []

    def handler(number: int, frame: object) -> None:
        calls.append(number)
        # Python makes one call for all that came while the main thread was in C, but the thread has heard each.
        if max(len(calls), heard.count(number)) > 1:
            raise KeyboardInterrupt

    return handler


def _hear(ears: socket.socket, signals: list[signal.Signals], grace: float, own: bool, heard: list[int]) -> None:
    with ears:
        while got := ears.recv(1):
            if got[0] not in signals:
                continue
            heard.append(got[0])
            reason = f"stopped by {signal.Signals(got[0]).name}"
            may_end = own or got[0] != signal.SIGINT
            if asked() and may_end:
                end(f"{reason} again")
            if not asked():
                once_more = "ends it at once" if may_end else "stops it at once"
                print(f"rnngen: {reason}: saving; once more {once_more}", file=sys.stderr, flush=True)
                ask(reason, grace if may_end else None)


def watch(sentinel: int, reason: str) -> None:
    """Ask this process to stop when the process with this sentinel ends."""

    def hear() -> None:
        wait([sentinel])
        ask(reason)

    threading.Thread(target=hear, name="driver", daemon=True).start()
