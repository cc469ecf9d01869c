"""A real Chromium, told what to do through its own debugging pipe: typing, clicking, looking."""

import base64
import json
import os
import subprocess
import time
from contextlib import contextmanager, suppress

QUIET = (
    "--no-sandbox", "--headless", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class PageError(Exception):
    """A script failed, or its page went away."""


class Browser:
    """One page of a browser. ``run`` gives it JavaScript from outside of the page, whatever the page allows."""

    def __init__(self, to_browser, from_browser):
        self._out, self._in, self._number, self._session = to_browser, from_browser, 0, None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable")

    def _ask(self, method, **params):
        self._number += 1
        said = {"id": self._number, "method": method, "params": params}
        if self._session:
            said["sessionId"] = self._session
        self._out.write(json.dumps(said).encode() + b"\0")
        self._out.flush()
        while True:
            heard = b""
            while not heard.endswith(b"\0"):
                part = self._in.read(1)
                assert part, "the browser has gone"
                heard += part
            told = json.loads(heard[:-1])
            if told.get("id") == self._number:
                if "error" in told:
                    raise PageError(told["error"])
                return told["result"]

    def open(self, url):
        self._ask("Page.navigate", url=url)

    def follow(self, part):
        """Go on in a tab that was opened meanwhile, one whose address has this part."""
        deadline = time.monotonic() + 60
        while not (found := [one for one in self._ask("Target.getTargets")["targetInfos"] if part in one["url"]]):
            assert time.monotonic() < deadline, "no such tab was opened"
            time.sleep(0.1)
        self._session = None
        self._session = self._ask("Target.attachToTarget", targetId=found[0]["targetId"], flatten=True)["sessionId"]
        self._ask("Page.bringToFront")

    def run(self, script):
        """Return what a script comes to, once it has."""
        told = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise PageError(told["exceptionDetails"])
        return told["result"].get("value")

    def until(self, script, limit_s=60):
        """Wait until a script comes to something true, and return it."""
        deadline = time.monotonic() + limit_s
        while True:
            with suppress(PageError):  # the page is just being replaced by the next
                if value := self.run(script):
                    return value
            assert time.monotonic() < deadline, self.run("document.body?.innerText")
            time.sleep(0.1)

    def press(self, key, *, held=False, code=None):
        """Press a key such as ``1``, ``Enter`` or a blank, and let it go; ``held`` sends what a held key sends.

        ``code`` says where the key is, where that is not where it is on an English keyboard.
        """
        typed = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = code or {" ": "Space", ",": "Comma", ".": "Period"}.get(key)
        code = code or (f"Digit{key}" if key.isdigit() else f"Key{key.upper()}" if len(key) == 1 else key)
        number = {"Escape": 27, "Enter": 13, "Backspace": 8, "Tab": 9}.get(key, 0)
        said = {"key": key, "code": code, "windowsVirtualKeyCode": number, **({"text": typed} if typed else {})}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **said)
        for _ in range(3 * held):
            self._ask("Input.dispatchKeyEvent", type="keyDown", autoRepeat=True, **said)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **said)

    def click(self, x, y, *, times=1):
        """Click at a place of the page, in its pixels."""
        for count in range(1, times + 1):
            for type_ in ("mousePressed", "mouseReleased"):
                self._ask("Input.dispatchMouseEvent", type=type_, x=x, y=y, button="left", clickCount=count)

    def drag(self, start, end, *, meanwhile=lambda: None, shift=False):
        """Drag from one place of the page to another, in its pixels; what happens meanwhile happens after the press."""
        for type_, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            if type_ == "mouseMoved":
                meanwhile()
            self._ask(
                "Input.dispatchMouseEvent", type=type_, x=x, y=y, button="left", buttons=1, clickCount=1,
                modifiers=8 if shift else 0,
            )  # fmt: skip

    def offline(self, is_offline):
        """Cut the page off from the network, or give it back."""
        self._ask("Network.enable")
        self._ask(
            "Network.emulateNetworkConditions",
            offline=is_offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    @contextmanager
    def sized(self, width, height):
        """Give the page another size for a while, in its pixels."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=0, mobile=False)
        try:
            yield
        finally:
            self._ask("Emulation.clearDeviceMetricsOverride")

    def picture(self, file):
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browsing(program, folder, *, size="1000,700"):
    """Start a browser with a profile of its own, and end it."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    command = [
        str(program), *QUIET, f"--user-data-dir={folder / 'profile'}", f"--window-size={size}",
        "--remote-debugging-pipe", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "browser", *command],
        pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    os.close(to_read), os.close(from_write)
    try:
        with os.fdopen(to_write, "wb") as to_browser, os.fdopen(from_read, "rb") as from_browser:
            yield Browser(to_browser, from_browser)
    finally:
        process.terminate()
        process.wait(timeout=30)
