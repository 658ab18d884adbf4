# SPDX-License-Identifier: MIT
"""Chromium without a window, by the WebDriver protocol of chromedriver."""
import base64
import json
import shutil
import subprocess
import sys
import urllib.request


def skip_without_browser():
    if not shutil.which("chromedriver") or not (shutil.which("chromium") or shutil.which("google-chrome")):
        print("skipped: no chromedriver to look at the page with (Debian: chromium, chromium-driver)")
        sys.exit(77)


class Browser:
    def __init__(self, script=True):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = f"http://127.0.0.1:{line.rstrip('. ' + chr(10)).split()[-1]}/session"
                break
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]}
        if not script:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += "/" + self.call("", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def call(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"},
                                         method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def run(self, script):
        return self.call("/execute/sync", {"script": "return " + script, "args": []})

    def devtools(self, command, **arguments):
        return self.call("/goog/cdp/execute", {"cmd": command, "params": arguments})

    def open(self, page, width=1280, scheme="light", media=""):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                      mobile=False)
        self.devtools("Emulation.setEmulatedMedia", media=media,
                      features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("/url", {"url": page.as_uri()})

    def messages(self):
        return self.call("/se/log", {"type": "browser"})

    def picture(self, path):
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def end(self):
        self.call("", method="DELETE")  # ends Chromium, which would outlive its driver
        self.driver.terminate()
        self.driver.wait()
