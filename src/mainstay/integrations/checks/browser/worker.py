"""The process that drives the browser: one order on standard input, one line of JSON for each step on the output.

It may be killed at any moment; what it has written until then counts. It never looks at the network itself.
"""

from __future__ import annotations

import base64
import ctypes
import fnmatch
import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PICTURE_LIMIT = 40_000  # bytes of a screenshot
_RESERVE = 1.5  # seconds that are kept back for a picture and the end
_TRACE_RESERVE = 0.5  # seconds that writing a trace may need; without them there is none
_TOLD = 10  # errors of a page that are passed on
_LONG = 300  # characters of each
# Largest paint, layout shifts and first paint as the browser reports them (web.dev/articles/vitals).
_OBSERVE = """
(() => {
  const seen = window.__vitals = {lcp: null, cls: 0, fcp: null};
  const watch = (type, each) => {
    try { new PerformanceObserver(list => list.getEntries().forEach(each)).observe({type, buffered: true}); }
    catch (error) { /* this browser does not report it */ }
  };
  watch('largest-contentful-paint', entry => { seen.lcp = entry.startTime; });
  watch('layout-shift', entry => { if (!entry.hadRecentInput) seen.cls += entry.value; });
  watch('paint', entry => { if (entry.name === 'first-contentful-paint') seen.fcp = entry.startTime; });
})();
"""
_READ = """
async () => {
  const frame = () => new Promise(done => { requestAnimationFrame(() => done()); setTimeout(done, 100); });
  for (const until = performance.now() + 500; window.__vitals.fcp === null && performance.now() < until;) await frame();
  await frame(); await frame();
  const load = performance.getEntriesByType('navigation')[0];
  return {...window.__vitals, ttfb: load ? load.responseStart : null};
}
"""


class Failed(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = json.loads(sys.stdin.buffer.read())
    with sync_playwright() as playwright:
        _begin(playwright, order)


def _begin(playwright: Playwright, order: dict[str, Any]) -> None:
    began = time.monotonic()
    try:
        browser = playwright.chromium.launch(
            executable_path=order["chromium"],
            chromium_sandbox=os.geteuid() != 0,  # root cannot be confined; nobody else goes without
            proxy={"server": f"socks5://127.0.0.1:{order['gate']}"},
            args=[
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
                "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
                "--disable-quic",
                "--disable-gpu",
            ],
            timeout=order["limit"] * 1000,
        )
    except Error as error:
        _tell(start_failed=_plain(error.message)[-1500:])
        return
    _tell(started=time.monotonic() - began, browser=browser.version)
    try:
        _Visit(browser, order, began + order["limit"]).walk()
    finally:
        browser.close()


class _Visit:
    def __init__(self, browser: Browser, order: dict[str, Any], ends: float) -> None:
        self._order, self._ends = order, ends
        self._trace = str(order.get("trace") or "")
        width, _, height = order["viewport"].partition("x")
        context = browser.new_context(
            viewport={"width": int(width), "height": int(height)},
            ignore_https_errors=not order["verify"],
            accept_downloads=False,
            service_workers="block",
        )
        context.add_init_script(_OBSERVE)
        self._context = context
        if self._trace:
            context.tracing.start(screenshots=True, snapshots=True)
        self._page: Page = context.new_page()
        self._errors: list[str] = []
        self._console: list[str] = []
        self._measured = False
        self._page.on("pageerror", lambda error: self._note(self._errors, str(error)))
        self._page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(self._console, message.text)

    def _note(self, where: list[str], text: str) -> None:
        if len(where) < _TOLD:
            where.append(_plain(text)[:_LONG])

    def walk(self) -> None:
        failed: Failed | None = None
        for number, step in enumerate(self._order["steps"], 1):
            began = time.monotonic()
            try:
                self._take(step)
            except Failed as failure:
                failed = failure
            except TooLate as error:
                failed = Failed(_late_code(step), _plain(error.message.split("\n")[0]))
            except Error as error:
                failed = Failed("wait.browser", _plain(error.message.split("\n")[0]))
            name = next(iter(step))
            _tell(step=number, name=name, seconds=time.monotonic() - began, failed=_document(failed))
            if failed is not None:
                break
        self._end(failed)

    def _end(self, failed: Failed | None) -> None:
        with suppress(Error):
            self._page.wait_for_timeout(50)  # errors of scripts arrive as events
        _tell(errors=self._errors, console=self._console, url=_plain(self._page.url)[:500])
        with suppress(Error):
            _tell(title=_plain(self._page.title())[:200])
        wrong = failed is not None or bool(self._errors)
        if self._order["screenshot"] and wrong and not self._page.url.startswith("chrome-error:"):
            with suppress(Error):
                _tell(screenshot=self._picture())
        if self._trace and wrong and self._ends - time.monotonic() > _TRACE_RESERVE:
            with suppress(Error):
                self._context.tracing.stop(path=self._trace)
        _tell(done=True)

    def _left(self) -> float:
        """Milliseconds that one wait may take."""
        left: float = min(self._order["patience"], self._ends - _RESERVE - time.monotonic())
        return max(1.0, left * 1000)

    def _take(self, step: dict[str, Any]) -> None:
        ((name, value),) = step.items()
        if name == "goto":
            self._go(value)
        elif name == "click":
            self._page.click(value, timeout=self._left())
        elif name == "fill":
            for selector, text in value.items():
                self._page.fill(selector, text, timeout=self._left())
        elif name == "press":
            self._page.keyboard.press(value)
        elif name == "wait":
            self._page.wait_for_timeout(min(value * 1000, max(0.0, (self._ends - _RESERVE - time.monotonic()) * 1000)))
        else:
            self._expect(value)

    def _go(self, url: str) -> None:
        answer = self._page.goto(url, timeout=self._left(), wait_until="load")
        if answer is not None:
            _tell(status=answer.status)
        if not self._measured:
            self._measured = True
            _tell(vitals=self._page.evaluate(_READ))
        if answer is not None and answer.status >= 400:
            raise Failed("expect.status", f"the page came with status {answer.status}")

    def _expect(self, seen: dict[str, Any]) -> None:
        waits = {
            "text": lambda text: (
                self._page.get_by_text(text).locator("visible=true").first.wait_for(timeout=self._left())
            ),
            "selector": lambda selector: (
                self._page.locator(selector).locator("visible=true").first.wait_for(timeout=self._left())
            ),
            "absent": lambda selector: (
                self._page.locator(selector)
                .locator("visible=true")
                .first.wait_for(state="hidden", timeout=self._left())
            ),
            "url": self._expect_url,
            "title": self._expect_title,
        }
        for what, wanted in seen.items():
            try:
                waits[what](wanted)
            except TooLate:
                raise Failed(f"expect.{what}", self._missing(what, wanted)) from None

    def _expect_url(self, pattern: str) -> None:
        fits = re.compile(fnmatch.translate(pattern))
        self._page.wait_for_url(lambda url: fits.match(url) is not None, timeout=self._left(), wait_until="commit")

    def _expect_title(self, text: str) -> None:
        self._page.wait_for_function("text => document.title.includes(text)", arg=text, timeout=self._left())

    def _missing(self, what: str, wanted: str) -> str:
        if what == "url":
            return f"the page is {_plain(self._page.url)[:300]}, not {wanted[:200]}"
        sentences = {
            "text": "`{}` is not visible on the page",
            "selector": "there is no visible element `{}`",
            "absent": "the element `{}` is still visible",
            "title": "`{}` is not in the title",
        }
        return sentences[what].format(wanted[:200])

    def _picture(self) -> str:
        for quality in (50, 25, 8):
            data = self._page.screenshot(type="jpeg", quality=quality, timeout=3000, scale="css")
            if len(data) <= _PICTURE_LIMIT:
                return "data:image/jpeg;base64," + base64.b64encode(data).decode()
        return ""


def _late_code(step: dict[str, Any]) -> str:
    return "wait.timeout" if "goto" in step else "expect.element"


def _document(failed: Failed | None) -> dict[str, str] | None:
    return None if failed is None else {"code": failed.code, "message": str(failed)[:500]}


def _plain(text: str) -> str:
    """Without colours and other control characters."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def _tell(**news: Any) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
