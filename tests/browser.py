"""A page as a real browser makes it of the file: headless Chromium, where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def dom_of(page: Path, width: int = 1280) -> str:
    """The elements of a page, as HTML, after the browser has laid it out ``width`` pixels wide."""
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt install chromium)")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--window-size={width},1000", f"--user-data-dir={page.parent / 'profile'}"]
    found = subprocess.run(
        [*command, page.resolve().as_uri()], capture_output=True, timeout=120, check=True
    )
    return found.stdout.decode()


def overflow_of(page: Path, width: int) -> int:
    """By how many pixels a page is wider than a window of ``width`` pixels."""
    probe = page.with_name("probe.html")
    html = page.read_text(encoding="utf-8")
    measure = 'document.title += " " + (document.documentElement.scrollWidth - innerWidth)'
    script = f"<script>window.onload = () => {{ {measure} }}</script></body>"
    probe.write_text(html.replace("</body>", script), encoding="utf-8")
    title = dom_of(probe, width).partition("<title>")[2].partition("</title>")[0]
    return int(title.rpartition(" ")[2])
