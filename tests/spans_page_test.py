# SPDX-License-Identifier: MIT
"""The page of `adaspan spans` in a browser: no message on the console, all marks of every chart, and
pointing by keyboard and mouse; without script nothing is missing. Exit status 77 where there is no
chromedriver (Debian: packages chromium, chromium-driver).
  spans_page_test.py PROGRAM"""
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from browser import Browser, skip_without_browser  # noqa: E402

TEXT = "a cat sat on a mat, an owl flew to café <b> & 'c'\n"


def expect(what, holds, *shown):
    if not holds:
        sys.exit(f"FAILED: {what}: {shown}")


def looked_at(browser, page):
    browser.call("/url", {"url": page.as_uri()})
    marks = browser.run("[...document.querySelectorAll('svg')].map(s => s.querySelectorAll("
                        "'path.line, path.cell').length)")
    expect("every chart has its marks", len(marks) == 5 and min(marks) > 0, marks)
    text = browser.run("document.querySelector('.text').textContent.replaceAll('↵\\n', '\\n')")
    expect("the text is there", text == TEXT, text)
    width = browser.run("innerWidth")
    expect("all fits a narrow window", browser.run("document.documentElement.scrollWidth") <= width, width)


def pressed(browser, key):
    browser.call("/actions", {"actions": [{"type": "key", "id": "k", "actions": [
        {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})
    return browser.run("document.querySelector('.said').textContent")


def pointed_at(browser, page):
    browser.run("document.querySelector('.text').focus()")
    said = pressed(browser, "\ue010")  # End
    expect("the last character is told of", said.startswith(f"newline ({len(TEXT) - 1}) attends"), said)
    expect("with three others", said.count(" back: ") >= 3, said)
    here = browser.run("document.querySelectorAll('.text i.here').length")
    weights = browser.run("[...document.querySelectorAll('.text i')].filter(i => "
                          "i.style.getPropertyValue('--w')).length")
    expect("they are marked", here == 1 and weights >= 3, here, weights)
    said = pressed(browser, "\ue012")  # to the left
    expect("the one before it", said.startswith(f"' ({len(TEXT) - 2})"), said)
    expect("the first one attends to nothing", "nothing" in pressed(browser, "\ue011"))
    pressed(browser, "\ue00c")
    expect("Escape ends it", browser.run("document.querySelectorAll('.text i.here').length") == 0)
    place = browser.run("(r => [r.x + r.width / 2, r.y + r.height / 2])"
                        "(document.querySelectorAll('.text i')[6].getBoundingClientRect())")
    browser.call("/actions", {"actions": [{"type": "pointer", "id": "p", "actions": [
        {"type": "pointerMove", "x": round(place[0]), "y": round(place[1])}]}]})
    said = browser.run("document.querySelector('.said').textContent")
    expect("the mouse points, too", said.startswith("s (6)"), said)
    messages = browser.messages()
    expect("no message on the console", messages == [], messages)


def main():
    program = os.path.abspath(sys.argv[1])
    skip_without_browser()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pathlib.Path("text").write_text(TEXT * 150)

        def adaspan(*arguments):
            subprocess.run([program, *arguments], check=True, capture_output=True)

        adaspan("prepare", "--format", "enwik8", "--input", "text", "--out", "data")
        adaspan("train", "--data", "data", "--checkpoint", "run/c", "--dynamic-span", "--nlayers", "2",
                "--hid-sz", "16", "--inner-hid-sz", "32", "--nheads", "2", "--attn-span", "32",
                "--adapt-span-ramp", "4", "--batch-sz", "4", "--block-sz", "16", "--nbatches", "5",
                "--niter", "1", "--threads", "1")
        adaspan("spans", "run", "--text", TEXT, "--html", "page.html", "--svg", "charts")
        for chart in pathlib.Path("charts").iterdir():
            xml.etree.ElementTree.parse(chart)
        page = pathlib.Path("page.html").resolve()
        for script in (True, False):
            browser = Browser(script)
            try:
                browser.call("/window/rect", {"width": 390, "height": 900})
                looked_at(browser, page)
                hidden = browser.run("document.querySelector('.said').hidden")
                expect("what needs the script is shown with it alone", hidden != script)
                if script:
                    pointed_at(browser, page)
            finally:
                browser.end()
    print("all cases hold")


main()
