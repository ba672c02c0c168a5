"""The test case of flow tests."""

import sys
import unittest

from . import process


class FlowTest(unittest.TestCase):
    """Prints, when a test fails, the log of each process that ran in it.

    use(x) enters the context manager x until the end of the test; in
    setUpClass, cls.use_in_class(x) does so until the end of the class.
    """

    maxDiff = None
    _class_mark = 0

    @classmethod
    def setUpClass(cls):
        cls._class_mark = process.started_mark()

    @classmethod
    def use_in_class(cls, manager):
        entered = manager.__enter__()
        cls.addClassCleanup(manager.__exit__, None, None, None)
        return entered

    def use(self, manager):
        entered = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return entered

    def assert_quick(self, ask, seconds, what="a quick answer"):
        """Asks until an answer takes less than so many seconds, and gives it.
        A busy machine holds up any of them, but hardly all: what each would
        have to wait for is never quick."""
        def is_quick():
            answer = ask()
            return answer.seconds < seconds and answer

        return process.wait_until(is_quick, what=what)

    def assert_none_waits(self, answers, seconds):
        """The same of several answers: the quickest took less."""
        self.assertLess(min(answer.seconds for answer in answers), seconds)

    def run(self, result=None):
        if result is None:
            result = self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        mark = process.started_mark()
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            shared = [p for p in process.started_since(self._class_mark)
                      if p.is_running()]
            mine = process.started_since(mark)
            for one in mine + [p for p in shared if p not in mine]:
                self._print_log(one)
        return result

    @staticmethod
    def _print_log(one):
        lines = one.log().splitlines()
        print(f"--- {one.name} (pid {one.pid}, last {min(len(lines), 200)}"
              " lines)", file=sys.stderr)
        for line in lines[-200:]:
            print("    " + line, file=sys.stderr)
