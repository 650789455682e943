#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The page of `sluice bench --html`, in a real browser: charts are drawn, next to tables with the same
# figures; nothing is complained of, nothing is asked of the network; narrow and wide, light and dark,
# on paper, and without a script.
# timeout: 240
. "${SOURCE_ROOT:?}/tests/helpers/scenario.sh"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    skip_missing chromium "no browser"
export browser

scenario <<'PY'
sys.path.insert(0, os.path.join(os.environ["SOURCE_ROOT"], "tests", "helpers"))
from browser import Browser

skip_under_sanitizer("it shows nothing of the browser's")
directory = scratch()
page = f"{directory}/page.html"
found = sluice("bench", "-q", "--json", "--html", page, "--disk", directory, "--size=4M", "--rounds=5",
               "--time=30", "--only=file-pipe", "--chunk=64K", "--chunk=4K").expect(0)
found = json.loads(found.out)
text = content(page).decode()
version = sluice("--version").out.decode()

# Every figure stands in a table, script or not.
for group in found["groups"]:
    for cell in group["methods"]:
        if "error" in cell:
            check(cell["reason"] in text.replace("&quot;", '"'), f"the page has no '{cell['reason']}'")
            continue
        figure = "{median:.3f} [{low:.3f} {high:.3f}]".format(**cell["cpu"])
        check(figure in text, f"the page has no {cell['method']} {figure}")
    check(group["words"][:60] in text, f"the page has no words on {group['path']}")
for verdict in ("reference", "copied"):
    check(f"<b>{verdict}</b>" in text, f"the probe's {verdict} is not on the page")
addresses = set(re.findall(r'(?:src|href|action)="(?!#|data:)([^"]*)"', text.split("<script>")[0]))
equal(addresses, set(), "addresses on the page")
if "-charts" in version:
    skip("built without charts: tables only")

# What a canvas has on it: the colours of its pixels.
DRAWN = """[...document.querySelectorAll("canvas")].map((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let at = 3; at < pixels.length; at += 4) count += pixels[at] > 0;
    return count;
})"""
browser = Browser(os.environ["browser"])
try:
    colours = {}
    for width in (380, 1600):
        for dark in (False, True):
            what = f"{width} px, {'dark' if dark else 'light'}"
            complaints, requests = browser.open(f"file://{page}", width, dark)
            equal(complaints, [], f"{what}: complaints")
            equal(requests, [f"file://{page}"], f"{what}: requests")
            charts = browser.value("document.querySelectorAll('figure').length")
            drawn = browser.value(DRAWN)
            # Two for each group of which something could be measured, and those by size.
            check(charts >= 3 and len(drawn) == charts, f"{what}: {len(drawn)} of {charts} charts")
            check(min(drawn) > 500, f"{what}: a chart with nothing on it: {drawn}")
            check(browser.value("document.documentElement.scrollWidth <= innerWidth"),
                  f"{what}: it is wider than the window")
            check(browser.value("[...document.querySelectorAll('canvas')].every((canvas) => "
                                "canvas.getBoundingClientRect().width > 250)"), f"{what}: tiny charts")
            colours[dark] = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    check(colours[False] != colours[True], f"dark is as light: {colours}")
    # By keyboard and screen reader.
    equal(browser.value("[...document.querySelectorAll('canvas')].filter((canvas) => "
                        "!canvas.getAttribute('aria-label')).length"), 0, "charts without words")
    equal(browser.value("[...document.querySelectorAll('.scroll')].filter((region) => region.tabIndex !== 0 "
                        "|| !region.getAttribute('aria-label')).length"), 0, "tables out of reach")
    equal(browser.value("[...document.querySelectorAll('table')].filter((table) => !table.caption || "
                        "!table.querySelector('th[scope=row]')).length"), 0, "tables without headers")
    check(browser.value("[...document.querySelectorAll('nav a')].every((link) => "
                        "document.querySelector(link.getAttribute('href')))"), "links to nowhere")
    # A page with many comparisons has them closed: what is closed is drawn when it is opened.
    shut = f"{directory}/shut.html"
    file_with(text.replace(" open><summary>", "><summary>").encode(), shut)
    HIDDEN = "document.querySelectorAll('details canvas').length"
    complaints, requests = browser.open(f"file://{shut}", 380, True)
    equal((complaints, browser.value(HIDDEN)), ([], 0), "charts that nobody sees")
    browser.value("document.querySelector('th a[href^=\"#g\"]').click()")
    wait_for(lambda: browser.value(HIDDEN) == 2, "a comparison to open by its link")
    check(min(browser.value(DRAWN)) > 500, "a chart that was opened has nothing on it")
    equal(browser.value("document.getElementById('all').textContent"), "Open all comparisons", "the button")
    browser.value("document.getElementById('all').click()")
    wait_for(lambda: browser.value("document.querySelectorAll('canvas').length") == charts, "all to open")
    wait_for(lambda: browser.value("document.getElementById('all').textContent") == "Close all comparisons",
             "the button to say so")
    paper = browser.pdf()
    check(paper.startswith(b"%PDF") and len(paper) > 20000, "it cannot be printed")
    # The check itself: a page that asks for something is found out.
    broken = f"{directory}/broken.html"
    file_with(text.replace("</main>", "<img src='http://192.0.2.1/x.png'></main>").encode(), broken)
    complaints, requests = browser.open(f"file://{broken}", 380, False)
    check(complaints or len(requests) > 1, "a page that asks the network was not found out")
finally:
    browser.close()
PY
