"""A part of the test that runs in a process of its own and obeys by a pipe.

start(main, ...) forks, so it is to be called before there are threads or
daemons; main(pipe, ...) sends what its owner is to know, and then answers each
(name, arguments). The child dies with its owner.
"""

import multiprocessing
import os
import signal
import traceback

from lib.process import die_with_parent


class Helper:
    def __init__(self, main, *args):
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(main, theirs, self._pipe, *args), daemon=True)
        self._process.start()
        theirs.close()
        self.told = self._receive(30)

    def _receive(self, timeout):
        if not self._pipe.poll(timeout):
            raise AssertionError(f"a helper says nothing for {timeout} s")
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def ask(self, name, *args, timeout=60):
        self._pipe.send((name, args))
        return self._receive(timeout)

    def stop(self):
        self._process.terminate()
        self._process.join()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def _run(main, pipe, owners, *args):
    die_with_parent()
    owners.close()
    # Those of the owner end its daemons, which are not this process's.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main(pipe, *args)
    except EOFError:
        pass  # the owner has gone
    except BaseException as error:  # pylint: disable=broad-except
        traceback.print_exc()
        try:
            pipe.send(AssertionError(f"a helper failed: {error!r}"))
        except OSError:
            pass
    os._exit(0)


def obey(pipe, loop, actions):
    """Answers on an asyncio loop what the owner asks of the object."""
    def on_word():
        try:
            name, args = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            answer = getattr(actions, name)(*args)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            answer = AssertionError(f"{name}: {error!r}")
        pipe.send(answer)
    loop.add_reader(pipe.fileno(), on_word)
